//! Webhook configurations and admission policies.

use std::collections::BTreeSet;

use kind::{Context, Problem};
use object::{Value, names};

use super::spot::{Problems, Spot};
use super::{formats, over};

/// What is wrong with a ValidatingWebhookConfiguration.
pub(crate) fn validating_webhooks(_context: &Context<'_>, configuration: &Value) -> Vec<Problem> {
    over(configuration, |configuration, out| webhooks(&configuration.at("webhooks"), out))
}

/// What is wrong with a MutatingWebhookConfiguration.
pub(crate) fn mutating_webhooks(_context: &Context<'_>, configuration: &Value) -> Vec<Problem> {
    over(configuration, |configuration, out| {
        webhooks(&configuration.at("webhooks"), out);
        for webhook in configuration.at("webhooks").items() {
            webhook.at("reinvocationPolicy").option(out, &["IfNeeded", "Never"]);
        }
    })
}

fn webhooks(list: &Spot<'_>, out: &mut Problems) {
    let mut seen = BTreeSet::new();
    for webhook in list.items() {
        let name = webhook.at("name");
        let parts = name.text().split('.').count();
        if name.need(out) {
            name.subdomain(out);
            if names::dns_subdomain(name.text()).is_empty() && parts < 3 {
                name.invalid(out, "should be a domain with at least three segments separated by dots");
            }
            if !seen.insert(name.text()) {
                name.duplicate(out);
            }
        }
        for rule in webhook.at("rules").items() {
            check_rule(&rule, out);
        }
        webhook.at("failurePolicy").option(out, &["Fail", "Ignore"]);
        webhook.at("matchPolicy").option(out, &["Equivalent", "Exact"]);
        let effects = webhook.at("sideEffects");
        if effects.is_set() {
            effects.option(out, &["None", "NoneOnDryRun"]);
        } else {
            effects.required(out, "must specify one of None, NoneOnDryRun");
        }
        let seconds = webhook.at("timeoutSeconds");
        if seconds.int().is_some_and(|seconds| !(1..=30).contains(&seconds)) {
            seconds.invalid(out, "the timeout value must be between 1 and 30 seconds");
        }
        formats::label_selector(&webhook.at("namespaceSelector"), out);
        formats::label_selector(&webhook.at("objectSelector"), out);
        client(&webhook.at("clientConfig"), out);
        let versions = webhook.at("admissionReviewVersions");
        if versions.is_empty() {
            let detail = "must specify one of v1, v1beta1";
            versions.required(out, detail);
        } else {
            review_versions(&versions, out);
        }
    }
}

fn review_versions(versions: &Spot<'_>, out: &mut Problems) {
    let mut seen = BTreeSet::new();
    for version in versions.items() {
        let version = version.or_empty();
        version.complain(out, names::dns1035_label(version.text()));
        if !seen.insert(version.text()) {
            version.invalid(out, "duplicate version");
        }
    }
    if !versions.texts().any(|version| matches!(version, "v1" | "v1beta1")) {
        versions.invalid(out, "must include at least one of v1, v1beta1");
    }
}

fn client(client: &Spot<'_>, out: &mut Problems) {
    let (url, service) = (client.at("url"), client.at("service"));
    match (url.is_set(), service.is_set()) {
        (true, false) => check_url(&url, out),
        (false, true) => reference(&service, out),
        _ => client.required(out, "exactly one of url or service is required"),
    }
}

fn check_url(url: &Spot<'_>, out: &mut Problems) {
    const FORM: &str = "desired format: https://host[/path]";
    let (scheme, rest) = url.text().split_once("://").unwrap_or(("", ""));
    if scheme != "https" {
        let detail = format!("'https' is the only allowed URL scheme; {FORM}");
        out.push(Problem::invalid(url.path.clone(), scheme, detail));
    }
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if host.is_empty() {
        out.push(Problem::invalid(url.path.clone(), host, format!("host must be specified; {FORM}")));
    }
}

/// A service that is called.
pub(crate) fn reference(service: &Spot<'_>, out: &mut Problems) {
    if service.at("name").is_empty() {
        service.at("name").required(out, "service name is required");
    }
    if service.at("namespace").is_empty() {
        service.at("namespace").required(out, "service namespace is required");
    }
    let port = service.at("port");
    if port.int().is_some_and(|number| !(1..=65_535).contains(&number)) {
        port.invalid(out, "port is not valid: must be between 1 and 65535, inclusive");
    }
    let path = service.at("path");
    if path.is_set() && !path.text().starts_with('/') {
        path.invalid(out, "must start with a '/'");
    }
}

fn check_rule(rule: &Spot<'_>, out: &mut Problems) {
    for field in ["operations", "apiGroups", "apiVersions", "resources"] {
        let list = rule.at(field);
        for item in list.items().filter(|item| item.is_empty() && matches!(field, "apiVersions" | "resources")) {
            item.required(out, "");
        }
        if list.is_empty() {
            list.required(out, "");
        } else if field != "resources" && list.len() > 1 && list.texts().any(|text| text == "*") {
            list.invalid(out, "if '*' is present, must not specify other ".to_owned() + words(field));
        }
    }
    for operation in rule.at("operations").items() {
        operation.option(out, &["*", "CONNECT", "CREATE", "DELETE", "UPDATE"]);
    }
    rule.at("scope").option(out, &["*", "Cluster", "Namespaced"]);
}

fn words(field: &str) -> &'static str {
    match field {
        "apiGroups" => "API groups",
        "apiVersions" => "API versions",
        _ => "operations",
    }
}

fn constraints(spot: &Spot<'_>, needs_rules: bool, out: &mut Problems) {
    let rules = spot.at("resourceRules");
    if needs_rules && rules.is_empty() {
        rules.required(out, "");
    }
    for rule in rules.items().chain(spot.at("excludeResourceRules").items()) {
        check_rule(&rule, out);
    }
    spot.at("matchPolicy").option(out, &["Equivalent", "Exact"]);
    formats::label_selector(&spot.at("namespaceSelector"), out);
    formats::label_selector(&spot.at("objectSelector"), out);
}

fn policy(spec: &Spot<'_>, out: &mut Problems) {
    spec.at("failurePolicy").choice(out, &["Fail", "Ignore"]);
    let parameters = spec.at("paramKind");
    if parameters.is_set() {
        for field in ["apiVersion", "kind"] {
            parameters.at(field).need(out);
        }
    }
    if spec.at("matchConstraints").is_set() {
        constraints(&spec.at("matchConstraints"), true, out);
    } else {
        spec.at("matchConstraints").required(out, "");
    }
    for list in ["matchConditions", "variables"] {
        let mut seen = BTreeSet::new();
        for item in spec.at(list).items() {
            let name = item.at("name");
            item.at("expression").need(out);
            if name.need(out) && !seen.insert(name.text()) {
                name.duplicate(out);
            }
        }
    }
}

/// What is wrong with a ValidatingAdmissionPolicy, its expressions aside.
pub(crate) fn validating_policy(_context: &Context<'_>, object: &Value) -> Vec<Problem> {
    over(object, |object, out| {
        let spec = object.at("spec");
        policy(&spec, out);
        let (validations, annotations) = (spec.at("validations"), spec.at("auditAnnotations"));
        if validations.is_empty() && annotations.is_empty() {
            let detail = "validations or auditAnnotations must be non-empty";
            validations.required(out, &format!("{detail}; at least one of them must be specified"));
        }
        for validation in validations.items() {
            let expression = validation.at("expression");
            if expression.text().trim().is_empty() {
                expression.required(out, "expression is not specified");
            }
            validation.at("reason").option(out, &["Unauthorized", "Forbidden", "Invalid", "RequestEntityTooLarge"]);
        }
    })
}

/// What is wrong with a MutatingAdmissionPolicy, its expressions aside.
pub(crate) fn mutating_policy(_context: &Context<'_>, object: &Value) -> Vec<Problem> {
    over(object, |object, out| {
        let spec = object.at("spec");
        policy(&spec, out);
        let mutations = spec.at("mutations");
        mutations.need(out);
        for mutation in mutations.items() {
            let kind = mutation.at("patchType");
            kind.choice(out, &["ApplyConfiguration", "JSONPatch"]);
            let field = if kind.text() == "JSONPatch" { "jsonPatch" } else { "applyConfiguration" };
            if !kind.is_empty() && mutation.at(field).at("expression").is_empty() {
                mutation.at(field).at("expression").required(out, "");
            }
        }
        spec.at("reinvocationPolicy").choice(out, &["IfNeeded", "Never"]);
    })
}

/// What is wrong with a ValidatingAdmissionPolicyBinding.
pub(crate) fn validating_binding(_context: &Context<'_>, binding: &Value) -> Vec<Problem> {
    over(binding, |object, out| {
        binding_spec(&object.at("spec"), out);
        let actions = object.at("spec.validationActions");
        if actions.is_empty() {
            actions.required(out, "at least one validation action is required");
        }
        let mut seen = BTreeSet::new();
        for action in actions.items() {
            action.option(out, &["Audit", "Deny", "Warn"]);
            if !seen.insert(action.text()) {
                action.duplicate(out);
            }
        }
        if seen.contains("Deny") && seen.contains("Warn") {
            actions.invalid(out, "must not contain both Deny and Warn (repeating the same validation failure information in the API response and headers serves no purpose)");
        }
    })
}

/// What is wrong with a MutatingAdmissionPolicyBinding.
pub(crate) fn mutating_binding(_context: &Context<'_>, binding: &Value) -> Vec<Problem> {
    over(binding, |object, out| binding_spec(&object.at("spec"), out))
}

fn binding_spec(spec: &Spot<'_>, out: &mut Problems) {
    let name = spec.at("policyName");
    if name.need(out) {
        name.subdomain(out);
    }
    let parameters = spec.at("paramRef");
    if parameters.is_set() {
        let (name, selector) = (parameters.at("name"), parameters.at("selector"));
        if name.is_empty() && !selector.is_set() {
            parameters.required(out, "one of name or selector must be specified");
        } else if !name.is_empty() && selector.is_set() {
            name.forbidden(out, "name and selector are mutually exclusive");
        }
        parameters.at("parameterNotFoundAction").choice(out, &["Allow", "Deny"]);
    }
    if spec.at("matchResources").is_set() {
        constraints(&spec.at("matchResources"), false, out);
    }
}
