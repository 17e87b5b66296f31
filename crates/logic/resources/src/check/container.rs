//! Containers of all three kinds.

use std::collections::BTreeSet;

use kind::Problem;
use object::Value;

use super::podspec::Scope;
use super::spot::{Problems, Spot};
use super::{amounts, environment, formats, mounts, probe, security};

const NOT_INIT: &str = "may not be set for init containers without restartPolicy=Always";
const NOT_EPHEMERAL: &str = "cannot be set for an Ephemeral Container";

/// Regular containers.
pub(crate) fn regular(containers: &Spot<'_>, scope: &Scope<'_>, out: &mut Problems) {
    if containers.is_empty() {
        containers.required(out, "");
        return;
    }
    let mut names = BTreeSet::new();
    for container in containers.items() {
        common(&container, scope, out);
        let name = container.at("name");
        if !names.insert(name.text()) {
            name.duplicate(out);
        }
        lively(&container, scope, out);
        restart_policy(&container, out);
    }
    host_ports(containers.items(), out);
}

/// What containers that stay may have.
fn lively(container: &Spot<'_>, scope: &Scope<'_>, out: &mut Problems) {
    probe::lifecycle(&container.at("lifecycle"), scope.grace_seconds, out);
    probe::single_success(&container.at("livenessProbe"), out);
    probe::readiness(&container.at("readinessProbe"), out);
    probe::single_success(&container.at("startupProbe"), out);
}

/// KEP-5307: any container may say how it is restarted, and after which exit codes.
fn restart_policy(container: &Spot<'_>, out: &mut Problems) {
    let (policy, rules) = (container.at("restartPolicy"), container.at("restartPolicyRules"));
    policy.option(out, &["Always", "Never", "OnFailure"]);
    if !rules.is_empty() && !policy.is_set() {
        policy.required(out, "must specify restartPolicy when restart rules are used");
    }
    if rules.len() > 20 {
        out.push(Problem::too_long(rules.path.clone(), 20));
    }
    for rule in rules.items() {
        rule.at("action").choice(out, &["Restart", "RestartAllContainers"]);
        let codes = rule.at("exitCodes");
        if !codes.is_set() {
            codes.required(out, "must be specified");
            continue;
        }
        codes.at("operator").choice(out, &["In", "NotIn"]);
        if codes.at("values").len() > 255 {
            out.push(Problem::too_long(codes.path.field("values"), 255));
        }
    }
}

/// Init containers, sidecars among them.
pub(crate) fn initial(containers: &Spot<'_>, regular: &Spot<'_>, scope: &Scope<'_>, out: &mut Problems) {
    let mut names: BTreeSet<&str> = regular.items().map(|container| container.at("name").text()).collect();
    for container in containers.items() {
        common(&container, scope, out);
        restart_policy(&container, out);
        let name = container.at("name");
        if names.contains(name.text()) {
            name.duplicate(out);
        } else if !name.text().is_empty() {
            names.insert(name.text());
        }
        host_ports(std::iter::once(container.clone()), out);
        if container.at("restartPolicy").text() == "Always" {
            lively(&container, scope, out);
            continue;
        }
        for field in ["lifecycle", "livenessProbe", "readinessProbe", "startupProbe"] {
            if container.at(field).is_set() {
                container.at(field).forbidden(out, NOT_INIT);
            }
        }
    }
}

/// Ephemeral containers, which may have little.
pub(crate) fn ephemeral(spec: &Spot<'_>, scope: &Scope<'_>, out: &mut Problems) {
    let others: BTreeSet<&str> = ["containers", "initContainers"]
        .into_iter()
        .flat_map(|list| spec.at(list).items())
        .map(|container| container.at("name").text())
        .collect();
    let mut names = others.clone();
    for container in spec.at("ephemeralContainers").items() {
        common(&container, scope, out);
        unpadded_image(&container, out);
        let (name, target) = (container.at("name"), container.at("targetContainerName"));
        if !names.insert(name.text()) {
            name.duplicate(out);
        }
        if !target.text().is_empty() && !others.contains(target.text()) {
            out.push(Problem::not_found(target.path.clone(), target.text()));
        }
        for field in ["ports", "resources", "lifecycle", "livenessProbe", "readinessProbe", "startupProbe"] {
            if !container.at(field).is_empty() {
                container.at(field).forbidden(out, NOT_EPHEMERAL);
            }
        }
        for field in ["resizePolicy", "restartPolicy", "restartPolicyRules"] {
            if container.at(field).is_set() {
                container.at(field).forbidden(out, NOT_EPHEMERAL);
            }
        }
        for mount in container.at("volumeMounts").items() {
            for field in ["subPath", "subPathExpr"] {
                if !mount.at(field).is_empty() {
                    mount.at(field).forbidden(out, NOT_EPHEMERAL);
                }
            }
        }
    }
}

/// Only pods, not templates, object to padded images.
pub(crate) fn unpadded_image(container: &Spot<'_>, out: &mut Problems) {
    let image = container.at("image");
    if image.text().trim().len() != image.text().len() {
        image.invalid(out, "must not have leading or trailing whitespace");
    }
}

fn common(container: &Spot<'_>, scope: &Scope<'_>, out: &mut Problems) {
    let name = container.at("name");
    if name.need(out) {
        name.label(out);
    }
    container.at("image").need(out);
    container.at("terminationMessagePolicy").choice(out, &["File", "FallbackToLogsOnError"]);
    ports(&container.at("ports"), out);
    environment::variables(&container.at("env"), scope, out);
    environment::sources(&container.at("envFrom"), out);
    mounts::mounts(container, scope, out);
    mounts::devices(container, scope, out);
    container.at("imagePullPolicy").choice(out, &["Always", "IfNotPresent", "Never"]);
    let resources = container.at("resources");
    amounts::container(&resources, out);
    claims(&resources.at("claims"), scope, out);
    resize_policy(&container.at("resizePolicy"), scope, out);
    security::container(&container.at("securityContext"), scope, out);
}

fn claims(claims: &Spot<'_>, scope: &Scope<'_>, out: &mut Problems) {
    let mut seen = BTreeSet::new();
    for claim in claims.items() {
        let name = claim.at("name");
        if !name.need(out) {
            continue;
        }
        if !seen.insert((name.text(), claim.at("request").text())) {
            out.push(Problem::duplicate(claim.path.clone(), name.text()));
        }
        if !scope.claims.contains(name.text()) {
            out.push(Problem::not_found(claim.path.clone(), name.text()));
        }
    }
}

fn resize_policy(policies: &Spot<'_>, scope: &Scope<'_>, out: &mut Problems) {
    let mut seen = BTreeSet::new();
    for policy in policies.items() {
        let resource = policy.at("resourceName").text();
        if !seen.insert(resource) {
            out.push(Problem::duplicate(policy.path.clone(), resource));
        }
        for (field, supported) in
            [("resourceName", ["cpu", "memory"]), ("restartPolicy", ["NotRequired", "RestartContainer"])]
        {
            let text = policy.at(field).text();
            if text.is_empty() {
                policies.required(out, "");
            } else if !supported.contains(&text) {
                out.push(Problem::not_supported(policies.path.clone(), text, &supported));
            }
        }
        let restart = policy.at("restartPolicy").text();
        if scope.restart_policy == "Never" && restart != "NotRequired" {
            let detail = "must be 'NotRequired' when `restartPolicy` is 'Never'";
            out.push(Problem::invalid(policies.path.clone(), restart, detail));
        }
    }
}

fn ports(ports: &Spot<'_>, out: &mut Problems) {
    let mut names = BTreeSet::new();
    for port in ports.items() {
        let (name, number, host) = (port.at("name"), port.at("containerPort"), port.at("hostPort"));
        if !name.text().is_empty() {
            let complaints = formats::port_name(name.text());
            let shaped = complaints.is_empty();
            name.complain(out, complaints);
            if shaped && !names.insert(name.text()) {
                name.duplicate(out);
            }
        }
        if number.int().unwrap_or(0) == 0 {
            number.required(out, "");
        } else {
            formats::port_number(&number, out);
        }
        if host.int().unwrap_or(0) != 0 {
            formats::port_number(&host, out);
        }
        port.at("protocol").choice(out, &["SCTP", "TCP", "UDP"]);
    }
}

/// Ports of the host that two containers want.
fn host_ports<'a>(containers: impl Iterator<Item = Spot<'a>>, out: &mut Problems) {
    let mut taken = BTreeSet::new();
    for container in containers {
        for port in container.at("ports").items() {
            let number = port.at("hostPort");
            let Some(host) = number.int().filter(|number| *number != 0) else { continue };
            let text = format!("{}/{}/{host}", port.at("protocol").text(), port.at("hostIP").text());
            if taken.contains(&text) {
                out.push(Problem::duplicate(number.path.clone(), Value::from(text)));
            } else {
                taken.insert(text);
            }
        }
    }
}
