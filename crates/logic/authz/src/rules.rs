//! Policy rules: what they match, whether some cover others, and how refusals print them.

use typed::api::rbac::v1::PolicyRule;

/// What stands for every verb, group, resource or path.
pub const ALL: &str = "*";

fn items(list: &Option<Vec<String>>) -> &[String] {
    list.as_deref().unwrap_or_default()
}

fn has(list: &[String], wanted: &str) -> bool {
    list.iter().any(|item| item == wanted)
}

fn has_or_all(list: &[String], wanted: &str) -> bool {
    list.iter().any(|item| item == ALL || item == wanted)
}

/// Whether `rule` speaks of `verb`.
pub(crate) fn verb_matches(rule: &PolicyRule, verb: &str) -> bool {
    has_or_all(&rule.verbs, verb)
}

/// Whether `rule` speaks of the API group `group`.
pub(crate) fn group_matches(rule: &PolicyRule, group: &str) -> bool {
    has_or_all(items(&rule.api_groups), group)
}

/// Whether a rule for `names` speaks of the object `name`.
pub(crate) fn name_matches(names: &[String], name: &str) -> bool {
    names.is_empty() || has(names, name)
}

/// Whether the path `pattern` of a rule (`/healthz`, `/healthz/*`, `*`) covers `path`.
pub(crate) fn path_matches(pattern: &str, path: &str) -> bool {
    pattern == ALL || pattern == path || (pattern.ends_with('*') && path.starts_with(pattern.trim_end_matches('*')))
}

/// The rules among `wanted` that `held` does not cover, broken into one verb and one resource or path each.
///
/// Empty when whoever holds `held` may do everything that `wanted` allows.
pub fn missing(held: &[PolicyRule], wanted: &[PolicyRule]) -> Vec<PolicyRule> {
    wanted.iter().flat_map(breakdown).filter(|single| !held.iter().any(|rule| covers(rule, single))).collect()
}

/// A rule as rules of one verb and one resource, name or path each.
fn breakdown(rule: &PolicyRule) -> Vec<PolicyRule> {
    let one = |text: &String| Some(vec![text.clone()]);
    let mut singles = Vec::new();
    for group in items(&rule.api_groups) {
        for resource in items(&rule.resources) {
            for verb in &rule.verbs {
                let single = PolicyRule {
                    api_groups: one(group),
                    resources: one(resource),
                    verbs: vec![verb.clone()],
                    ..PolicyRule::default()
                };
                match items(&rule.resource_names) {
                    [] => singles.push(single),
                    names => singles
                        .extend(names.iter().map(|name| PolicyRule { resource_names: one(name), ..single.clone() })),
                }
            }
        }
    }
    for path in items(&rule.non_resource_urls) {
        singles.extend(rule.verbs.iter().map(|verb| PolicyRule {
            non_resource_urls: one(path),
            verbs: vec![verb.clone()],
            ..PolicyRule::default()
        }));
    }
    singles
}

/// Whether `owner` allows everything that `part` allows.
fn covers(owner: &PolicyRule, part: &PolicyRule) -> bool {
    let all_in = |held: &[String], wanted: &[String]| wanted.iter().all(|item| has(held, item));
    let all_or_star = |held: &[String], wanted: &[String]| has(held, ALL) || all_in(held, wanted);
    let (held_names, names) = (items(&owner.resource_names), items(&part.resource_names));
    all_or_star(&owner.verbs, &part.verbs)
        && all_or_star(items(&owner.api_groups), items(&part.api_groups))
        && items(&part.resources).iter().all(|resource| covers_resource(items(&owner.resources), resource))
        && items(&part.non_resource_urls)
            .iter()
            .all(|path| items(&owner.non_resource_urls).iter().any(|held| path_matches(held, path)))
        && (held_names.is_empty() || (!names.is_empty() && all_in(held_names, names)))
}

fn covers_resource(held: &[String], resource: &str) -> bool {
    has_or_all(held, resource)
        || resource.split_once('/').is_some_and(|(_, subresource)| {
            held.iter().any(|pattern| pattern.strip_prefix("*/").is_some_and(|rest| rest == subresource))
        })
}

/// Joins rules that differ in nothing but their verbs; other rules stay as they are, after the joined ones.
pub fn compact(rules: &[PolicyRule]) -> Vec<PolicyRule> {
    let mut joined: Vec<PolicyRule> = Vec::new();
    let mut others = Vec::new();
    for rule in rules {
        if !is_simple(rule) {
            others.push(rule.clone());
            continue;
        }
        let same = joined.iter_mut().find(|known| {
            known.api_groups == rule.api_groups
                && known.resources == rule.resources
                && known.resource_names == rule.resource_names
        });
        match same {
            Some(known) => known.verbs.extend(rule.verbs.iter().cloned()),
            None => joined.push(rule.clone()),
        }
    }
    joined.append(&mut others);
    joined
}

/// Whether a rule is about one resource in one group, with at most one name.
fn is_simple(rule: &PolicyRule) -> bool {
    items(&rule.non_resource_urls).is_empty()
        && items(&rule.api_groups).len() == 1
        && items(&rule.resources).len() == 1
        && items(&rule.resource_names).len() <= 1
}

/// A rule in the form that refusals show: `{APIGroups:["apps"], Resources:["deployments"], Verbs:["get" "list"]}`.
pub fn describe(rule: &PolicyRule) -> String {
    let parts: Vec<String> = [
        ("APIGroups", items(&rule.api_groups)),
        ("Resources", items(&rule.resources)),
        ("NonResourceURLs", items(&rule.non_resource_urls)),
        ("ResourceNames", items(&rule.resource_names)),
        ("Verbs", rule.verbs.as_slice()),
    ]
    .into_iter()
    .filter(|(_, list)| !list.is_empty())
    .map(|(name, list)| format!("{name}:{}", quoted(list)))
    .collect();
    format!("{{{}}}", parts.join(", "))
}

/// A list as refusals show it: `["a" "b"]`.
pub(crate) fn quoted(list: &[String]) -> String {
    let quoted: Vec<String> = list.iter().map(|item| format!("{item:?}")).collect();
    format!("[{}]", quoted.join(" "))
}
