//! CustomResourceDefinitions and APIServices.
//!
//! Not here: whether a definition's schemas are structural, and the compilation of their rules.

use std::collections::BTreeSet;

use kind::{Context, Problem};
use object::{Path, Value, names};

use super::spot::{Problems, Spot};
use super::{admission, over};

/// What is wrong with a definition.
pub(crate) fn definition(_context: &Context<'_>, definition: &Value) -> Vec<Problem> {
    over(definition, check)
}

fn check(definition: &Spot<'_>, out: &mut Problems) {
    let spec = definition.at("spec");
    let (plural, group) = (spec.at("names.plural"), spec.at("group"));
    let wanted = format!("{}.{}", plural.text(), group.text());
    let name = definition.at("metadata.name");
    if name.text() != wanted {
        name.invalid(out, "must be spec.names.plural+\".\"+spec.group");
    }
    if group.need(out) {
        group.subdomain(out);
        if !group.text().contains('.') {
            group.invalid(out, "should be a domain with at least one dot");
        }
    }
    spec.at("scope").choice(out, &["Cluster", "Namespaced"]);
    check_names(&spec.at("names"), out);
    let versions = spec.at("versions");
    let mut seen = BTreeSet::new();
    let mut stored = 0;
    for version in versions.items() {
        let name = version.at("name");
        name.complain(out, names::dns1035_label(name.text()));
        if !seen.insert(name.text()) {
            versions.invalid(out, "must contain unique version names");
        }
        stored += usize::from(version.at("storage").flag());
        let schema = version.at("schema.openAPIV3Schema");
        if !schema.is_set() {
            schema.required(out, "schemas are required");
        }
    }
    if stored != 1 {
        versions.invalid(out, "must have exactly one version marked as storage version");
    }
    if spec.at("preserveUnknownFields").flag() {
        spec.at("preserveUnknownFields").invalid(out, "must be false in order to use defaults in the schema");
    }
    conversion(&spec.at("conversion"), out);
}

fn check_names(spot: &Spot<'_>, out: &mut Problems) {
    for field in ["plural", "singular"] {
        let name = spot.at(field).or_empty();
        name.complain(out, names::dns1035_label(name.text()));
    }
    for field in ["kind", "listKind"] {
        let name = spot.at(field).or_empty();
        for text in names::dns1035_label(&name.text().to_lowercase()) {
            name.invalid(out, format!("may have mixed case, but should otherwise match: {text}"));
        }
    }
    for list in ["shortNames", "categories"] {
        for name in spot.at(list).items() {
            name.complain(out, names::dns1035_label(name.text()));
        }
    }
    if spot.at("kind").text() == spot.at("listKind").text() && spot.at("kind").is_set() {
        spot.at("listKind").invalid(out, "kind and listKind may not be the same");
    }
}

fn conversion(conversion: &Spot<'_>, out: &mut Problems) {
    if !conversion.is_set() {
        return;
    }
    let (strategy, webhook) = (conversion.at("strategy"), conversion.at("webhook"));
    strategy.choice(out, &["None", "Webhook"]);
    if strategy.text() == "Webhook" {
        let client = webhook.at("clientConfig");
        if !client.is_set() {
            let detail = "required when strategy is set to Webhook";
            out.push(Problem::required(conversion.path.field("webhookClientConfig"), detail));
        } else if client.at("service").is_set() {
            admission::reference(&client.at("service"), out);
        }
        if webhook.at("conversionReviewVersions").is_empty() {
            webhook.at("conversionReviewVersions").required(out, "");
        }
    } else if webhook.at("clientConfig").is_set() {
        let detail = "should not be set when strategy is not set to Webhook";
        out.push(Problem::forbidden(conversion.path.field("webhookClientConfig"), detail));
    }
}

/// What is wrong with a changed definition.
pub(crate) fn definition_update(context: &Context<'_>, new: &Value, old: &Value) -> Vec<Problem> {
    if context.subresource == "status" {
        return Vec::new();
    }
    let mut out = definition(context, new);
    let conditions = old.list_at(&["status", "conditions"]).iter();
    let established = conditions.into_iter().any(|condition| {
        condition.str_at(&["type"]) == Some("Established") && condition.str_at(&["status"]) == Some("True")
    });
    let (now, then) = (Spot::root(new).at("spec"), Spot::root(old).at("spec"));
    if established {
        for field in ["scope", "names.kind"] {
            now.at(field).immutable(&mut out, &then.at(field));
        }
    }
    for field in ["group", "names.plural"] {
        now.at(field).immutable(&mut out, &then.at(field));
    }
    for (at, stored) in new.list_at(&["status", "storedVersions"]).iter().enumerate() {
        let known = new.list_at(&["spec", "versions"]).iter().any(|version| version.get("name") == Some(stored));
        if !known {
            let path = Path::of("status.storedVersions").index(at);
            out.push(Problem::invalid(path, stored.clone(), "must appear in spec.versions"));
        }
    }
    out
}

/// What is wrong with an APIService.
pub(crate) fn api_service(_context: &Context<'_>, service: &Value) -> Vec<Problem> {
    over(service, |service, out| {
        let spec = service.at("spec");
        let (group, version, name) = (spec.at("group"), spec.at("version"), service.at("metadata.name"));
        let wanted = format!("{}.{}", version.text(), group.text());
        if name.text() != wanted {
            name.invalid(out, format!("must be `spec.version+\".\"+spec.group`: {wanted:?}"));
        }
        if !group.text().is_empty() {
            group.subdomain(out);
        }
        let complaints = names::dns1035_label(version.text());
        version.or_empty().complain(out, complaints);
        for (field, most) in [("groupPriorityMinimum", 20_000), ("versionPriority", 1000)] {
            let number = spec.at(field).int().unwrap_or(0);
            if number <= 0 || number > most {
                let detail = format!("must be positive and less than {most}");
                out.push(Problem::invalid(spec.path.field(field), number, detail));
            }
        }
        let reference = spec.at("service");
        if !reference.is_set() {
            if !spec.at("caBundle").is_empty() {
                let detail = "local APIServices may not have a caBundle";
                out.push(Problem::invalid(spec.path.field("caBundle"), "0 bytes", detail));
            }
            if spec.at("insecureSkipTLSVerify").flag() {
                spec.at("insecureSkipTLSVerify").invalid(out, "local APIServices may not have insecureSkipTLSVerify");
            }
            return;
        }
        for field in ["namespace", "name"] {
            reference.at(field).need(out);
        }
        if spec.at("insecureSkipTLSVerify").flag() && !spec.at("caBundle").is_empty() {
            spec.at("insecureSkipTLSVerify").invalid(out, "may not be true if caBundle is present");
        }
    })
}
