//! Who is refused, and in which words (SCH-04: users and tools read them).

use crate::cluster::Cluster;

/// Adds `pod` to `cluster`; it must be refused with `expected` before the preemption part, or be placed on `expected`.
fn check(cluster: &str, pod: &str, expected: &str) {
    let mut cluster = Cluster::of(cluster);
    cluster.add(&format!("pod {pod}"));
    let name = pod.split_whitespace().next().expect("a name");
    let name = name.split_once('/').map_or(name, |(_, name)| name);
    if let Some(node) = cluster.node_of(name) {
        assert_eq!(node, expected, "{pod}");
    } else {
        let message = cluster.message(name).unwrap_or_else(|| panic!("{pod} was neither placed nor refused"));
        let filter_part = message.split_once(" no new claims").map_or(message, |(filter, _)| filter);
        assert_eq!(filter_part, expected, "{pod}");
    }
}

#[test]
fn resources() {
    let two = "node n1 cpu=2 memory=4Gi\nnode n2 cpu=2 memory=4Gi";
    check(two, "p cpu=3", "0/2 nodes are available: 2 Insufficient cpu.");
    check(two, "p cpu=3 memory=5Gi", "0/2 nodes are available: 2 Insufficient cpu, 2 Insufficient memory.");
    check(two, "p example.com/gpu=1", "0/2 nodes are available: 2 Insufficient example.com/gpu.");
    check(two, "p example.com/gpu=0 cpu=3", "0/2 nodes are available: 2 Insufficient cpu.");
    check("node n1 pods=1 cpu=2\npod a on=n1", "p", "0/1 nodes are available: 1 Too many pods.");
    check("node n1 cpu=2\npod a on=n1 cpu=1500m", "p cpu=500m", "n1");
    check("node n1 cpu=2\npod a on=n1 cpu=1500m", "p cpu=501m", "0/1 nodes are available: 1 Insufficient cpu.");
    check("node n1 cpu=2", "p cpu=1 init=cpu=2", "n1");
    check("node n1 cpu=2", "p cpu=1 sidecar=cpu=1 init=cpu=1500m", "0/1 nodes are available: 1 Insufficient cpu.");
}

#[test]
fn node_conditions() {
    let mixed = "node n1 cordoned\nnode n2 taint=a=b:NoSchedule\nnode n3 taint=c:NoExecute";
    let refused = "0/3 nodes are available: 1 node(s) were unschedulable, 2 node(s) had untolerated taint(s).";
    check(mixed, "p", refused);
    check(mixed, "p tolerate=a=b:NoSchedule", "n2");
    check(mixed, "p tolerate=a=x:NoSchedule", refused);
    check(mixed, "p tolerate=c", "n3");
    check("node n1 cordoned", "p tolerate=node.kubernetes.io/unschedulable", "n1");
    check("node n1 taint=a:PreferNoSchedule", "p", "n1");
    check("node n1\nnode n2 feature=UserNamespacesHostNetworkSupport", "p hostusers", "n2");
    check("node n1", "p hostusers", "0/1 nodes are available: 1 node(s) didn't match Pod's required features.");
}

#[test]
fn node_affinity() {
    let disks = "node n1 disk=ssd size=5\nnode n2 disk=hdd size=9";
    let refused = "0/2 nodes are available: 2 node(s) didn't match Pod's node affinity/selector.";
    check(disks, "p select=disk=ssd", "n1");
    check(disks, "p select=disk=tape", refused);
    check(disks, "p want=disk=tape,hdd", "n2");
    check(disks, "p want=disk!=ssd", "n2");
    check(disks, "p want=size>5", "n2");
    check(disks, "p want=size>9", refused);
    check(disks, "p want=!disk", refused);
    check(disks, "p want=!disk want=disk=ssd", "n1");
    check(disks, "p node=n2", "n2");
    check(disks, "p node=n9", "0/2 nodes are available: 2 node(s) didn't satisfy plugin(s) [NodeAffinity].");
    let rest =
        "0/2 nodes are available: 1 node(s) didn't satisfy plugin(s) [NodeAffinity], 1 node(s) were unschedulable.";
    check("node n1 cordoned\nnode n2", "p node=n1", rest);
}

#[test]
fn ports() {
    let taken = "node n1\npod a on=n1 port=80";
    let refused = "0/1 nodes are available: 1 node(s) didn't have free ports for the requested pod ports.";
    check(taken, "p port=80", refused);
    check(taken, "p port=81", "n1");
    check(taken, "p port=10.0.0.1:80", refused);
    check("node n1\npod a on=n1 port=10.0.0.1:80", "p port=10.0.0.2:80", "n1");
}

#[test]
fn affinity_between_pods() {
    let zones = "node n1 zone=a\nnode n2 zone=a\nnode n3 zone=b\npod db on=n1 app=db cpu=0";
    check(zones, "p apart=app=db@zone", "n3");
    check(&format!("{zones}\npod db2 on=n3 app=db"), "p apart=app=db@zone", {
        "0/3 nodes are available: 3 node(s) didn't match pod anti-affinity rules."
    });
    check(zones, "p with=app=db@host", "n1");
    check(zones, "p with=app=web@zone", "0/3 nodes are available: 3 node(s) didn't match pod affinity rules.");
    check("node n1 zone=a", "p app=web with=app=web@zone", "n1");
    check(
        "node n1",
        "p app=web with=app=web@zone",
        "0/1 nodes are available: 1 node(s) didn't match pod affinity rules.",
    );
    check(zones, "other/p apart=app=db@zone select=zone=b", "n3");
    check(zones, "other/p with=app=db@host", "0/3 nodes are available: 3 node(s) didn't match pod affinity rules.");
    check(zones, "other/p with=default/app=db@host", "n1");
    check(zones, "other/p with=*/app=db@host", "n1");
    let guarded = "node n1 zone=a\nnode n2 zone=a\npod x on=n1 app=x apart=app=y@zone";
    let existing = "0/2 nodes are available: 2 node(s) didn't satisfy existing pods anti-affinity rules.";
    check(guarded, "p app=y", existing);
    check(guarded, "p app=z select=kubernetes.io/hostname=n2", "n2");
    check(guarded, "other/p app=y select=kubernetes.io/hostname=n2", "n2");
}

#[test]
fn all_terms_of_required_affinity_speak_of_one_pod() {
    let split = "node n1 zone=a\npod a on=n1 app=web\npod b on=n1 tier=front";
    let refused = "0/1 nodes are available: 1 node(s) didn't match pod affinity rules.";
    check(split, "p with=app=web@zone with=tier=front@zone", refused);
    check("node n1 zone=a\npod a on=n1 app=web tier=front", "p with=app=web@zone with=tier=front@zone", "n1");
}

#[test]
fn spreading() {
    let zones = "node n1 zone=a\nnode n2 zone=b\npod a on=n1 app=web";
    check(zones, "p app=web spread=1@zone:app=web", "n2");
    check(&format!("{zones}\nnode n3"), "p app=web spread=1@zone:app=web", "n2");
    check(&format!("{zones}\npod b on=n1 app=web"), "p app=web spread=1@zone:app=web select=zone=a", "n1");
    let skewed = "node n1 zone=a\nnode n2 zone=b cordoned\npod a on=n1 app=web";
    check(skewed, "p app=web spread=1@zone:app=web", {
        "0/2 nodes are available: 1 node(s) didn't match pod topology spread constraints, 1 node(s) were unschedulable."
    });
    check("node n1", "p app=web spread=1@zone:app=web", {
        "0/1 nodes are available: 1 node(s) didn't match pod topology spread constraints (missing required label)."
    });
    check(
        "node n1 zone=a\nnode n2 zone=b\npod a on=n1 app=web terminating",
        "p app=web spread=1@zone:app=web cpu=0",
        {
            // The terminating pod does not count, so both nodes are as good; the score prefers the emptier one.
            "n2"
        },
    );
}

#[test]
fn gates_devices_and_nothing_at_all() {
    check("node n1", "p gate=wait", "Scheduling is blocked due to non-empty scheduling gates");
    check("node n1", "p devices", {
        "0/1 nodes are available: pod uses resource claims, and dynamic resource allocation is not built in this scheduler."
    });
    check("", "p", "no nodes available to schedule pods");
}

#[test]
fn the_whole_sentence() {
    let mut cluster =
        Cluster::of("node n1 taint=a:NoSchedule\nnode n2 cpu=1\nnode n3 cpu=1\npod a on=n2 cpu=1\npod b on=n3 cpu=1");
    cluster.add("pod p cpu=1");
    let expected = "0/3 nodes are available: 1 node(s) had untolerated taint(s), 2 Insufficient cpu. \
                    no new claims to deallocate, preemption: 0/3 nodes are available: \
                    1 Preemption is not helpful for scheduling, 2 No preemption victims found for incoming pod.";
    assert_eq!(cluster.message("p"), Some(expected));
    assert_eq!(cluster.notes("FailedScheduling"), [expected]);
}

#[test]
fn success_is_told_in_an_event() {
    let mut cluster = Cluster::of("node n1");
    cluster.add("pod shop/p");
    assert_eq!(cluster.notes("Scheduled"), ["Successfully assigned shop/p to n1"]);
}

#[test]
fn pods_of_other_schedulers_are_left_alone() {
    let mut cluster = Cluster::of("node n1");
    cluster.add("pod p scheduler=mine");
    assert!(cluster.outputs.is_empty(), "{:?}", cluster.outputs);
}
