//! The user's rules: what a pod's failure means, and when enough has succeeded.

use plan::meta;
use typed::api::batch::v1::{JobSpec, PodFailurePolicyRule, SuccessPolicyRule};
use typed::api::core::v1::{ContainerStatus, Pod};

use super::indexes::Indexes;
use crate::pods;

/// What a failed pod means for its Job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Meaning {
    /// Counts towards the backoff limit.
    Counts,
    /// Does not count.
    Ignored,
    /// Its index has failed for good.
    FailsIndex,
    /// The Job has failed, with these words.
    FailsJob(String),
}

/// The first matching rule decides; without a match the failure counts. Only pods that have ended are judged.
pub(super) fn meaning(spec: &JobSpec, pod: &Pod) -> Meaning {
    let Some(policy) = spec.pod_failure_policy.as_ref().filter(|_| pods::phase(pod) == "Failed") else {
        return Meaning::Counts;
    };
    for (place, rule) in policy.rules.iter().enumerate() {
        let Some(matched) = matched(rule, pod) else { continue };
        return match rule.action.as_str() {
            "Ignore" => Meaning::Ignored,
            "FailIndex" => Meaning::FailsIndex,
            "FailJob" => Meaning::FailsJob(format!("{matched} matching {} rule at index {place}", rule.action)),
            _ => Meaning::Counts,
        };
    }
    Meaning::Counts
}

/// In which words the rule matches the pod, if it does.
fn matched(rule: &PodFailurePolicyRule, pod: &Pod) -> Option<String> {
    let place = format!("{}/{}", meta::namespace(&pod.metadata), meta::name(&pod.metadata));
    let status = pod.status.as_ref()?;
    if let Some(wanted) = &rule.on_exit_codes {
        let containers =
            status.init_container_statuses.iter().flatten().chain(status.container_statuses.iter().flatten());
        let named = containers.filter(|c| wanted.container_name.as_ref().is_none_or(|name| *name == c.name));
        let failed = |c: &ContainerStatus| {
            c.state.as_ref()?.terminated.as_ref().map(|end| end.exit_code).filter(|code| *code != 0)
        };
        let mut failures = named.filter_map(|c| Some((c.name.clone(), failed(c)?)));
        let (name, code) = failures.find(|(_, code)| wanted.values.contains(code) == (wanted.operator == "In"))?;
        return Some(format!("Container {name} for pod {place} failed with exit code {code}"));
    }
    let wanted = rule.on_pod_conditions.iter().flatten();
    let stands =
        |kind: &str, value: &str| pods::condition(pod, kind).is_some_and(|condition| condition.status == value);
    let mut met = wanted.filter(|pattern| stands(&pattern.type_, pattern.status.as_deref().unwrap_or("True")));
    met.next().map(|pattern| format!("Pod {place} has condition {}", pattern.type_))
}

/// The first success rule that holds, in the words of the condition.
pub(super) fn success(spec: &JobSpec, succeeded: &Indexes) -> Option<String> {
    let policy = spec.success_policy.as_ref()?;
    let completions = u32::try_from(spec.completions.unwrap_or_default()).unwrap_or_default();
    let place = policy.rules.iter().position(|rule| rule_holds(rule, succeeded, completions))?;
    Some(format!("Matched rules at index {place}"))
}

fn rule_holds(rule: &SuccessPolicyRule, succeeded: &Indexes, completions: u32) -> bool {
    match (&rule.succeeded_indexes, rule.succeeded_count) {
        (None, Some(count)) => succeeded.total() >= count,
        (Some(text), count) => {
            let wanted = Indexes::parse(text, completions);
            let common = wanted.common(succeeded);
            common >= count.unwrap_or_else(|| wanted.total())
        }
        (None, None) => false,
    }
}
