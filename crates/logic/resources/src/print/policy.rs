//! Tables of the kinds that say who may do what, and when.

use kind::{AGE, Cell, Column, NAME};
use object::{Meta, Value};

use super::{NONE, UNSET, column, condition, count, name, number, shown, text_or, wide};
use crate::tree::{empty, flag, text, unset};

pub(crate) const DISRUPTION_BUDGET: &[Column] = &[
    NAME,
    column("Min Available", "string", "Pods that must stay."),
    column("Max Unavailable", "string", "Pods that may go."),
    column("Allowed Disruptions", "integer", "Pods that may go now."),
    AGE,
];

pub(crate) fn disruption_budget(budget: &Value) -> Vec<Cell> {
    let bound = |field: &str| {
        let bound = budget.at(&["spec", field]).filter(|bound| !bound.is_null());
        Cell::from(bound.map_or_else(|| "N/A".to_owned(), shown))
    };
    vec![
        name(budget),
        bound("minAvailable"),
        bound("maxUnavailable"),
        Cell::from(number(budget, &["status", "disruptionsAllowed"])),
        kind::age(budget),
    ]
}

pub(crate) const BINDING: &[Column] = &[
    NAME,
    column("Role", "string", "The role that is given."),
    AGE,
    wide("Users", "string", "Users that it is given to."),
    wide("Groups", "string", "Groups that it is given to."),
    wide("ServiceAccounts", "string", "Service accounts that it is given to."),
];

pub(crate) fn binding(binding: &Value) -> Vec<Cell> {
    let subjects = |kind: &str| {
        let of_kind = binding.list_at(&["subjects"]).iter().filter(|subject| text(subject, &["kind"]) == kind);
        let names: Vec<String> = of_kind
            .map(|subject| match (kind, text(subject, &["namespace"])) {
                ("ServiceAccount", namespace) if !namespace.is_empty() => {
                    format!("{namespace}/{}", text(subject, &["name"]))
                }
                _ => text(subject, &["name"]).to_owned(),
            })
            .collect();
        Cell::from(names.join(", "))
    };
    let role = format!("{}/{}", text(binding, &["roleRef", "kind"]), text(binding, &["roleRef", "name"]));
    vec![
        name(binding),
        Cell::from(role),
        kind::age(binding),
        subjects("User"),
        subjects("Group"),
        subjects("ServiceAccount"),
    ]
}

pub(crate) const LEASE: &[Column] = &[NAME, column("Holder", "string", "Who holds it."), AGE];

pub(crate) fn lease(lease: &Value) -> Vec<Cell> {
    vec![name(lease), Cell::from(text(lease, &["spec", "holderIdentity"])), kind::age(lease)]
}

pub(crate) const PRIORITY_CLASS: &[Column] = &[
    NAME,
    column("Value", "integer", "The priority; more is more important."),
    column("Global-Default", "boolean", "Whether pods that name no class have it."),
    AGE,
    column("PreemptionPolicy", "string", "Whether its pods may displace others."),
];

pub(crate) fn priority_class(class: &Value) -> Vec<Cell> {
    vec![
        name(class),
        Cell::from(number(class, &["value"])),
        Cell::from(flag(class, &["globalDefault"])),
        kind::age(class),
        Cell::from(text(class, &["preemptionPolicy"])),
    ]
}

pub(crate) const RUNTIME_CLASS: &[Column] =
    &[NAME, column("Handler", "string", "What the container runtime calls it."), AGE];

pub(crate) fn runtime_class(class: &Value) -> Vec<Cell> {
    vec![name(class), Cell::from(text(class, &["handler"])), kind::age(class)]
}

pub(crate) const SIGNING_REQUEST: &[Column] = &[
    NAME,
    AGE,
    column("SignerName", "string", "Who shall sign."),
    column("Requestor", "string", "Who asks."),
    column("RequestedDuration", "string", "For how long the certificate shall be valid."),
    column("Condition", "string", "What has been decided and done."),
];

pub(crate) fn signing_request(request: &Value) -> Vec<Cell> {
    let seconds = request.int_at(&["spec", "expirationSeconds"]);
    let has = |kind: &str| condition(request, kind).is_some();
    let mut state = match (has("Denied"), has("Approved")) {
        (true, _) => "Denied",
        (false, true) => "Approved",
        (false, false) => "Pending",
    }
    .to_owned();
    if has("Failed") {
        state.push_str(",Failed");
    }
    if !text(request, &["status", "certificate"]).is_empty() {
        state.push_str(",Issued");
    }
    vec![
        name(request),
        kind::age(request),
        Cell::from(text(request, &["spec", "signerName"])),
        Cell::from(text(request, &["spec", "username"])),
        Cell::from(seconds.map_or_else(|| NONE.to_owned(), kind::human_duration)),
        Cell::from(state),
    ]
}

pub(crate) const WEBHOOKS: &[Column] = &[NAME, column("Webhooks", "integer", "Number of webhooks."), AGE];

pub(crate) fn webhooks(configuration: &Value) -> Vec<Cell> {
    vec![name(configuration), Cell::from(count(configuration, &["webhooks"])), kind::age(configuration)]
}

const PARAM_KIND: Column = column("ParamKind", "string", "Kind of the objects that parametrize it.");

pub(crate) const VALIDATING_POLICY: &[Column] =
    &[NAME, column("Validations", "integer", "Number of validations."), PARAM_KIND, AGE];

pub(crate) const MUTATING_POLICY: &[Column] =
    &[NAME, column("Mutations", "integer", "Number of mutations."), PARAM_KIND, AGE];

pub(crate) fn validating_policy(policy: &Value) -> Vec<Cell> {
    policy_row(policy, "validations")
}

pub(crate) fn mutating_policy(policy: &Value) -> Vec<Cell> {
    policy_row(policy, "mutations")
}

fn policy_row(policy: &Value, list: &str) -> Vec<Cell> {
    let field = |name: &str| text(policy, &["spec", "paramKind", name]);
    let parameters = match unset(policy.at(&["spec", "paramKind"])) {
        true => UNSET.to_owned(),
        false => format!("{}/{}", field("apiVersion"), field("kind")),
    };
    vec![name(policy), Cell::from(count(policy, &["spec", list])), Cell::from(parameters), kind::age(policy)]
}

pub(crate) const POLICY_BINDING: &[Column] = &[
    NAME,
    column("PolicyName", "string", "The policy that is put in force."),
    column("ParamRef", "string", "The objects that parametrize it."),
    AGE,
];

pub(crate) fn policy_binding(binding: &Value) -> Vec<Cell> {
    let field = |name: &str| text(binding, &["spec", "paramRef", name]);
    let parameters = match (field("namespace"), field("name")) {
        _ if unset(binding.at(&["spec", "paramRef"])) => UNSET.to_owned(),
        ("", "") => "*".to_owned(),
        (namespace, "") => format!("{namespace}/*"),
        ("", name) => name.to_owned(),
        (namespace, name) => format!("{namespace}/{name}"),
    };
    let policy = Cell::from(text(binding, &["spec", "policyName"]));
    vec![name(binding), policy, Cell::from(parameters), kind::age(binding)]
}

pub(crate) const API_SERVICE: &[Column] = &[
    NAME,
    column("Service", "string", "Who serves the group version."),
    column("Available", "string", "Whether it is served, or why not."),
    AGE,
];

pub(crate) fn api_service(service: &Value) -> Vec<Cell> {
    let field = |name: &str| text(service, &["spec", "service", name]);
    let server = match unset(service.at(&["spec", "service"])) {
        true => "Local".to_owned(),
        false => format!("{}/{}", field("namespace"), field("name")),
    };
    let conditions = service.list_at(&["status", "conditions"]).iter();
    let available = conditions.into_iter().find(|condition| text(condition, &["type"]) == "Available");
    let available = available.map_or_else(
        || "Unknown".to_owned(),
        |condition| match (text(condition, &["status"]), text(condition, &["reason"])) {
            ("True", _) | ("False", "") => text(condition, &["status"]).to_owned(),
            (status, reason) => format!("{status} ({reason})"),
        },
    );
    vec![Cell::from(Meta::of(service).name()), Cell::from(server), Cell::from(available), kind::age(service)]
}

pub(crate) const FLOW_SCHEMA: &[Column] = &[
    NAME,
    column("PriorityLevel", "string", "The level at which its requests are handled."),
    column("MatchingPrecedence", "integer", "Among several that match, the least counts."),
    column("DistinguisherMethod", "string", "What tells its flows apart."),
    AGE,
    column("MissingPL", "string", "Whether its level is missing."),
];

pub(crate) fn flow_schema(schema: &Value) -> Vec<Cell> {
    vec![
        name(schema),
        text_or(schema, &["spec", "priorityLevelConfiguration", "name"], NONE),
        Cell::from(number(schema, &["spec", "matchingPrecedence"])),
        text_or(schema, &["spec", "distinguisherMethod", "type"], NONE),
        kind::age(schema),
        Cell::from(condition(schema, "Dangling").unwrap_or("?")),
    ]
}

pub(crate) const PRIORITY_LEVEL: &[Column] = &[
    NAME,
    column("Type", "string", "Whether its requests are limited."),
    column("NominalConcurrencyShares", "string", "Its share of the server's concurrency."),
    column("Queues", "string", "Number of its queues."),
    column("HandSize", "string", "Queues that one flow may use."),
    column("QueueLengthLimit", "string", "Requests that wait in a queue at most."),
    AGE,
];

pub(crate) fn priority_level(level: &Value) -> Vec<Cell> {
    let found = |keys: &[&str]| match level.at(keys) {
        Some(number @ Value::Int(_)) => Cell::from(number.clone()),
        _ => Cell::from(NONE),
    };
    let queuing = |field: &str| found(&["spec", "limited", "limitResponse", "queuing", field]);
    let shares = match empty(level.at(&["spec", "limited"])) {
        true => found(&["spec", "exempt", "nominalConcurrencyShares"]),
        false => found(&["spec", "limited", "nominalConcurrencyShares"]),
    };
    vec![
        name(level),
        Cell::from(text(level, &["spec", "type"])),
        shares,
        queuing("queues"),
        queuing("handSize"),
        queuing("queueLengthLimit"),
        kind::age(level),
    ]
}

pub(crate) const RESOURCE_CLAIM: &[Column] =
    &[NAME, column("State", "string", "Whether devices are allocated to it, and in use."), AGE];

pub(crate) fn resource_claim(claim: &Value) -> Vec<Cell> {
    let mut states = Vec::new();
    let going = Meta::of(claim).is_deleting();
    if going {
        states.push("deleted");
    }
    if unset(claim.at(&["status", "allocation"])) {
        if !going {
            states.push("pending");
        }
    } else {
        states.push("allocated");
        if !empty(claim.at(&["status", "reservedFor"])) {
            states.push("reserved");
        }
    }
    vec![name(claim), Cell::from(states.join(",")), kind::age(claim)]
}

pub(crate) const RESOURCE_SLICE: &[Column] = &[
    NAME,
    column("Node", "string", "The node that has the devices."),
    column("Driver", "string", "The driver that knows the devices."),
    column("Pool", "string", "The pool that they belong to."),
    AGE,
];

pub(crate) fn resource_slice(slice: &Value) -> Vec<Cell> {
    vec![
        name(slice),
        text_or(slice, &["spec", "nodeName"], UNSET),
        Cell::from(text(slice, &["spec", "driver"])),
        Cell::from(text(slice, &["spec", "pool", "name"])),
        kind::age(slice),
    ]
}
