//! Swagger 2.0: one document for everything.
//!
//! `kubectl` up to 1.26 and `kubectl apply` of today read it, in protobuf form only; other clients read the JSON.

use std::collections::BTreeSet;

use codec::DecodeError;
use object::Text;

use crate::components::Components;
use crate::json::Json;
use crate::operation::{Operation, Parameter, PathItem, Place, Request, status};
use crate::{Language, Source, routes, v3};

/// The protobuf form's media type in answers.
pub const PROTOBUF: &str = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";
/// The name by which clients ask for the protobuf form. It is no valid media type (`@`): an answer that bears it is
/// refused by the very clients that ask for it.
pub const PROTOBUF_ASKED: &str = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf";

/// Group-versions whose kinds upstream's server knows without publishing any of them.
const RETIRED: [(&str, &str); 2] = [("apiextensions.k8s.io", "v1beta1"), ("apiregistration.k8s.io", "v1beta1")];
/// Group-versions whose kinds are never sent as objects of their own.
const INTERNAL: [&str; 3] = ["apidiscovery.k8s.io", "audit.k8s.io", "meta.k8s.io"];

/// The document as JSON.
pub fn document(source: &Source<'_>) -> Vec<u8> {
    let items = items(source);
    let mut components = Components::new(source, Language::Swagger2, versions(source));
    items.iter().flat_map(PathItem::targets).for_each(|target| components.add(target));
    Json::document(|json| {
        json.key("definitions").object(|json| components.write(json));
        json.key("info").object(v3::info);
        json.key("parameters").object(|json| shared(json, &items, source));
        json.key("paths").object(|json| items.iter().for_each(|item| path_item(json, item, source)));
        json.key("security").list(|json| json.object(|json| json.key("BearerToken").list(|_none| {})));
        json.key("securityDefinitions").object(v3::bearer_token);
        json.member("swagger", "2.0");
    })
}

/// The document that [`document`] made, as a protobuf message `openapi.v2.Document` (gnostic's).
///
/// # Errors
/// When `document` is no JSON, or custom kinds made it nest deeper than [`codec::DEPTH_MAX`].
pub fn protobuf(document: &[u8]) -> Result<Vec<u8>, DecodeError> {
    Ok(crate::protobuf::document(&codec::json::parse(document)?))
}

fn items<'a>(source: &Source<'a>) -> Vec<PathItem<'a>> {
    let mut items = Vec::new();
    for place in v3::places(source) {
        match *place.split('/').collect::<Vec<&str>>().as_slice() {
            ["api", version] => items.extend(routes::of_version(source, "", version)),
            ["apis", group, version] => items.extend(routes::of_version(source, group, version)),
            ["apis", group] => items.extend(routes::of_group(source, group)),
            _ => items.extend(routes::of_server(source, &place)),
        }
    }
    items.sort_by(|left, right| left.path.cmp(&right.path));
    items
}

/// The group-versions in which the machinery's own kinds can be sent.
fn versions(source: &Source<'_>) -> Vec<(Text, Text)> {
    let mut versions = BTreeSet::from(RETIRED.map(|(group, version)| (Text::from(group), Text::from(version))));
    for (api_version, _) in source.schema.types().filter_map(|(_, type_)| type_.kind.as_ref()) {
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        if !INTERNAL.contains(&group) {
            versions.insert((group.into(), version.into()));
        }
    }
    versions.into_iter().collect()
}

fn path_item(json: &mut Json, item: &PathItem<'_>, source: &Source<'_>) {
    json.key(&item.path).object(|json| {
        for operation in &item.operations {
            json.key(operation.method).object(|json| write_operation(json, operation, source));
        }
        if !item.parameters.is_empty() {
            json.key("parameters").list(|json| item.parameters.iter().for_each(|one| parameter(json, one, source)));
        }
    });
}

fn write_operation(json: &mut Json, operation: &Operation<'_>, source: &Source<'_>) {
    v3::common(json, operation);
    if !operation.consumes.is_empty() {
        json.key("consumes").texts(&operation.consumes);
    }
    if operation.body.is_some() || !operation.parameters.is_empty() {
        json.key("parameters").list(|json| {
            operation.body.iter().for_each(|request| body(json, request));
            operation.parameters.iter().for_each(|one| parameter(json, one, source));
        });
    }
    json.key("produces").texts(&operation.media);
    json.key("responses").object(|json| {
        for code in operation.codes {
            json.key(&code.to_string()).object(|json| {
                json.member("description", status(*code));
                json.key("schema").object(|json| v3::schema(json, operation.answer, Language::Swagger2));
            });
        }
        json.key("401").object(|json| json.member("description", status(401)));
    });
    json.key("schemes").texts(["https"]);
}

fn body(json: &mut Json, request: &Request<'_>) {
    json.object(|json| {
        json.member("in", "body");
        json.member("name", "body");
        if request.required {
            json.key("required").yes();
        }
        json.key("schema").object(|json| json.reference(Language::Swagger2.prefix(), request.target.name));
    });
}

/// Parameters by which `kubectl` finds out what the server can do; it does not follow references.
const PROBED: [&str; 2] = ["dryRun", "fieldValidation"];

/// A parameter stands once in the document and is referred to by what it is a field of: `container-PodLogOptions`.
fn parameter(json: &mut Json, parameter: &Parameter<'_>, source: &Source<'_>) {
    json.object(|json| {
        if PROBED.contains(&parameter.name) {
            members(json, parameter, source);
        } else {
            json.reference("#/parameters/", &shared_name(parameter));
        }
    });
}

fn members(json: &mut Json, parameter: &Parameter<'_>, source: &Source<'_>) {
    json.some("description", parameter.description(source));
    json.member("in", parameter.place.name());
    json.member("name", parameter.name);
    if parameter.place == Place::Path {
        json.key("required").yes();
    }
    json.member("type", parameter.type_);
    json.key("uniqueItems").yes();
}

fn shared_name(parameter: &Parameter<'_>) -> String {
    let owner = parameter.owner.rsplit('.').next().filter(|owner| !owner.is_empty());
    format!("{}-{}", parameter.name, owner.unwrap_or_else(|| parameter.place.name()))
}

fn shared(json: &mut Json, items: &[PathItem<'_>], source: &Source<'_>) {
    let mut all: BTreeSet<&Parameter<'_>> = BTreeSet::new();
    for item in items {
        all.extend(&item.parameters);
        all.extend(item.operations.iter().flat_map(|operation| &operation.parameters));
    }
    for parameter in all.into_iter().filter(|parameter| !PROBED.contains(&parameter.name)) {
        json.key(&shared_name(parameter)).object(|json| members(json, parameter, source));
    }
}
