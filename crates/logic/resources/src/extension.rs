//! CustomResourceDefinitions and APIServices.

use kind::{Context, Facts};
use object::{Text, Value, timestamp};

use crate::promises::Promises;
use crate::tree::{at, default_text, default_to, ensure, flag, owned, text, texts, unset, within};

const FACTS: Facts = Facts { unconditional_update: false, ..Facts::WORKLOAD };

/// A CustomResourceDefinition.
pub(crate) const DEFINITION: Promises = Promises {
    facts: FACTS,
    default: default_definition,
    create: |_, definition| store_version(definition),
    update: |context, new, _| {
        if context.subresource.is_empty() {
            store_version(new);
        }
    },
    check_create: crate::check::extension::definition,
    check_update: crate::check::extension::definition_update,
    columns: crate::print::core::CREATED_AT,
    cells: crate::print::core::created_at,
    ..Promises::WORKLOAD
};

/// An APIService.
pub(crate) const API_SERVICE: Promises = Promises {
    facts: Facts { counts_generations: false, ..FACTS },
    // `v1.` is the name of the core group's version.
    name: object::names::path_segment,
    default: |service| at(service, &["spec", "service"], |reference| default_to(reference, "port", 443)),
    create: create_api_service,
    check_create: crate::check::extension::api_service,
    check_update: |context, new, _| crate::check::extension::api_service(context, new),
    columns: crate::print::policy::API_SERVICE,
    cells: crate::print::policy::api_service,
    ..Promises::STATUS
};

fn default_definition(definition: &mut Value) {
    within(definition, "spec", |spec| {
        within(spec, "names", |names| {
            let kind = owned(names, &["kind"]);
            if !kind.is_empty() {
                default_text(names, "singular", &kind.to_lowercase());
                default_text(names, "listKind", &format!("{kind}List"));
            }
        });
        if unset(spec.get("conversion")) {
            ensure(spec, "conversion");
            within(spec, "conversion", |conversion| default_text(conversion, "strategy", "None"));
        }
        at(spec, &["conversion", "webhook", "clientConfig", "service"], |service| default_to(service, "port", 443));
    });
    if definition.list_at(&["status", "storedVersions"]).is_empty() {
        store_version(definition);
    }
}

/// The version in which objects are stored is among those in which some may be.
fn store_version(definition: &mut Value) {
    let versions = definition.list_at(&["spec", "versions"]).iter();
    let Some(stored) = versions.into_iter().find(|version| flag(version, &["storage"])) else { return };
    let name: Text = text(stored, &["name"]).into();
    if !texts(definition, &["status", "storedVersions"]).any(|known| known == name) {
        let mut stored = definition.list_at(&["status", "storedVersions"]).to_vec();
        stored.push(Value::from(name));
        definition.set(&["status", "storedVersions"], stored);
    }
}

/// A group version that this server serves itself is available at once.
fn create_api_service(context: &Context<'_>, service: &mut Value) {
    if !unset(service.at(&["spec", "service"])) {
        return;
    }
    let condition = Value::from_pairs([
        ("type", Value::from("Available")),
        ("status", Value::from("True")),
        ("lastTransitionTime", Value::from(timestamp::seconds(context.now))),
        ("reason", Value::from("Local")),
        ("message", Value::from("Local APIServices are always available")),
    ]);
    service.set(&["status", "conditions"], vec![condition]);
}
