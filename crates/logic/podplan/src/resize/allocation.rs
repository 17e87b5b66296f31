//! What the node granted a pod.

use std::collections::BTreeMap;

use typed::api::core::v1::{Container, Pod, PodSpec, ResourceRequirements};
use typed::meta::ObjectMeta;
use typed::resource::Quantity;

use crate::spec;

/// The resources that a pod was granted: as a whole, and by container (init containers included).
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Allocation {
    whole: Option<ResourceRequirements>,
    containers: BTreeMap<String, ResourceRequirements>,
}

impl Allocation {
    /// All that `pod` asks for.
    pub fn of(pod: &Pod) -> Allocation {
        let Some(pod_spec) = &pod.spec else { return Allocation::default() };
        let all = spec::inits(pod_spec).iter().chain(&pod_spec.containers);
        Allocation {
            whole: pod_spec.resources.clone(),
            containers: all.map(|it| (it.name.clone(), it.resources.clone().unwrap_or_default())).collect(),
        }
    }

    /// Whether `pod` asks for exactly this, in whatever units.
    pub fn matches(&self, pod: &Pod) -> bool {
        let Some(pod_spec) = &pod.spec else { return true };
        let mut all = spec::inits(pod_spec).iter().chain(&pod_spec.containers);
        same(self.whole.as_ref(), pod_spec.resources.as_ref())
            && all.all(|it| {
                let granted = self.containers.get(&it.name);
                granted.is_none_or(|granted| same(Some(granted), it.resources.as_ref()))
            })
    }

    /// `pod` with what it was granted instead of what it asks for.
    pub fn apply(&self, pod: &Pod) -> Pod {
        let mut pod = pod.clone();
        let Some(pod_spec) = &mut pod.spec else { return pod };
        if !same(self.whole.as_ref(), pod_spec.resources.as_ref()) {
            pod_spec.resources.clone_from(&self.whole);
        }
        for container in pod_spec.init_containers.iter_mut().flatten().chain(&mut pod_spec.containers) {
            let granted = self.containers.get(&container.name);
            if let Some(granted) = granted.filter(|it| !same(Some(it), container.resources.as_ref())) {
                container.resources = Some(granted.clone());
            }
        }
        pod
    }

    /// A pod that holds nothing but this and the name `name`: the form in which it is kept. [`Allocation::of`] reads it.
    pub fn kept(&self, name: &str) -> Pod {
        let container = |(name, resources): (&String, &ResourceRequirements)| Container {
            name: name.clone(),
            resources: Some(resources.clone()),
            ..Default::default()
        };
        let containers = self.containers.iter().map(container).collect();
        Pod {
            metadata: ObjectMeta { name: Some(name.to_owned()), ..Default::default() },
            spec: Some(PodSpec { containers, resources: self.whole.clone(), ..Default::default() }),
            status: None,
        }
    }
}

type Amounts = BTreeMap<String, Quantity>;

fn same(left: Option<&ResourceRequirements>, right: Option<&ResourceRequirements>) -> bool {
    let none = ResourceRequirements::default();
    let (left, right) = (left.unwrap_or(&none), right.unwrap_or(&none));
    equal(left.requests.as_ref(), right.requests.as_ref()) && equal(left.limits.as_ref(), right.limits.as_ref())
}

fn equal(left: Option<&Amounts>, right: Option<&Amounts>) -> bool {
    let none = Amounts::new();
    let (left, right) = (left.unwrap_or(&none), right.unwrap_or(&none));
    let exact = |quantity: &Quantity| object::Quantity::parse(&quantity.0).map(|it| it.nanos());
    left.len() == right.len()
        && left.iter().zip(right).all(|((name, amount), (other, wanted))| {
            name == other && (amount == wanted || exact(amount).ok() == exact(wanted).ok())
        })
}
