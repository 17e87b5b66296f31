//! Patience with taints.

use jiff::SignedDuration;
use plan::{Key, meta};
use rehearsal::{Playhouse, at, script};
use typed::api::core::v1::{Node, Taint};

use super::plan;

fn cluster(tolerations: &str) -> Playhouse {
    let mut house = Playhouse::at(at(0));
    house.add_yaml("{apiVersion: v1, kind: Node, metadata: {name: n1}}");
    house.add_yaml(&format!("{{apiVersion: v1, kind: Pod, metadata: {{name: p, namespace: a}}, spec: {{nodeName: n1, containers: [], tolerations: [{tolerations}]}}, status: {{phase: Running}}}}"));
    house.change::<Node>("", "n1", |node| {
        let taint =
            Taint { key: "sick".into(), effect: "NoExecute".into(), time_added: Some(meta::time(at(0))), value: None };
        node.spec.get_or_insert_default().taints = Some(vec![taint]);
    });
    house
}

#[test]
fn patience_decides() {
    let leaves = "update Pod p status\n--\ndelete Pod p";
    for (tolerations, text, waits) in [
        ("", leaves, None),
        ("{key: sick, operator: Exists}", "", None),
        ("{operator: Exists, tolerationSeconds: 5}", leaves, None),
        ("{operator: Exists, tolerationSeconds: 60}", "", Some(60)),
        (
            "{operator: Exists, tolerationSeconds: 60}, {key: sick, operator: Exists, tolerationSeconds: 5}",
            leaves,
            None,
        ),
        ("{key: sick, effect: NoSchedule, operator: Exists}", leaves, None),
    ] {
        let house = cluster(tolerations);
        let plan = plan(&Key::new("a", "p"), &house, &house, at(10));
        assert_eq!(script(&plan), text, "{tolerations}");
        assert_eq!(plan.requeue_at, waits.map(|seconds| at(0) + SignedDuration::from_secs(seconds)), "{tolerations}");
    }
}

#[test]
fn the_reason_is_written_before_the_pod_goes() {
    let mut house = cluster("");
    let eviction = plan(&Key::new("a", "p"), &house, &house, at(10));
    assert_eq!(house.play(&eviction).refusal, None);
    assert_eq!(house.said, ["Normal TaintManagerEviction Marking for deletion Pod a/p"]);
    let pod = house.expect::<typed::api::core::v1::Pod>("a", "p");
    assert_eq!(
        pod.status.as_ref().unwrap().conditions.as_ref().unwrap()[0].reason.as_deref(),
        Some("DeletionByTaintManager")
    );
    assert!(meta::is_deleting(&pod.metadata));
}
