//! Abandoned pods.

use rehearsal::{Playhouse, at, script};
use typed::api::core::v1::Pod;

use super::plan;

const CLUSTER: &str = "
{apiVersion: v1, kind: Node, metadata: {name: n1}}
---
{apiVersion: v1, kind: Node, metadata: {name: n2}, spec: {taints: [{key: node.kubernetes.io/out-of-service, effect: NoExecute}]}}
---
{apiVersion: v1, kind: Pod, metadata: {name: fine, namespace: a}, spec: {nodeName: n1, containers: []}, status: {phase: Running}}
---
{apiVersion: v1, kind: Pod, metadata: {name: lost, namespace: a}, spec: {nodeName: n0, containers: []}, status: {phase: Running}}
---
{apiVersion: v1, kind: Pod, metadata: {name: unborn, namespace: a, deletionTimestamp: '2026-01-01T00:00:00Z'}, spec: {containers: []}, status: {phase: Pending}}
---
{apiVersion: v1, kind: Pod, metadata: {name: stuck, namespace: a, deletionTimestamp: '2026-01-01T00:00:00Z'}, spec: {nodeName: n2, containers: []}, status: {phase: Running}}
---
{apiVersion: v1, kind: Pod, metadata: {name: old, namespace: a, creationTimestamp: '2026-01-01T00:00:00Z'}, spec: {nodeName: n1, containers: []}, status: {phase: Succeeded}}
---
{apiVersion: v1, kind: Pod, metadata: {name: older, namespace: a, creationTimestamp: '2025-01-01T00:00:00Z'}, spec: {nodeName: n1, containers: []}, status: {phase: Failed}}
";

#[test]
fn the_abandoned_are_marked_and_removed() {
    let mut house = Playhouse::read(at(0), CLUSTER);
    let removal = plan(&house, &house, 1, at(1));
    let expected = "update Pod lost status\nupdate Pod stuck status\n--\ndelete Pod lost\ndelete Pod stuck\ndelete Pod unborn\ndelete Pod older";
    assert_eq!(script(&removal), expected);
    let outcome = house.play(&removal);
    assert_eq!(outcome.refusal, None);
    assert_eq!(house.objects().count(), 4);
    assert!(plan(&house, &house, 1, at(2)).is_idle());
}

#[test]
fn a_lost_view_of_nodes_costs_nobody_his_life() {
    let mut house = Playhouse::read(at(0), CLUSTER);
    let blind = Playhouse::at(at(0));
    let removal = plan(&house, &blind, 0, at(1));
    house.play(&removal);
    assert_eq!(house.expect::<Pod>("a", "fine").metadata.deletion_timestamp, None);
}
