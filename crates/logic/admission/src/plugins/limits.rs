//! LimitRanger: fills in what containers do not ask for, and bounds what they may.

use kind::{Operation, Refusal};
use object::Meta;
use object::Value;
use object::quantity::Quantity;

use crate::amounts::{self, Amounts};
use crate::request::{Fact, Facts, Notes, Request};
use crate::tree;

const ANNOTATION: &str = "kubernetes.io/limit-ranger";

/// Which object a request is about, when limits apply to it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Limited {
    Pod,
    Claim,
}

fn limited(request: &Request<'_>) -> Option<Limited> {
    if request.old.is_some_and(|old| Meta::of(old).is_deleting()) {
        return None;
    }
    match (request.operation, request.subresource) {
        (Operation::Create, "") | (Operation::Update, "resize") if request.is("", "pods") => Some(Limited::Pod),
        (_, "") if request.is("", "persistentvolumeclaims") => Some(Limited::Claim),
        _ => None,
    }
}

pub(super) fn mutate(
    request: &Request<'_>,
    facts: &dyn Facts,
    pod: &mut Value,
    _notes: &mut Notes,
) -> Result<(), Refusal> {
    if limited(request) != Some(Limited::Pod) {
        return Ok(());
    }
    for range in facts.list(Fact::LimitRange, request.namespace) {
        let (mut requests, mut limits) = (Amounts::default(), Amounts::default());
        for limit in range.list_at(&["spec", "limits"]).iter().filter(|limit| of_type(limit) == "Container") {
            requests.0.extend(Amounts::at(limit, &["defaultRequest"]).0);
            limits.0.extend(Amounts::at(limit, &["default"]).0);
        }
        let mut changes = Vec::new();
        for (field, title) in [("containers", "container"), ("initContainers", "init container")] {
            let containers = pod.at_mut(&["spec", field]).and_then(Value::as_list_mut);
            for container in containers.into_iter().flatten() {
                let name = tree::text(container, &["name"]).to_owned();
                for (which, kind, defaults) in [("requests", "request", &requests), ("limits", "limit", &limits)] {
                    let set = fill(container, which, defaults);
                    if !set.is_empty() {
                        changes.push(format!("{} {kind} for {title} {name}", set.join(", ")));
                    }
                }
            }
        }
        if !changes.is_empty() {
            let text = format!("LimitRanger plugin set: {}", changes.join("; "));
            pod.set(&["metadata", "annotations", ANNOTATION], text);
        }
    }
    Ok(())
}

/// Sets what `defaults` has and the container has not; the names set.
fn fill(container: &mut Value, which: &str, defaults: &Amounts) -> Vec<String> {
    let mut set = Vec::new();
    for (name, amount) in &defaults.0 {
        if container.at(&["resources", which, name]).is_none() {
            container.set(&["resources", which, name], amount.text());
            set.push(name.to_string());
        }
    }
    set
}

pub(super) fn validate(
    request: &Request<'_>,
    facts: &dyn Facts,
    object: &Value,
    _notes: &mut Notes,
) -> Result<(), Refusal> {
    let Some(limited) = limited(request) else { return Ok(()) };
    for range in facts.list(Fact::LimitRange, request.namespace) {
        let problems: Vec<String> = range
            .list_at(&["spec", "limits"])
            .iter()
            .flat_map(|limit| match limited {
                Limited::Pod => pod_problems(limit, object),
                Limited::Claim => claim_problems(limit, object),
            })
            .collect();
        match problems.as_slice() {
            [] => {}
            [one] => return Err(request.forbidden(Some(object), one.clone())),
            many => return Err(request.forbidden(Some(object), format!("[{}]", many.join(", ")))),
        }
    }
    Ok(())
}

fn of_type(limit: &Value) -> &str {
    tree::text(limit, &["type"])
}

fn pod_problems(limit: &Value, pod: &Value) -> Vec<String> {
    let Some(spec) = pod.get("spec") else { return Vec::new() };
    match of_type(limit) {
        "Container" => ["containers", "initContainers"]
            .into_iter()
            .flat_map(|field| spec.list_at(&[field]))
            .flat_map(|container| {
                let of = |which| Amounts::at(container, &["resources", which]);
                Check { limit, requests: of("requests"), limits: of("limits") }.problems()
            })
            .collect(),
        "Pod" => {
            let of = |which| amounts::of_pod(spec, which);
            Check { limit, requests: of("requests"), limits: of("limits") }.problems()
        }
        _ => Vec::new(),
    }
}

fn claim_problems(limit: &Value, claim: &Value) -> Vec<String> {
    if of_type(limit) != "PersistentVolumeClaim" {
        return Vec::new();
    }
    let requests = Amounts::at(claim, &["spec", "resources", "requests"]);
    let check = Check { limit, requests, limits: Amounts::default() };
    let least = Amounts::at(limit, &["min"]);
    let most = Amounts::at(limit, &["max"]);
    let below = least.0.iter().filter_map(|(name, bound)| check.below(name, bound));
    below.chain(most.0.iter().filter_map(|(name, bound)| check.requests_above(name, bound))).collect()
}

/// One entry of a limit range against what somebody asks for.
struct Check<'a> {
    limit: &'a Value,
    requests: Amounts,
    limits: Amounts,
}

impl Check<'_> {
    fn problems(&self) -> Vec<String> {
        let bounds = |field| Amounts::at(self.limit, &[field]);
        let mut problems: Vec<String> = Vec::new();
        problems.extend(bounds("min").0.iter().filter_map(|(name, bound)| self.below(name, bound)));
        problems.extend(bounds("max").0.iter().filter_map(|(name, bound)| self.above(name, bound)));
        let ratios = bounds("maxLimitRequestRatio");
        problems.extend(ratios.0.iter().filter_map(|(name, bound)| self.apart(name, bound)));
        problems
    }

    fn below(&self, name: &str, bound: &Quantity) -> Option<String> {
        let head = format!("minimum {name} usage per {} is {bound}", of_type(self.limit));
        match (self.requests.get(name), self.limits.get(name)) {
            (None, _) => Some(format!("{head}.  No request is specified")),
            (Some(request), _) if request < bound => Some(format!("{head}, but request is {request}")),
            (_, Some(limit)) if limit < bound => Some(format!("{head}, but limit is {limit}")),
            _ => None,
        }
    }

    fn above(&self, name: &str, bound: &Quantity) -> Option<String> {
        let head = format!("maximum {name} usage per {} is {bound}", of_type(self.limit));
        match (self.limits.get(name), self.requests.get(name)) {
            (None, _) => Some(format!("{head}.  No limit is specified")),
            (Some(limit), _) if limit > bound => Some(format!("{head}, but limit is {limit}")),
            (_, Some(request)) if request > bound => Some(format!("{head}, but request is {request}")),
            _ => None,
        }
    }

    fn requests_above(&self, name: &str, bound: &Quantity) -> Option<String> {
        let head = format!("maximum {name} usage per {} is {bound}", of_type(self.limit));
        match self.requests.get(name) {
            None => Some(format!("{head}.  No request is specified")),
            Some(request) if request > bound => Some(format!("{head}, but request is {request}")),
            Some(_) => None,
        }
    }

    fn apart(&self, name: &str, bound: &Quantity) -> Option<String> {
        let head = format!("{name} max limit to request ratio per {} is {bound}", of_type(self.limit));
        let positive = |amounts: &Amounts| amounts.get(name).map(Quantity::nanos).filter(|nanos| *nanos != 0);
        let Some(request) = positive(&self.requests) else {
            return Some(format!("{head}, but no request is specified or request is 0"));
        };
        let Some(limit) = positive(&self.limits) else {
            return Some(format!("{head}, but no limit is specified or limit is 0"));
        };
        // A ratio is a quantity too: compare in whole numbers, print as upstream does.
        let exceeds = limit.saturating_mul(1_000_000_000) > bound.nanos().saturating_mul(request);
        exceeds.then(|| format!("{head}, but provided ratio is {:.6}", limit as f64 / request as f64))
    }
}
