//! Amounts of resources: lists of quantities, and what a pod asks for in sum.

use std::collections::BTreeMap;

use object::quantity::{Format, Quantity};
use object::{Map, Text, Value};

use crate::tree;

/// Quantities by resource name.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Amounts(pub(crate) BTreeMap<Text, Quantity>);

impl Amounts {
    /// The map of quantities at `keys`; what is no quantity is left out, as validation refuses it.
    pub(crate) fn at(value: &Value, keys: &[&str]) -> Amounts {
        let entries = value.at(keys).and_then(Value::as_map);
        let parsed = entries.into_iter().flat_map(Map::iter).filter_map(|(name, amount)| {
            let amount = match amount {
                Value::String(text) => Quantity::parse(text).ok()?,
                Value::Int(whole) => Quantity::whole(*whole, Format::DecimalSi),
                _ => return None,
            };
            Some((Text::from(name), amount))
        });
        Amounts(parsed.collect())
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Quantity> {
        self.0.get(name)
    }

    pub(crate) fn set(&mut self, name: impl Into<Text>, amount: Quantity) {
        self.0.insert(name.into(), amount);
    }

    pub(crate) fn count(&mut self, name: impl Into<Text>, count: i64) {
        self.set(name, Quantity::whole(count, Format::DecimalSi));
    }

    /// Adds `other`, name by name.
    pub(crate) fn add(&mut self, other: &Amounts) {
        for (name, amount) in &other.0 {
            let sum = self.0.get(name).map_or(*amount, |held| held.plus(amount));
            self.0.insert(name.clone(), sum);
        }
    }

    /// Takes the greater amount of each name.
    pub(crate) fn raise(&mut self, other: &Amounts) {
        for (name, amount) in &other.0 {
            if self.0.get(name).is_none_or(|held| held < amount) {
                self.0.insert(name.clone(), *amount);
            }
        }
    }

    /// What is here beyond `other`; amounts that would be negative are zero.
    pub(crate) fn beyond(&self, other: &Amounts) -> Amounts {
        let zero = Quantity::whole(0, Format::DecimalSi);
        let rest = self.0.iter().map(|(name, amount)| {
            let rest = other.0.get(name).map_or(*amount, |held| amount.minus(held));
            (name.clone(), if rest.sign().is_lt() { zero } else { rest })
        });
        Amounts(rest.collect())
    }

    /// The amounts whose names `keep` accepts.
    pub(crate) fn filtered(&self, keep: impl Fn(&str, &Quantity) -> bool) -> Amounts {
        let kept = self.0.iter().filter(|(name, amount)| keep(name, amount));
        Amounts(kept.map(|(name, amount)| (name.clone(), *amount)).collect())
    }

    /// `cpu=1,memory=2Gi`.
    pub(crate) fn pretty(&self) -> String {
        let pairs: Vec<String> = self.0.iter().map(|(name, amount)| format!("{name}={amount}")).collect();
        pairs.join(",")
    }

    pub(crate) fn to_map(&self) -> Map {
        self.0.iter().map(|(name, amount)| (name.clone(), Value::from(amount.text()))).collect()
    }
}

/// What a pod's spec asks for (`requests`) or may use at most (`limits`): the sum of its containers, or what starting up
/// needs if that is more; amounts of the whole pod win; the runtime's overhead comes on top.
pub(crate) fn of_pod(spec: &Value, which: &str) -> Amounts {
    sum(spec, which, &|_, own| own)
}

/// The same of a pod as it stands: while it is being resized (KEP-1287), a container counts for the most of what it asks
/// for, what it was granted and what is in force. A resize that cannot be counts as not asked for.
pub(crate) fn held_by_pod(pod: &Value, which: &str) -> Amounts {
    let Some(spec) = pod.get("spec") else { return Amounts::default() };
    let conditions = pod.list_at(&["status", "conditions"]);
    let infeasible = conditions.iter().any(|condition| {
        tree::text(condition, &["type"]) == "PodResizePending" && tree::text(condition, &["reason"]) == "Infeasible"
    });
    let statuses = ["containerStatuses", "initContainerStatuses"].map(|list| pod.list_at(&["status", list]));
    sum(spec, which, &|name, own| {
        let status = statuses.iter().flat_map(|list| list.iter()).find(|status| tree::text(status, &["name"]) == name);
        let Some(status) = status.filter(|status| tree::is_set(status, &["resources"])) else { return own };
        let mut held = if infeasible { Amounts::default() } else { own };
        held.raise(&Amounts::at(status, &["resources", which]));
        if which == "requests" {
            held.raise(&Amounts::at(status, &["allocatedResources"]));
        }
        held
    })
}

/// Sums up containers, each by what `held` makes of its name and its own amounts when it is one that keeps running.
fn sum(spec: &Value, which: &str, held: &dyn Fn(&str, Amounts) -> Amounts) -> Amounts {
    let own = |container: &Value| Amounts::at(container, &["resources", which]);
    let of = |container: &Value| held(tree::text(container, &["name"]), own(container));
    let mut sum = Amounts::default();
    for container in spec.list_at(&["containers"]) {
        sum.add(&of(container));
    }
    let (mut sidecars, mut starting) = (Amounts::default(), Amounts::default());
    for container in spec.list_at(&["initContainers"]) {
        let mut now = own(container);
        if tree::text(container, &["restartPolicy"]) == "Always" {
            now = of(container);
            sum.add(&now);
            sidecars.add(&now);
            now = Amounts::default();
        }
        now.add(&sidecars);
        starting.raise(&now);
    }
    sum.raise(&starting);
    for (name, amount) in Amounts::at(spec, &["resources", which]).0 {
        sum.set(name, amount);
    }
    let overhead = Amounts::at(spec, &["overhead"]);
    // A limit is raised only where there is one.
    let limited = |name: &str| sum.get(name).is_some_and(|held| !held.sign().is_eq());
    let applies = |name: &str, _: &Quantity| which == "requests" || limited(name);
    let overhead = overhead.filtered(applies);
    sum.add(&overhead);
    sum
}
