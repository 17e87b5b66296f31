//! Probes and lifecycle hooks.

use kind::Problem;

use super::formats;
use super::spot::{Problems, Spot};

/// A liveness or startup probe: one success is enough.
pub(crate) fn single_success(probe: &Spot<'_>, out: &mut Problems) {
    if !probe.is_set() {
        return;
    }
    check(probe, out);
    if probe.at("successThreshold").int() != Some(1) {
        probe.at("successThreshold").invalid(out, "must be 1");
    }
}

/// A readiness probe.
pub(crate) fn readiness(probe: &Spot<'_>, out: &mut Problems) {
    if !probe.is_set() {
        return;
    }
    check(probe, out);
    if probe.at("terminationGracePeriodSeconds").is_set() {
        probe.at("terminationGracePeriodSeconds").invalid(out, "must not be set for readinessProbes");
    }
}

fn check(probe: &Spot<'_>, out: &mut Problems) {
    handler(probe, None, out);
    for field in ["initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold"] {
        probe.at(field).nonnegative(out);
    }
    probe.at("terminationGracePeriodSeconds").positive(out);
}

/// Hooks after a container's start and before its end.
pub(crate) fn lifecycle(lifecycle: &Spot<'_>, grace_seconds: Option<i64>, out: &mut Problems) {
    for hook in ["postStart", "preStop"] {
        let hook = lifecycle.at(hook);
        if hook.is_set() {
            handler(&hook, grace_seconds, out);
        }
    }
}

/// Exactly one way to act.
fn handler(holder: &Spot<'_>, grace_seconds: Option<i64>, out: &mut Problems) {
    let mut found = 0;
    for kind in ["exec", "httpGet", "tcpSocket", "grpc", "sleep"] {
        let action = holder.at(kind);
        if !action.is_set() {
            continue;
        }
        found += 1;
        if found > 1 {
            action.forbidden(out, "may not specify more than 1 handler type");
            continue;
        }
        match kind {
            "exec" => drop(action.at("command").need(out)),
            "httpGet" => http(&action, out),
            "sleep" => sleep(&action, grace_seconds, out),
            _ => formats::port(&action.at("port"), out),
        }
    }
    if found == 0 {
        holder.required(out, "must specify a handler type");
    }
}

fn http(action: &Spot<'_>, out: &mut Problems) {
    action.at("path").need(out);
    formats::port(&action.at("port"), out);
    action.at("scheme").option(out, &["HTTP", "HTTPS"]);
    for header in action.at("httpHeaders").items() {
        let name = header.at("name").text();
        for text in formats::header_name(name) {
            out.push(Problem::invalid(action.path.field("httpHeaders"), name, text));
        }
    }
}

fn sleep(action: &Spot<'_>, grace_seconds: Option<i64>, out: &mut Problems) {
    let seconds = action.at("seconds").int().unwrap_or(0);
    if let Some(grace) = grace_seconds
        && (seconds < 0 || seconds > grace)
    {
        let detail = format!("must be non-negative and less than terminationGracePeriodSeconds ({grace})");
        out.push(Problem::invalid(action.path.clone(), seconds, detail));
    }
}
