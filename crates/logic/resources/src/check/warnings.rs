//! What clients should know about objects that are accepted, beyond pods.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use kind::Context;
use object::{Quantity, Value};

use super::podwarnings::old_label;
use super::spot::Spot;
use super::{addresses, keypair};

/// A CSIDriver that asks for tokens without saying where they go.
pub(crate) fn csi_driver(_context: &Context<'_>, driver: &Value, old: Option<&Value>) -> Vec<String> {
    const TOKENS: [&str; 2] = ["spec", "tokenRequests"];
    let spec = Spot::root(driver).at("spec");
    let asks = !spec.at("tokenRequests").is_empty() && !spec.at("serviceAccountTokenInSecrets").is_set();
    if !asks || old.is_some_and(|old| old.at(&TOKENS) == driver.at(&TOKENS)) {
        return Vec::new();
    }
    vec![
        "spec.serviceAccountTokenInSecrets is unset; if supported by this CSI driver, set to true to prevent possible logging \
         of tokens in volume attributes"
            .to_owned(),
    ]
}

/// A Secret for TLS whose certificate and key do not make a pair.
pub(crate) fn secret(_context: &Context<'_>, secret: &Value, _old: Option<&Value>) -> Vec<String> {
    if secret.str_at(&["type"]) != Some("kubernetes.io/tls") {
        return Vec::new();
    }
    let text = |key: &str| {
        let bytes = STANDARD.decode(secret.str_at(&["data", key]).unwrap_or_default()).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    };
    keypair::problem(&text("tls.crt"), &text("tls.key")).into_iter().collect()
}

/// A ResourceQuota that lets more be requested than limits allow.
pub(crate) fn resource_quota(_context: &Context<'_>, quota: &Value, old: Option<&Value>) -> Vec<String> {
    let hard = |name: &str| -> Option<Quantity> { crate::tree::quantity(quota.at(&["spec", "hard", name])?) };
    if old.is_some() {
        return Vec::new();
    }
    let mut warnings = Vec::new();
    for name in ["cpu", "memory", "storage", "ephemeral-storage"] {
        let bare = name.to_owned();
        let names = [Some(format!("requests.{name}")), matches!(name, "cpu" | "memory").then_some(bare)];
        let requested = names.into_iter().flatten().find_map(|name| hard(&name).map(|amount| (name, amount)));
        let limit = format!("limits.{name}");
        if let (Some((request, amount)), Some(bound)) = (requested, hard(&limit))
            && amount > bound
        {
            warnings.push(format!("ResourceQuota {request} ({amount}) should be less than {limit} ({bound})"));
        }
    }
    warnings
}

/// An Ingress that names its class in the old way.
pub(crate) fn ingress(_context: &Context<'_>, ingress: &Value, old: Option<&Value>) -> Vec<String> {
    const CLASS: &str = "kubernetes.io/ingress.class";
    let annotated = ingress.at(&["metadata", "annotations", CLASS]).is_some();
    if old.is_some() || !annotated || Spot::root(ingress).at("spec.ingressClassName").is_set() {
        return Vec::new();
    }
    vec![format!("annotation {CLASS:?} is deprecated, please use 'spec.ingressClassName' instead")]
}

/// A NetworkPolicy whose ranges are written unusually.
pub(crate) fn network_policy(_context: &Context<'_>, policy: &Value, _old: Option<&Value>) -> Vec<String> {
    let (spec, mut warnings) = (Spot::root(policy).at("spec"), Vec::new());
    for (rules, peers) in [("ingress", "from"), ("egress", "to")] {
        let rules = spec.at(rules).items().map(|rule| rule.at(peers));
        for block in rules.flat_map(|peers| peers.items().collect::<Vec<_>>()).map(|peer| peer.at("ipBlock")) {
            addresses::odd_cidr(&block.at("cidr"), &mut warnings);
            block.at("except").items().for_each(|except| addresses::odd_cidr(&except, &mut warnings));
        }
    }
    warnings
}

/// The label by which controllers mark what they make.
fn is_made_by(object: &Value, label: &str, makers: &[&str]) -> bool {
    object.str_at(&["metadata", "labels", label]).is_some_and(|maker| makers.contains(&maker))
}

/// An EndpointSlice whose addresses are written unusually. What controllers make is written well.
pub(crate) fn endpoint_slice(_context: &Context<'_>, slice: &Value, _old: Option<&Value>) -> Vec<String> {
    const MAKERS: [&str; 2] = ["endpointslice-controller.k8s.io", "endpointslicemirroring-controller.k8s.io"];
    let mut warnings = Vec::new();
    if slice.str_at(&["addressType"]) == Some("FQDN") {
        warnings.push("spec.addressType: FQDN endpoints are deprecated".to_owned());
    }
    if !is_made_by(slice, "endpointslice.kubernetes.io/managed-by", &MAKERS) {
        for endpoint in Spot::root(slice).at("endpoints").items() {
            endpoint.at("addresses").items().for_each(|address| addresses::odd_address(&address, &mut warnings));
        }
    }
    warnings
}

/// Endpoints whose addresses are written unusually.
pub(crate) fn endpoints(_context: &Context<'_>, endpoints: &Value, _old: Option<&Value>) -> Vec<String> {
    let mut warnings = Vec::new();
    if !is_made_by(endpoints, "endpoints.kubernetes.io/managed-by", &["endpoint-controller"]) {
        for subset in Spot::root(endpoints).at("subsets").items() {
            for list in ["addresses", "notReadyAddresses"] {
                subset.at(list).items().for_each(|item| addresses::odd_address(&item.at("ip"), &mut warnings));
            }
        }
    }
    warnings
}

/// A StorageClass that chooses nodes by labels that have better names.
pub(crate) fn storage_class(_context: &Context<'_>, class: &Value, _old: Option<&Value>) -> Vec<String> {
    let terms = Spot::root(class).at("allowedTopologies");
    let expressions = terms.items().flat_map(|term| term.at("matchLabelExpressions").items().collect::<Vec<_>>());
    let keys = expressions.map(|expression| expression.at("key"));
    keys.filter_map(|key| Some(format!("{}: {}", key.path, old_label(key.text())?))).collect()
}

/// A RuntimeClass that does so.
pub(crate) fn runtime_class(_context: &Context<'_>, class: &Value, _old: Option<&Value>) -> Vec<String> {
    let selector = Spot::root(class).at("scheduling.nodeSelector");
    let path = selector.path.clone();
    selector.entries().filter_map(|(key, _)| Some(format!("{path}: {}", old_label(key)?))).collect()
}

/// Annotations of volumes that have become fields; claims have only the first.
const OLD_ANNOTATIONS: [(&str, &str); 2] = [
    ("volume.beta.kubernetes.io/storage-class", "deprecated since v1.8; use \"storageClassName\" attribute instead"),
    ("volume.beta.kubernetes.io/mount-options", "deprecated since v1.31; use \"mountOptions\" attribute instead"),
];

fn annotations(object: &Spot<'_>, old: &[(&str, &str)]) -> Vec<String> {
    let annotations = object.at("metadata.annotations");
    let set = old.iter().filter(|(key, _)| annotations.value.is_some_and(|known| known.get(key).is_some()));
    set.map(|(key, advice)| format!("{}: {advice}", annotations.path.key(key))).collect()
}

/// A claim of storage in parts of bytes.
pub(crate) fn claim(_context: &Context<'_>, claim: &Value, _old: Option<&Value>) -> Vec<String> {
    let object = Spot::root(claim);
    let mut warnings = annotations(&object, &OLD_ANNOTATIONS[..1]);
    for list in ["requests", "limits"] {
        let list = object.at("spec.resources").at(list);
        for (_, amount) in list.entries().filter(|(name, _)| *name == "storage") {
            if amount.quantity().is_some_and(|amount| amount.nanos() % 1_000_000_000 != 0) {
                let text = amount.text();
                warnings
                    .push(format!("{}: fractional byte value {text:?} is invalid, must be an integer", amount.path));
            }
        }
    }
    warnings
}

/// A PersistentVolume that is used up, or says things in old ways.
pub(crate) fn volume(_context: &Context<'_>, volume: &Value, _old: Option<&Value>) -> Vec<String> {
    let object = Spot::root(volume);
    let mut warnings = annotations(&object, &OLD_ANNOTATIONS);
    let policy = object.at("spec.persistentVolumeReclaimPolicy");
    if policy.text() == "Recycle" {
        warnings.push(format!(
            "{}: The Recycle reclaim policy is deprecated. Instead, the recommended approach is to use dynamic provisioning.",
            policy.path
        ));
    }
    warnings
}
