//! Which of several possible nodes is taken.

use scheduling::Config;
use scheduling::config::{DefaultConstraints, PluginSet, ResourceWeight, ScoringStrategy, UtilizationPoint};

use crate::cluster::Cluster;

/// The pod must go to `expected`, whatever the seed draws among equals.
fn check(config: &Config, cluster: &str, pod: &str, expected: &str) {
    let mut world = Cluster::with(config);
    world.add(cluster);
    world.add(&format!("pod {pod}"));
    assert_eq!(world.node_of("p"), Some(expected), "{pod} in\n{cluster}\n{:?}", world.outputs);
}

fn defaults(cluster: &str, pod: &str, expected: &str) {
    check(&Config::default(), cluster, pod, expected);
}

fn weights() -> Vec<ResourceWeight> {
    vec![ResourceWeight { name: "cpu".to_owned(), weight: 1 }]
}

#[test]
fn the_emptier_node_by_default() {
    let two = "node n1 cpu=4 memory=4Gi\nnode n2 cpu=4 memory=4Gi\npod a on=n1 cpu=1 memory=1Gi";
    defaults(two, "p cpu=1 memory=1Gi", "n2");
    // A pod that asks for nothing is scored as if it asked for a little.
    defaults("node n1 cpu=4 memory=4Gi\nnode n2 cpu=4 memory=4Gi\npod a on=n1", "p", "n2");
}

#[test]
fn the_fuller_node_by_configuration() {
    let mut config = Config::default();
    config.profiles[0].arguments.fit_scoring = ScoringStrategy::MostAllocated(weights());
    check(&config, "node n1 cpu=4\nnode n2 cpu=4\npod a on=n1 cpu=1", "p cpu=1", "n1");
    let shape = vec![UtilizationPoint { utilization: 0, score: 0 }, UtilizationPoint { utilization: 100, score: 10 }];
    let ratio = ScoringStrategy::RequestedToCapacityRatio { resources: weights(), shape };
    config.profiles[0].arguments.fit_scoring = ratio;
    check(&config, "node n1 cpu=4\nnode n2 cpu=4\npod a on=n2 cpu=1", "p cpu=1", "n2");
}

#[test]
fn balance_breaks_the_tie() {
    // Both are equally full on average; on n2 CPU and memory are used to the same degree.
    let cluster = "node n1 cpu=10 memory=10Gi\nnode n2 cpu=10 memory=10Gi\n\
                   pod a on=n1 cpu=8 memory=2Gi\npod b on=n2 cpu=5 memory=5Gi";
    defaults(cluster, "p cpu=1 memory=1Gi", "n2");
}

#[test]
fn preferences_about_nodes() {
    defaults("node n1\nnode n2 disk=ssd", "p like=10:disk=ssd", "n2");
    defaults("node n1 taint=a:PreferNoSchedule\nnode n2", "p", "n2");
    let both = "node n1 taint=a:PreferNoSchedule\nnode n2 taint=a:PreferNoSchedule taint=b:PreferNoSchedule";
    defaults(both, "p", "n1");
    defaults("node n1\nnode n2 image=web:v1:800Mi", "p image=web:v1", "n2");
    defaults("node n1\nnode n2 image=web:latest:800Mi", "p image=web", "n2");
}

#[test]
fn preferences_about_pods() {
    let zones = "node n1 zone=a\nnode n2 zone=b\npod db on=n1 app=db cpu=0";
    defaults(zones, "p with~100=app=db@zone", "n1");
    defaults(zones, "p apart~100=app=db@zone", "n2");
    defaults("node n1 zone=a\nnode n2 zone=b\npod db on=n1 app=db with~100=app=web@zone", "p app=web", "n1");
    defaults("node n1 zone=a\nnode n2 zone=b\npod db on=n2 app=db apart~100=app=web@zone", "p app=web", "n1");
    // Required affinity of a pod on a node draws matching pods to it.
    defaults("node n1 zone=a\nnode n2 zone=b\npod x on=n1 app=web with=app=web@zone", "p app=web", "n1");
    defaults("node n1 zone=a\nnode n2 zone=b\npod a on=n1 app=web", "p app=web spread~=1@zone:app=web", "n2");
}

#[test]
fn services_spread_their_pods_by_default() {
    use std::collections::BTreeMap;
    use std::sync::Arc;
    use typed::api::core::v1::{Service, ServiceSpec};

    let spread = |config: &Config| {
        let mut cluster = Cluster::with(config);
        let mut service = Service::default();
        service.metadata.name = Some("web".to_owned());
        service.metadata.namespace = Some("default".to_owned());
        let selector = Some(BTreeMap::from([("app".to_owned(), "web".to_owned())]));
        service.spec = Some(ServiceSpec { selector, ..ServiceSpec::default() });
        cluster.feed(scheduling::Input::Service(scheduling::Change::Set(Arc::new(service))));
        // n1 is otherwise the better node: it is larger.
        cluster.add("node n1 zone=a cpu=64 memory=64Gi\nnode n2 zone=b cpu=2 memory=4Gi\npod a on=n1 app=web");
        cluster.add("pod p app=web");
        cluster.node_of("p").map(str::to_owned)
    };
    assert_eq!(spread(&Config::default()).as_deref(), Some("n2"));
    let mut none = Config::default();
    none.profiles[0].arguments.default_constraints = DefaultConstraints::List(Vec::new());
    assert_eq!(spread(&none).as_deref(), Some("n1"));
}

#[test]
fn plugins_are_switched_off_at_a_point_or_everywhere() {
    let mut config = Config::default();
    config.profiles[0].plugins.filter = PluginSet { enabled: vec![], disabled: vec!["TaintToleration".to_owned()] };
    check(&config, "node n1 taint=a:NoSchedule", "p", "n1");
    config.profiles[0].plugins = scheduling::config::Plugins::default();
    let off = vec!["NodeUnschedulable".to_owned()];
    config.profiles[0].plugins.multi_point = PluginSet { enabled: vec![], disabled: off };
    check(&config, "node n1 cordoned", "p", "n1");
}

#[test]
fn bad_configurations_are_refused_whole() {
    let mut config = Config::default();
    config.profiles.push(config.profiles[0].clone());
    config.percentage_of_nodes_to_score = 101;
    config.profiles[0].plugins.multi_point.enabled.push(("Astrology".to_owned(), 1));
    let problems = scheduling::Scheduler::new(&config, 1).expect_err("three things are wrong");
    let fields: Vec<&str> = problems.iter().map(|problem| problem.field.as_str()).collect();
    assert_eq!(fields, ["percentageOfNodesToScore", "profiles[0].plugins", "profiles[1].schedulerName"]);
}

#[test]
fn a_percentage_still_finds_a_node_when_few_are_left() {
    let config = Config { percentage_of_nodes_to_score: 5, ..Config::default() };
    let mut nodes: Vec<String> = (0..300).map(|index| format!("node n{index} cordoned")).collect();
    nodes.push("node last".to_owned());
    check(&config, &nodes.join("\n"), "p", "last");
}
