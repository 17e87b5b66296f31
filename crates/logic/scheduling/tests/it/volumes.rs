//! Claims, volumes and where they can be had.

use std::collections::BTreeMap;
use std::sync::Arc;

use scheduling::{Change, Input, Output, VolumeStep};
use typed::api::core::v1::*;
use typed::api::storage::v1::{CSINode, CSINodeDriver, CSINodeSpec, StorageClass, VolumeNodeResources};
use typed::meta::ObjectMeta;
use typed::resource::Quantity;

use crate::cluster::Cluster;
use crate::notation::ZONE;

fn named(name: &str) -> ObjectMeta {
    ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() }
}

fn storage(size: &str) -> Option<BTreeMap<String, Quantity>> {
    Some(BTreeMap::from([("storage".to_owned(), Quantity(size.to_owned()))]))
}

fn class(name: &str, mode: &str, provisioner: &str) -> Input {
    Input::StorageClass(Change::Set(Arc::new(StorageClass {
        metadata: named(name),
        provisioner: provisioner.to_owned(),
        volume_binding_mode: Some(mode.to_owned()),
        ..StorageClass::default()
    })))
}

fn claim(name: &str, class: &str, volume: Option<&str>, mode: &str) -> Input {
    let mut metadata = named(name);
    metadata.namespace = Some("default".to_owned());
    let done = ("pv.kubernetes.io/bind-completed".to_owned(), "yes".to_owned());
    metadata.annotations = volume.map(|_| BTreeMap::from([done]));
    let spec = PersistentVolumeClaimSpec {
        access_modes: Some(vec![mode.to_owned()]),
        resources: Some(VolumeResourceRequirements { requests: storage("1Gi"), limits: None }),
        storage_class_name: Some(class.to_owned()),
        volume_name: volume.map(str::to_owned),
        ..PersistentVolumeClaimSpec::default()
    };
    Input::Claim(Change::Set(Arc::new(PersistentVolumeClaim { metadata, spec: Some(spec), status: None })))
}

fn volume(name: &str, class: &str, size: &str, zone: &str) -> Input {
    let test = NodeSelectorRequirement {
        key: ZONE.to_owned(),
        operator: "In".to_owned(),
        values: Some(vec![zone.to_owned()]),
    };
    let term = NodeSelectorTerm { match_expressions: Some(vec![test]), match_fields: None };
    let affinity = VolumeNodeAffinity { required: Some(NodeSelector { node_selector_terms: vec![term] }) };
    let spec = PersistentVolumeSpec {
        access_modes: Some(vec!["ReadWriteOnce".to_owned()]),
        capacity: storage(size),
        storage_class_name: Some(class.to_owned()),
        node_affinity: Some(affinity),
        csi: Some(CSIPersistentVolumeSource {
            driver: "csi.example.com".to_owned(),
            volume_handle: name.to_owned(),
            ..CSIPersistentVolumeSource::default()
        }),
        ..PersistentVolumeSpec::default()
    };
    Input::Volume(Change::Set(Arc::new(PersistentVolume { metadata: named(name), spec: Some(spec), status: None })))
}

/// Two nodes in two zones, and what `inputs` say; the pod is placed on `expected` or refused with it.
fn check(inputs: Vec<Input>, pod: &str, expected: &str) -> Cluster {
    let mut cluster = Cluster::of("node n1 zone=a\nnode n2 zone=b");
    inputs.into_iter().for_each(|input| cluster.feed(input));
    cluster.add(&format!("pod {pod}"));
    let got = cluster.node_of("p").or_else(|| {
        let message = cluster.message("p")?;
        Some(message.split_once(" no new claims").map_or(message, |(filter, _)| filter))
    });
    assert_eq!(got, Some(expected), "{pod}");
    cluster
}

#[test]
fn claims_that_are_not_ready() {
    check(vec![], "p claim=c", "0/2 nodes are available: persistentvolumeclaim \"c\" not found.");
    check(vec![class("fast", "Immediate", "x"), claim("c", "fast", None, "ReadWriteOnce")], "p claim=c", {
        "0/2 nodes are available: pod has unbound immediate PersistentVolumeClaims."
    });
    check(vec![claim("c", "fast", Some("gone"), "ReadWriteOnce")], "p claim=c", {
        "0/2 nodes are available: 2 node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)."
    });
}

#[test]
fn a_bound_volume_pulls_the_pod_to_its_zone() {
    let bound = || vec![volume("v", "fast", "1Gi", "b"), claim("c", "fast", Some("v"), "ReadWriteOnce")];
    check(bound(), "p claim=c", "n2");
    check(bound(), "p claim=c select=zone=a", {
        "0/2 nodes are available: 1 node(s) didn't match PersistentVolume's node affinity, \
         1 node(s) didn't match Pod's node affinity/selector."
    });
}

#[test]
fn the_smallest_fitting_volume_is_promised() {
    let waits = || class("local", "WaitForFirstConsumer", "kubernetes.io/no-provisioner");
    let inputs = vec![
        waits(),
        volume("small", "local", "500Mi", "a"),
        volume("big", "local", "9Gi", "b"),
        volume("right", "local", "2Gi", "b"),
        claim("c", "local", None, "ReadWriteOnce"),
    ];
    let mut cluster = check(inputs, "p claim=c", "n2");
    let bind = |output: &Output| match output {
        Output::Bind { steps, .. } => steps.clone(),
        _ => Vec::new(),
    };
    let steps: Vec<VolumeStep> = cluster.outputs.iter().flat_map(bind).collect();
    let promised =
        VolumeStep::BindVolume { volume: "right".to_owned(), namespace: "default".to_owned(), claim: "c".to_owned() };
    assert_eq!(steps, [promised]);
    cluster.feed(claim("d", "local", None, "ReadWriteOnce"));
    cluster.add("pod q claim=d select=zone=a");
    let message = cluster.message("q").expect("a message");
    assert!(message.contains("1 node(s) didn't find available persistent volumes to bind"), "{message}");
}

#[test]
fn a_claim_is_provisioned_where_the_pod_goes() {
    let inputs =
        vec![class("csi", "WaitForFirstConsumer", "csi.example.com"), claim("c", "csi", None, "ReadWriteOnce")];
    let cluster = check(inputs, "p claim=c select=zone=b", "n2");
    assert!(cluster.outputs.iter().any(|output| matches!(
        output,
        Output::Bind { steps, .. }
            if matches!(&steps[..], [VolumeStep::Provision { claim, node, .. }] if claim == "c" && node == "n2")
    )));
}

#[test]
fn one_pod_at_a_time() {
    let mut cluster = check(
        vec![volume("v", "fast", "1Gi", "a"), claim("c", "fast", Some("v"), "ReadWriteOncePod")],
        "p claim=c",
        "n1",
    );
    cluster.add("pod q claim=c");
    let message = cluster.message("q").expect("a message");
    let why = "2 node has pod using PersistentVolumeClaim with the same name and ReadWriteOncePod access mode";
    assert!(message.contains(why), "{message}");
    cluster.remove_pod("p");
    cluster.pass(2);
    assert_eq!(cluster.node_of("q"), Some("n1"));
}

#[test]
fn nodes_attach_only_so_many_volumes() {
    let driver = CSINodeDriver {
        name: "csi.example.com".to_owned(),
        node_id: "n1".to_owned(),
        allocatable: Some(VolumeNodeResources { count: Some(1) }),
        topology_keys: None,
    };
    let limits = CSINode { metadata: named("n1"), spec: CSINodeSpec { drivers: vec![driver] } };
    let inputs = vec![
        Input::CsiNode(Change::Set(Arc::new(limits))),
        volume("v", "fast", "1Gi", "a"),
        volume("w", "fast", "1Gi", "a"),
        claim("c", "fast", Some("v"), "ReadWriteOnce"),
        claim("d", "fast", Some("w"), "ReadWriteOnce"),
    ];
    let mut cluster = check(inputs, "p claim=c", "n1");
    cluster.add("pod shares claim=c\npod q claim=d");
    assert_eq!(cluster.node_of("shares"), Some("n1"), "the same volume is attached once");
    let message = cluster.message("q").expect("a message");
    assert!(message.contains("1 node(s) exceed max volume count"), "{message}");
}
