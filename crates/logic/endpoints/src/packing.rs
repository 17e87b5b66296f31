//! How endpoints are spread over slices: at most a hundred each, and as few writes as possible, because every write of a slice
//! goes to every node.

use std::collections::BTreeMap;
use std::sync::Arc;

use plan::{Action, Step};
use typed::api::discovery::v1::{Endpoint, EndpointPort, EndpointSlice};
use typed::meta::ObjectMeta;

use crate::backend::{Family, Port};

/// The most endpoints in one slice (flag `--max-endpoints-per-slice`).
pub(crate) const ENDPOINTS_PER_SLICE_MAX: usize = 100;

/// The endpoints of one family, by the ports they serve.
pub(crate) type Groups = BTreeMap<Vec<Port>, Vec<Endpoint>>;

/// What slices of one owner look like.
pub(crate) struct Mould {
    /// Labels, annotations, owner, namespace and name prefix of new slices. Labels are kept on old ones, too; annotations
    /// are renewed when an old one is written for another reason.
    pub(crate) metadata: ObjectMeta,
    /// Whether a family without endpoints keeps one empty slice.
    pub(crate) placeholder: bool,
}

/// The writes that turn the existing slices of a family into the wanted ones.
pub(crate) fn pack(mould: &Mould, family: Family, existing: Vec<Arc<EndpointSlice>>, mut wanted: Groups) -> Vec<Step> {
    if wanted.values().all(Vec::is_empty) {
        wanted.clear();
        if mould.placeholder {
            wanted.insert(Vec::new(), Vec::new());
        }
    }
    let mut by_ports: BTreeMap<Vec<Port>, Vec<Arc<EndpointSlice>>> = BTreeMap::new();
    for slice in existing {
        by_ports.entry(ports_of(&slice)).or_default().push(slice);
    }
    let mut steps = Vec::new();
    let empty_stays = |group: &Groups| group.len() == 1 && group.values().all(Vec::is_empty);
    let placeholder = empty_stays(&wanted);
    if placeholder && let Some((ports, _)) = by_ports.iter().next().map(|(ports, slices)| (ports.clone(), slices.len()))
    {
        // Any slice that is there already, emptied, does for a placeholder.
        wanted = Groups::from([(ports, Vec::new())]);
    }
    for (ports, endpoints) in wanted {
        let slices = by_ports.remove(&ports).unwrap_or_default();
        steps.extend(pack_group(mould, family, &ports, slices, endpoints, placeholder));
    }
    steps.extend(by_ports.into_values().flatten().map(|slice| Step::of(Action::delete(slice.as_ref()))));
    steps
}

#[expect(clippy::too_many_arguments, reason = "one call, each argument a different noun")]
fn pack_group(
    mould: &Mould,
    family: Family,
    ports: &[Port],
    slices: Vec<Arc<EndpointSlice>>,
    endpoints: Vec<Endpoint>,
    placeholder: bool,
) -> Vec<Step> {
    let mut wanted: BTreeMap<Vec<String>, Endpoint> = endpoints.into_iter().map(|one| (identity(&one), one)).collect();
    let (mut touched, mut untouched) = (Vec::new(), Vec::new());
    for slice in slices {
        let old = slice.endpoints.clone().unwrap_or_default();
        let kept: Vec<Endpoint> = old.iter().filter_map(|one| wanted.remove(&identity(one))).collect();
        let labels_stand = slice.metadata.labels == mould.metadata.labels;
        if kept == old && labels_stand && old.len() <= ENDPOINTS_PER_SLICE_MAX {
            untouched.push((slice, kept));
        } else {
            touched.push((slice, kept));
        }
    }
    // A slice that somebody overfilled gives up what is too much.
    let overflow =
        |(_, kept): &mut (Arc<EndpointSlice>, Vec<Endpoint>)| kept.split_off(kept.len().min(ENDPOINTS_PER_SLICE_MAX));
    let surplus: Vec<Endpoint> = touched.iter_mut().flat_map(overflow).collect();
    let mut fresh = wanted.into_values().chain(surplus).collect::<Vec<_>>().into_iter();
    for (_, kept) in &mut touched {
        kept.extend(fresh.by_ref().take(ENDPOINTS_PER_SLICE_MAX - kept.len()));
    }
    // What fits into the fullest slice that can take all of it goes there, the rest into new slices.
    let left = fresh.len();
    untouched.sort_by_key(|(_, kept)| std::cmp::Reverse(kept.len()));
    if left > 0
        && let Some(place) = untouched.iter().position(|(_, kept)| kept.len() + left <= ENDPOINTS_PER_SLICE_MAX)
    {
        let (slice, mut kept) = untouched.remove(place);
        kept.extend(fresh.by_ref());
        touched.push((slice, kept));
    }
    let mut survivors = untouched.iter().filter(|(_, kept)| !kept.is_empty() || placeholder).count();
    let mut steps: Vec<Step> = Vec::new();
    let emptied = untouched.into_iter().filter(|(_, kept)| kept.is_empty() && !placeholder);
    for (slice, kept) in touched.into_iter().chain(emptied) {
        if kept.is_empty() && !(placeholder && survivors == 0) {
            steps.push(Step::of(Action::delete(slice.as_ref())));
            continue;
        }
        survivors += 1;
        steps.push(Step::of(Action::update(remade(mould, &slice, kept))));
    }
    let mut rest: Vec<Endpoint> = fresh.collect();
    while !rest.is_empty() || (placeholder && survivors == 0) {
        let tail = rest.split_off(rest.len().min(ENDPOINTS_PER_SLICE_MAX));
        steps.push(Step::of(Action::create(cast(mould, family, ports, rest))));
        rest = tail;
        survivors += 1;
    }
    steps
}

/// An endpoint is the same as long as it leads to the same pod; hand-made ones are known by their addresses.
fn identity(endpoint: &Endpoint) -> Vec<String> {
    match endpoint.target_ref.as_ref().and_then(|target| target.uid.clone()) {
        Some(uid) => vec![uid],
        None => endpoint.addresses.clone(),
    }
}

fn remade(mould: &Mould, slice: &EndpointSlice, endpoints: Vec<Endpoint>) -> EndpointSlice {
    let mut remade = slice.clone();
    remade.metadata.labels.clone_from(&mould.metadata.labels);
    for (key, value) in mould.metadata.annotations.iter().flatten() {
        plan::meta::set_annotation(&mut remade.metadata, key, value);
    }
    remade.endpoints = Some(endpoints);
    remade
}

fn cast(mould: &Mould, family: Family, ports: &[Port], endpoints: Vec<Endpoint>) -> EndpointSlice {
    let port = |port: &Port| EndpointPort {
        name: Some(port.name.clone()),
        port: Some(port.number),
        protocol: Some(port.protocol.clone()),
        app_protocol: port.app_protocol.clone(),
    };
    EndpointSlice {
        metadata: mould.metadata.clone(),
        address_type: family.as_str().to_owned(),
        endpoints: Some(endpoints),
        ports: Some(ports.iter().map(port).collect()),
    }
}

fn ports_of(slice: &EndpointSlice) -> Vec<Port> {
    let port = |port: &EndpointPort| Port {
        name: port.name.clone().unwrap_or_default(),
        number: port.port.unwrap_or_default(),
        protocol: port.protocol.clone().unwrap_or_else(|| "TCP".to_owned()),
        app_protocol: port.app_protocol.clone(),
    };
    let mut ports: Vec<Port> = slice.ports.iter().flatten().map(port).collect();
    ports.sort();
    ports
}
