//! Whether an ended container is started again.
//!
//! A container's own `restartPolicy` and `restartPolicyRules` (KEP-5307) come before the pod's `restartPolicy`; the
//! first rule whose exit codes match decides.

use typed::api::core::v1::{Container, ContainerRestartRule, PodSpec};

use crate::plan::Role;
use crate::spec;

/// What an exit asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Leave it ended.
    Stay,
    /// Start this container again.
    Restart,
    /// Start every container of the pod again (KEP-5532).
    RestartAll,
}

/// What the exit of `container` with `exit_code` asks for.
pub fn verdict(spec: &PodSpec, role: Role, container: &Container, exit_code: i32) -> Verdict {
    if role == Role::Ephemeral {
        return Verdict::Stay;
    }
    let rules = container.restart_policy_rules.as_deref().unwrap_or_default();
    if let Some(rule) = rules.iter().find(|rule| matches(rule, exit_code)) {
        return match rule.action.as_str() {
            "Restart" => Verdict::Restart,
            "RestartAllContainers" => Verdict::RestartAll,
            _ => Verdict::Stay,
        };
    }
    let policy = container.restart_policy.as_deref().unwrap_or_else(|| spec::restart_policy(spec));
    let again = match (policy, role) {
        // An init container that succeeded has done its work, whatever the policy.
        (_, Role::Init) if exit_code == 0 => false,
        ("Never", _) => false,
        ("OnFailure", _) => exit_code != 0,
        _ => true,
    };
    if again { Verdict::Restart } else { Verdict::Stay }
}

fn matches(rule: &ContainerRestartRule, exit_code: i32) -> bool {
    let Some(codes) = &rule.exit_codes else { return false };
    let listed = codes.values.as_deref().unwrap_or_default().contains(&exit_code);
    match codes.operator.as_str() {
        "In" => listed,
        "NotIn" => !listed,
        _ => false,
    }
}
