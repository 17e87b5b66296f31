//! FlowSchemas and PriorityLevelConfigurations.

use kind::{Context, Problem};
use object::{Value, names};

use super::over;
use super::spot::{Problems, Spot};

/// What is wrong with a FlowSchema.
pub(crate) fn schema(_context: &Context<'_>, schema: &Value) -> Vec<Problem> {
    over(schema, |schema, out| {
        let spec = schema.at("spec");
        let precedence = spec.at("matchingPrecedence");
        let number = precedence.int().unwrap_or(0);
        if number <= 0 {
            precedence.invalid(out, "must be a positive value");
        } else if number > 10_000 {
            precedence.invalid(out, "must not be greater than 10000");
        } else if number == 1 && schema.at("metadata.name").text() != "exempt" {
            precedence.invalid(out, "only the schema named 'exempt' may have matchingPrecedence 1");
        }
        let method = spec.at("distinguisherMethod.type");
        if spec.at("distinguisherMethod").is_set() {
            method.or_empty().option(out, &["ByNamespace", "ByUser"]);
        }
        let level = spec.at("priorityLevelConfiguration.name");
        if level.is_empty() {
            level.required(out, "must reference a priority level");
        } else {
            level.subdomain(out);
        }
        for rule in spec.at("rules").items() {
            check_rule(&rule, out);
        }
    })
}

fn check_rule(rule: &Spot<'_>, out: &mut Problems) {
    if rule.at("subjects").is_empty() {
        rule.at("subjects").required(out, "subjects must contain at least one value");
    }
    for subject in rule.at("subjects").items() {
        let (kind, field) = match subject.at("kind").text() {
            "User" => ("User", "user"),
            "Group" => ("Group", "group"),
            "ServiceAccount" => ("ServiceAccount", "serviceAccount"),
            _ => {
                subject.at("kind").or_empty().option(out, &["Group", "ServiceAccount", "User"]);
                continue;
            }
        };
        if !subject.at(field).is_set() {
            subject.at(field).required(out, &format!("{field} is required when subject kind is '{kind}'"));
        } else {
            subject.at(field).at("name").need(out);
        }
    }
    let (resources, urls) = (rule.at("resourceRules"), rule.at("nonResourceRules"));
    if resources.is_empty() && urls.is_empty() {
        rule.required(out, "at least one of resourceRules and nonResourceRules has to be non-empty");
    }
    for resource in resources.items() {
        verbs(&resource.at("verbs"), out);
        wildcard(&resource.at("apiGroups"), "api groups", "resource rules must supply at least one api group", out);
        wildcard(&resource.at("resources"), "resources", "resource rules must supply at least one resource", out);
        let spaces = resource.at("namespaces");
        if !(spaces.is_empty() && resource.at("clusterScope").flag()) {
            let detail = "resource rules that are not cluster scoped must supply at least one namespace";
            wildcard(&spaces, "namespaces", detail, out);
        }
        for space in spaces.items().filter(|_| !has_wildcard(&spaces)) {
            for text in names::dns_label(space.text()) {
                let detail = format!("each member of this list must be '*' or a DNS-1123 label; {text}");
                space.or_empty().invalid(out, detail);
            }
        }
    }
    for url in urls.items() {
        verbs(&url.at("verbs"), out);
        let detail = "nonResourceURLs must contain at least one value";
        wildcard(&url.at("nonResourceURLs"), "non-resource URLs", detail, out);
    }
}

const VERBS: [&str; 9] = ["create", "delete", "deletecollection", "get", "list", "patch", "proxy", "update", "watch"];

fn verbs(list: &Spot<'_>, out: &mut Problems) {
    wildcard(list, "verbs", "verbs must contain at least one value", out);
    let known = |verb: Spot<'_>| VERBS.contains(&verb.text());
    if !has_wildcard(list) && !list.items().all(known) {
        out.push(Problem::not_supported(list.path.clone(), list.shown(), &VERBS));
    }
}

/// A list that is not empty and in which `*` stands alone.
fn wildcard(list: &Spot<'_>, what: &str, none: &str, out: &mut Problems) {
    if list.is_empty() {
        list.required(out, none);
    } else if list.len() > 1 && has_wildcard(list) {
        list.invalid(out, format!("if '*' is present, must not specify other {what}"));
    }
}

fn has_wildcard(list: &Spot<'_>) -> bool {
    list.texts().any(|text| text == "*")
}

/// What is wrong with a PriorityLevelConfiguration.
pub(crate) fn level(_context: &Context<'_>, level: &Value) -> Vec<Problem> {
    over(level, |level, out| {
        let spec = level.at("spec");
        let (exempt, limited) = (spec.at("exempt"), spec.at("limited"));
        match spec.at("type").text() {
            "Exempt" if limited.is_set() => {
                limited.forbidden(out, "must be nil if the type is not Limited");
            }
            "Exempt" => {
                exempt.at("nominalConcurrencyShares").nonnegative(out);
                percent(&exempt.at("lendablePercent"), out);
            }
            "Limited" if exempt.is_set() => {
                exempt.forbidden(out, "must be nil if the type is Limited");
            }
            "Limited" if !limited.is_set() => limited.required(out, "must not be empty when type is Limited"),
            "Limited" => check_limited(&limited, out),
            _ => spec.at("type").or_empty().option(out, &["Exempt", "Limited"]),
        }
    })
}

fn percent(spot: &Spot<'_>, out: &mut Problems) {
    if spot.int().is_some_and(|percent| !(0..=100).contains(&percent)) {
        spot.invalid(out, "must be between 0 and 100, inclusive");
    }
}

fn check_limited(limited: &Spot<'_>, out: &mut Problems) {
    let shares = limited.at("nominalConcurrencyShares");
    if shares.int().is_some_and(|shares| shares < 0) {
        shares.invalid(out, "must be a non-negative integer");
    }
    percent(&limited.at("lendablePercent"), out);
    let response = limited.at("limitResponse");
    let queuing = response.at("queuing");
    match response.at("type").text() {
        "Reject" if queuing.is_set() => {
            queuing.forbidden(out, "must be nil if limited.limitResponse.type is not Limited")
        }
        "Reject" => {}
        "Queue" if !queuing.is_set() => {
            queuing.required(out, "must not be empty if limited.limitResponse.type is Limited");
        }
        "Queue" => {
            for field in ["queueLengthLimit", "queues", "handSize"] {
                if queuing.at(field).int().unwrap_or(0) <= 0 {
                    queuing.at(field).invalid(out, "must be positive");
                }
            }
            let (hand, queues) = (queuing.at("handSize"), queuing.at("queues").int().unwrap_or(0));
            if hand.int().unwrap_or(0) > queues {
                hand.invalid(out, format!("should not be greater than queues ({queues})"));
            }
        }
        _ => response.at("type").or_empty().option(out, &["Queue", "Reject"]),
    }
}
