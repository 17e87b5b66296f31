//! Budgets.

use plan::{Key, controller_of};
use rehearsal::{Playhouse, at};
use typed::api::core::v1::Pod;
use typed::api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetStatus};
use typed::meta::Time;

use super::{BuiltIn, Scales, plan};

#[derive(Debug)]
struct Wished(i32);

impl Scales for Wished {
    fn expected(&self, pod: &Pod) -> Result<Option<(String, i32)>, String> {
        Ok(controller_of(&pod.metadata).map(|owner| (owner.uid.clone(), self.0)))
    }
}

fn cluster(limit: &str, ready: usize, pods: usize) -> Playhouse {
    let mut house = Playhouse::at(at(0));
    house.add_yaml(&format!("{{apiVersion: policy/v1, kind: PodDisruptionBudget, metadata: {{name: b, namespace: a}}, spec: {{{limit}, selector: {{matchLabels: {{app: web}}}}}}}}"));
    for number in 0..pods {
        let status = if number < ready { "True" } else { "False" };
        house.add_yaml(&format!("{{apiVersion: v1, kind: Pod, metadata: {{name: p{number}, namespace: a, labels: {{app: web}}, ownerReferences: [{{apiVersion: apps/v1, kind: ReplicaSet, name: r, uid: r, controller: true}}]}}, status: {{conditions: [{{type: Ready, status: '{status}'}}]}}}}"));
    }
    house
}

fn status(house: &mut Playhouse, wished: i32) -> PodDisruptionBudgetStatus {
    let now = at(10);
    house.play(&plan(&Key::new("a", "b"), house, house, &Wished(wished), now));
    assert!(plan(&Key::new("a", "b"), house, house, &Wished(wished), now).is_idle());
    house.expect::<PodDisruptionBudget>("a", "b").status.clone().unwrap()
}

#[test]
fn budgets_count_what_may_go() {
    for (limit, ready, pods, wished, (expected, desired, allowed)) in [
        ("minAvailable: 2", 3, 3, 3, (3, 2, 1)),
        ("minAvailable: 2", 1, 3, 3, (3, 2, 0)),
        ("minAvailable: 50%", 4, 4, 5, (5, 3, 1)),
        ("maxUnavailable: 1", 4, 4, 4, (4, 3, 1)),
        ("maxUnavailable: 30%", 10, 10, 10, (10, 7, 3)),
        ("maxUnavailable: 1", 0, 0, 4, (0, 0, 0)),
    ] {
        let status = status(&mut cluster(limit, ready, pods), wished);
        let found = (status.expected_pods, status.desired_healthy, status.disruptions_allowed);
        assert_eq!(found, (Some(expected), Some(desired), Some(allowed)), "{limit} with {ready}/{pods}");
        let reason = &status.conditions.as_ref().unwrap()[0].reason;
        assert_eq!(reason, if allowed > 0 { "SufficientPods" } else { "InsufficientPods" });
    }
}

#[test]
fn allowed_evictions_count_until_they_happen_or_grow_old() {
    let mut house = cluster("minAvailable: 1", 3, 3);
    house.change::<PodDisruptionBudget>("a", "b", |budget| {
        let since = |seconds| Time(at(seconds));
        budget.status.get_or_insert_default().disrupted_pods =
            Some([("p0".to_owned(), since(0)), ("p1".to_owned(), since(-200)), ("gone".to_owned(), since(0))].into());
    });
    let status = status(&mut house, 3);
    assert_eq!(status.disrupted_pods.map(|pods| pods.into_keys().collect::<Vec<_>>()), Some(vec!["p0".to_owned()]));
    assert_eq!(status.disruptions_allowed, Some(1));
}

#[test]
fn a_deployment_stands_for_its_replica_sets() {
    let mut house = cluster("minAvailable: 1", 1, 1);
    house.add_yaml("{apiVersion: apps/v1, kind: ReplicaSet, metadata: {name: r, namespace: a, uid: r, ownerReferences: [{apiVersion: apps/v1, kind: Deployment, name: d, uid: d, controller: true}]}, spec: {replicas: 1, selector: {}}}");
    house.add_yaml("{apiVersion: apps/v1, kind: Deployment, metadata: {name: d, namespace: a, uid: d}, spec: {replicas: 7, selector: {}, template: {}}}");
    let pod = house.expect::<Pod>("a", "p0");
    let scales = BuiltIn { deployments: &house, replica_sets: &house, controllers: &house, stateful_sets: &house };
    assert_eq!(scales.expected(&pod), Ok(Some(("d".to_owned(), 7))));
    house.change::<Pod>("a", "p0", |pod| pod.metadata.owner_references.as_mut().unwrap()[0].kind = "Thing".into());
    let pod = house.expect::<Pod>("a", "p0");
    let scales = BuiltIn { deployments: &house, replica_sets: &house, controllers: &house, stateful_sets: &house };
    assert_eq!(scales.expected(&pod), Err("Thing.apps/v1 does not implement the scale subresource".to_owned()));
    assert_eq!(super::budgets_to_wake(None, Some(&pod), &house).len(), 1);
}
