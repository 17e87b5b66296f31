//! Requests and limits of resources.

use kind::Problem;
use object::names;

use super::spot::{Problems, Spot};
use super::trail::Trail;
use crate::core::podlevel::{huge_pages, pod_level};

/// Whether a resource is one of Kubernetes' own, without a domain or in its own.
fn native(name: &str) -> bool {
    !name.contains('/') || name.contains("kubernetes.io/")
}

/// Whether a resource is a device or the like, counted in whole numbers.
fn extended(name: &str) -> bool {
    !native(name) && !name.starts_with("requests.") && names::qualified_name(&format!("requests.{name}")).is_empty()
}

/// Whether limits of the resource may exceed its requests.
fn overcommits(name: &str) -> bool {
    native(name) && !huge_pages(name)
}

/// The name of a resource that a container may ask for.
fn container_resource(name: &str, path: &Trail<'_>, out: &mut Problems) {
    for text in names::qualified_name(name) {
        out.push(Problem::invalid(path.clone(), name, text));
    }
    let standard = matches!(name, "cpu" | "memory" | "ephemeral-storage") || huge_pages(name);
    if (!name.contains('/') && !standard) || (name.contains('/') && native(name)) {
        out.push(Problem::invalid(path.clone(), name, "must be a standard resource for containers"));
    } else if name.contains('/') && !extended(name) {
        out.push(Problem::invalid(path.clone(), name, "doesn't follow extended resource name standard"));
    }
}

/// An amount of the resource `name`.
pub(crate) fn amount(name: &str, spot: &Spot<'_>, out: &mut Problems) {
    let Some(quantity) = spot.quantity() else { return };
    if quantity.sign().is_lt() {
        spot.invalid(out, "must be greater than or equal to 0");
    }
    let whole =
        extended(name) || matches!(name, "pods" | "services" | "secrets" | "configmaps" | "replicationcontrollers");
    if whole && quantity.nanos() % 1_000_000_000 != 0 {
        spot.invalid(out, "must be an integer");
    }
}

/// Requests and limits of a container.
pub(crate) fn container(resources: &Spot<'_>, out: &mut Problems) {
    requirements(resources, out, container_resource);
}

/// Requests and limits of a pod as a whole.
pub(crate) fn pod(resources: &Spot<'_>, out: &mut Problems) {
    if resources.at("claims").is_set() {
        resources.at("claims").forbidden(out, "claims cannot be set for Resources at pod-level");
    }
    requirements(resources, out, |name, path, out| {
        if !pod_level(name) {
            out.push(Problem::not_supported(path.clone(), name, &["cpu", "hugepages-", "memory"]));
        }
    });
}

fn requirements(resources: &Spot<'_>, out: &mut Problems, check_name: fn(&str, &Trail<'_>, &mut Problems)) {
    let (limits, requests) = (resources.at("limits"), resources.at("requests"));
    let (mut paged, mut sized) = (false, false);
    for (name, limit) in limits.entries() {
        check_name(name, &limits.path, out);
        amount(name, &limit, out);
        paged |= huge_pages(name);
        sized |= matches!(name, "cpu" | "memory");
    }
    for (name, request) in requests.entries() {
        check_name(name, &requests.path, out);
        amount(name, &request, out);
        paged |= huge_pages(name);
        sized |= matches!(name, "cpu" | "memory");
        let limit = limits.value.and_then(|limits| limits.get(name)).and_then(crate::tree::quantity);
        let Some(asked) = request.quantity() else { continue };
        match limit {
            Some(limit) if asked != limit && !overcommits(name) => {
                out.push(Problem::invalid(
                    requests.path.clone(),
                    asked.text(),
                    format!("must be equal to {name} limit of {limit}"),
                ));
            }
            Some(limit) if asked > limit => {
                let detail = format!("must be less than or equal to {name} limit of {limit}");
                out.push(Problem::invalid(requests.path.clone(), asked.text(), detail));
            }
            None if !overcommits(name) => {
                limits.required(out, "Limit must be set for non overcommitable resources");
            }
            _ => {}
        }
    }
    if paged && !sized {
        resources.forbidden(out, "HugePages require cpu or memory");
    }
}
