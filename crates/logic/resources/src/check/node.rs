//! Nodes.

use std::collections::BTreeSet;

use kind::{Context, Problem};
use object::{Path, Value, names};

use super::spot::{Problems, Spot, internal};
use super::trail::Trail;
use super::{addresses, amounts, over};

/// What is wrong with a new node.
pub(crate) fn create(_context: &Context<'_>, node: &Value) -> Vec<Problem> {
    over(node, |node, out| {
        taints(node, out);
        ranges(&node.at("spec.podCIDRs"), out);
        resources(node, out);
    })
}

/// What is wrong with a changed node.
pub(crate) fn update(_context: &Context<'_>, new: &Value, old: &Value) -> Vec<Problem> {
    let before = Spot::root(old);
    over(new, |node, out| {
        taints(node, out);
        resources(node, out);
        let mut seen = BTreeSet::new();
        for address in node.at("status.addresses").items() {
            if !seen.insert((address.at("type").text(), address.at("address").text())) {
                address.duplicate(out);
            }
        }
        let ranges_now = node.at("spec.podCIDRs");
        if before.at("spec.podCIDRs").is_empty() {
            ranges(&ranges_now, out);
        } else if ranges_now.differs(&before.at("spec.podCIDRs")) {
            let detail = "node updates may not change podCIDR except from \"\" to valid";
            out.push(Problem::forbidden(Path::of("spec.podCIDRs"), detail));
        }
        let (provider, known) = (node.at("spec.providerID"), before.at("spec.providerID"));
        if !known.is_empty() && provider.differs(&known) {
            provider.forbidden(out, "node updates may not change providerID except from \"\" to valid");
        }
    })
}

fn resources(node: &Spot<'_>, out: &mut Problems) {
    for list in ["capacity", "allocatable"] {
        for (name, amount) in node.at("status").at(list).entries() {
            let path = node.path.field("status").field(list).field(name);
            amounts::amount(name, &amount.moved(path), out);
        }
    }
}

fn ranges(list: &Spot<'_>, out: &mut Problems) {
    for range in list.items() {
        addresses::cidr(&range, out);
    }
    let families: Vec<bool> = list.texts().filter_map(addresses::range).map(|(address, _)| address.is_ipv4()).collect();
    if families.len() > 2 || (families.len() == 2 && families[0] == families[1]) {
        list.invalid(out, "may specify no more than one CIDR for each IP family");
    }
}

/// Taints, which upstream complains about as if they were metadata.
fn taints(node: &Spot<'_>, out: &mut Problems) {
    let list = node.at("spec.taints").moved(Trail::of("metadata.taints"));
    let mut seen = BTreeSet::new();
    for taint in list.items() {
        let (key, value, effect) = (taint.at("key"), taint.at("value"), taint.at("effect"));
        key.or_empty().qualified(out);
        let complaints = names::label_value(value.text());
        if !complaints.is_empty() {
            value.invalid(out, complaints.join(";"));
        }
        effect.choice(out, &["NoSchedule", "PreferNoSchedule", "NoExecute"]);
        if !seen.insert((key.text(), effect.text())) {
            let shown = internal(&[
                ("Key", key.or_empty().shown()),
                ("Value", value.or_empty().shown()),
                ("Effect", effect.shown()),
                ("TimeAdded", taint.at("timeAdded").shown()),
            ]);
            let detail = "taints must be unique by key and effect pair".to_owned();
            out.push(Problem { detail, ..Problem::duplicate(taint.path.clone(), shown) });
        }
    }
}
