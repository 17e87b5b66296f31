//! Pod specs, wherever one stands.

use std::collections::{BTreeMap, BTreeSet};

use kind::Problem;
use object::names;

use super::spot::{Problems, Spot};
use super::{addresses, affinity, amounts, container, formats, podvolumes, security};

const NAMESERVERS_MAX: usize = 3;
const SEARCHES_MAX: usize = 32;
/// What a search is that is no domain.
const SEARCH_SHAPE: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '_', '-' or '.', \
                            and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation \
                            is '_?[a-z0-9]([-_a-z0-9]*[a-z0-9])?(\\._?[a-z0-9]([-_a-z0-9]*[a-z0-9])?)*')";
const SEARCH_CHARACTERS_MAX: usize = 2048;

/// What containers are checked against.
#[derive(Debug)]
pub(crate) struct Scope<'a> {
    pub volumes: BTreeMap<&'a str, Spot<'a>>,
    pub claims: BTreeSet<&'a str>,
    pub grace_seconds: Option<i64>,
    pub restart_policy: &'a str,
    pub host_users: bool,
}

/// A pod template, at `path` of its owner.
pub(crate) fn template(template: &Spot<'_>, out: &mut Problems) {
    formats::labels(&template.at("metadata.labels").moved(template.path.field("labels")), out);
    formats::annotations(&template.at("metadata.annotations").moved(template.path.field("annotations")), out);
    let spec = template.at("spec");
    check(&spec, false, out);
    if !spec.at("ephemeralContainers").is_empty() {
        spec.at("ephemeralContainers").forbidden(out, "ephemeral containers not allowed in pod template");
    }
}

/// A pod spec; `of_pod` when it is a pod's own.
pub(crate) fn check(spec: &Spot<'_>, of_pod: bool, out: &mut Problems) {
    let grace = spec.at("terminationGracePeriodSeconds");
    if !grace.is_set() {
        grace.required(out, "");
    }
    let scope = Scope {
        volumes: podvolumes::by_name(&spec.at("volumes")),
        claims: spec.at("resourceClaims").items().map(|claim| claim.at("name").text()).collect(),
        grace_seconds: grace.int(),
        restart_policy: spec.at("restartPolicy").text(),
        host_users: !spec.at("hostUsers").is_set() || spec.at("hostUsers").flag(),
    };
    podvolumes::check(&spec.at("volumes"), out);
    resource_claims(&spec.at("resourceClaims"), out);
    container::regular(&spec.at("containers"), &scope, out);
    container::initial(&spec.at("initContainers"), &spec.at("containers"), &scope, out);
    container::ephemeral(spec, &scope, out);
    if spec.at("resources").is_set() {
        amounts::pod(&spec.at("resources"), out);
    }
    host_network(spec, of_pod, out);
    spec.at("restartPolicy").choice(out, &["Always", "OnFailure", "Never"]);
    spec.at("dnsPolicy").choice(out, &["ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"]);
    formats::labels(&spec.at("nodeSelector"), out);
    security::pod(spec, out);
    affinity::check(&spec.at("affinity"), out);
    dns(spec, out);
    gates(spec, out);
    affinity::spread(&spec.at("topologySpreadConstraints"), out);
    security::host_users(spec, out);
    names_in(spec, out);
    deadline(spec, out);
    tolerations(&spec.at("tolerations"), out);
    host_aliases(&spec.at("hostAliases"), out);
    spec.at("preemptionPolicy").option(out, &["PreemptLowerPriority", "Never"]);
    for (name, amount) in spec.at("overhead").entries() {
        amounts::amount(name, &amount, out);
    }
    operating_system(spec, out);
}

fn operating_system(spec: &Spot<'_>, out: &mut Problems) {
    let os = spec.at("os");
    if !os.is_set() {
        return;
    }
    let name = os.at("name").text();
    if name.is_empty() {
        out.push(Problem::required(os.path.field("name"), "cannot be empty"));
    } else if !matches!(name, "linux" | "windows") {
        out.push(Problem::not_supported(os.path.clone(), name, &["linux", "windows"]));
    }
    if name == "linux" && spec.at("securityContext.windowsOptions").is_set() {
        spec.at("securityContext.windowsOptions").forbidden(out, "windows options cannot be set for a linux pod");
    }
}

fn names_in(spec: &Spot<'_>, out: &mut Problems) {
    for field in ["serviceAccountName", "nodeName", "priorityClassName", "runtimeClassName"] {
        let name = spec.at(field);
        if !name.text().is_empty() || (field == "runtimeClassName" && name.is_set()) {
            name.subdomain(out);
        }
    }
    for field in ["hostname", "subdomain"] {
        if !spec.at(field).text().is_empty() {
            spec.at(field).label(out);
        }
    }
}

fn deadline(spec: &Spot<'_>, out: &mut Problems) {
    spec.at("activeDeadlineSeconds").within(out, 1, i64::from(i32::MAX));
}

fn resource_claims(claims: &Spot<'_>, out: &mut Problems) {
    let mut seen = BTreeSet::new();
    for claim in claims.items() {
        let name = claim.at("name");
        if name.need(out) {
            if seen.insert(name.text()) {
                name.label(out);
            } else {
                name.duplicate(out);
            }
        }
        let (direct, template) = (claim.at("resourceClaimName"), claim.at("resourceClaimTemplateName"));
        match (direct.is_set(), template.is_set()) {
            (true, true) => {
                claim
                    .invalid(out, "at most one of `resourceClaimName` or `resourceClaimTemplateName` may be specified");
            }
            (false, false) => {
                claim.invalid(out, "must specify one of: `resourceClaimName`, `resourceClaimTemplateName`");
            }
            _ => {}
        }
        for name in [direct, template] {
            if name.is_set() {
                name.subdomain(out);
            }
        }
    }
}

fn host_network(spec: &Spot<'_>, of_pod: bool, out: &mut Problems) {
    if !spec.at("hostNetwork").flag() {
        return;
    }
    for port in spec.at("containers").items().flat_map(|container| container.at("ports").items()) {
        let (host, own) = (port.at("hostPort"), port.at("containerPort"));
        let number = host.int().unwrap_or(0);
        if (of_pod || number != 0) && number != own.int().unwrap_or(0) {
            let detail = "must match `containerPort` when `hostNetwork` is true";
            out.push(Problem::invalid(host.path, number, detail));
        }
    }
}

fn dns(spec: &Spot<'_>, out: &mut Problems) {
    let config = spec.at("dnsConfig");
    let (servers, searches) = (config.at("nameservers"), config.at("searches"));
    if spec.at("dnsPolicy").text() == "None" {
        if !config.is_set() {
            config.required(out, "must provide `dnsConfig` when `dnsPolicy` is None");
            return;
        }
        if servers.is_empty() {
            servers.required(out, "must provide at least one DNS nameserver when `dnsPolicy` is None");
            return;
        }
    }
    if servers.len() > NAMESERVERS_MAX {
        servers.invalid(out, format!("must not have more than {NAMESERVERS_MAX} nameservers"));
    }
    for server in servers.items() {
        addresses::address(&server, out);
    }
    if searches.len() > SEARCHES_MAX {
        searches.invalid(out, format!("must not have more than {SEARCHES_MAX} search paths"));
    }
    if searches.texts().map(|search| search.len() + 1).sum::<usize>() > SEARCH_CHARACTERS_MAX + 1 {
        searches.invalid(
            out,
            format!("must not have more than {SEARCH_CHARACTERS_MAX} characters (including spaces) in the search list"),
        );
    }
    for search in searches.items() {
        let name = search.text().strip_suffix('.').unwrap_or_else(|| search.text());
        // Labels of searches may contain underscores.
        if search.text() != "." && !names::dns_subdomain(&name.replace('_', "a")).is_empty() {
            let mut complaints = names::dns_subdomain(name);
            if let Some(shape) = complaints.last_mut().filter(|text| text.contains("regex")) {
                *shape = SEARCH_SHAPE.to_owned();
            }
            search.complain(out, complaints);
        }
    }
    for option in config.at("options").items() {
        if option.at("name").is_empty() {
            option.required(out, "must not be empty");
        }
    }
}

fn gates(spec: &Spot<'_>, out: &mut Problems) {
    for gate in spec.at("readinessGates").items() {
        gate.at("conditionType").qualified(out);
    }
    let mut seen = BTreeSet::new();
    for gate in spec.at("schedulingGates").items() {
        let name = gate.at("name").moved(gate.path.clone());
        name.qualified(out);
        if !seen.insert(name.text()) {
            name.duplicate(out);
        }
    }
}

/// Tolerations of taints.
pub(crate) fn tolerations(list: &Spot<'_>, out: &mut Problems) {
    for toleration in list.items() {
        let (key, operator) = (toleration.at("key"), toleration.at("operator"));
        let (value, effect) = (toleration.at("value"), toleration.at("effect"));
        let path = toleration.path.field("operator");
        if !key.text().is_empty() {
            key.qualified(out);
        } else if operator.text() != "Exists" {
            let detail = "operator must be Exists when `key` is empty, which means \"match all values and all keys\"";
            out.push(Problem::invalid(path.clone(), operator.text(), detail));
        }
        if toleration.at("tolerationSeconds").is_set() && effect.text() != "NoExecute" {
            let detail = "effect must be 'NoExecute' when `tolerationSeconds` is set";
            out.push(Problem::invalid(toleration.path.field("effect"), effect.text(), detail));
        }
        match operator.text() {
            "" | "Equal" => {
                let complaints = names::label_value(value.text());
                if !complaints.is_empty() {
                    out.push(Problem::invalid(path, value.text(), complaints.join(";")));
                }
            }
            "Exists" if value.text().is_empty() => {}
            "Exists" => {
                out.push(Problem::invalid(path, value.text(), "value must be empty when `operator` is 'Exists'"));
            }
            _ => operator.option(out, &["Equal", "Exists"]),
        }
        if !effect.text().is_empty() {
            effect.option(out, &["NoSchedule", "PreferNoSchedule", "NoExecute"]);
        }
    }
}

fn host_aliases(list: &Spot<'_>, out: &mut Problems) {
    for alias in list.items() {
        addresses::address(&alias.at("ip").or_empty(), out);
        for name in alias.at("hostnames").items() {
            name.subdomain(out);
        }
    }
}
