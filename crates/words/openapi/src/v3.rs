//! OpenAPI 3.0: an index, and a document for each group-version, group and path of the server.
//!
//! KEP-2896. A document's place in the index is its path below the root, such as `api/v1`, `apis/apps/v1`, `version`.

use crate::components::{Components, group_version_kind};
use crate::json::Json;
use crate::operation::{Answer, Operation, Parameter, PathItem, Place, status};
use crate::{Language, Source, routes};

/// The places of all documents, sorted.
pub fn places(source: &Source<'_>) -> Vec<String> {
    let mut places: Vec<String> = routes::SERVER.map(str::to_owned).to_vec();
    for row in source.rows {
        if row.group.is_empty() {
            places.push(format!("api/{}", row.version));
        } else {
            places.push(format!("apis/{}", row.group));
            places.push(format!("apis/{}/{}", row.group, row.version));
        }
    }
    places.sort();
    places.dedup();
    places
}

/// The answer of `/openapi/v3`: for each place and the hash of its document (upper-case hex of SHA-512, which is its
/// entity tag), where to find it. A client keeps a document for as long as the hash in its address stays.
pub fn index<'p>(documents: impl IntoIterator<Item = (&'p str, &'p str)>) -> Vec<u8> {
    Json::document(|json| {
        json.key("paths").object(|json| {
            for (place, hash) in documents {
                json.key(place).object(|json| {
                    json.member("serverRelativeURL", &format!("/openapi/v3/{place}?hash={hash}"));
                });
            }
        });
    })
}

/// The document of `place` as JSON; `None` when there is no such place.
pub fn document(place: &str, source: &Source<'_>) -> Option<Vec<u8>> {
    let parts: Vec<&str> = place.split('/').collect();
    let (versions, items) = match *parts.as_slice() {
        ["api", version] => (vec![(String::new(), version)], routes::of_version(source, "", version)),
        ["apis", group, version] => {
            let items = routes::of_version(source, group, version);
            (vec![(String::new(), "v1"), (group.to_owned(), version)], items)
        }
        ["apis", group] => (Vec::new(), Vec::from_iter(routes::of_group(source, group))),
        _ => (Vec::new(), Vec::from_iter(routes::of_server(source, place))),
    };
    if items.is_empty() {
        return None;
    }
    let versions = versions.into_iter().map(|(group, version)| (group.into(), version.into())).collect();
    let mut components = Components::new(source, Language::OpenApi3, versions);
    items.iter().flat_map(PathItem::targets).for_each(|target| components.add(target));
    Some(Json::document(|json| {
        json.key("components").object(|json| {
            if !components.is_empty() {
                json.key("schemas").object(|json| components.write(json));
            }
            json.key("securitySchemes").object(bearer_token);
        });
        json.key("info").object(info);
        json.member("openapi", "3.0.0");
        json.key("paths").object(|json| items.iter().for_each(|item| path_item(json, item, source)));
    }))
}

/// How clients show who they are.
pub(crate) fn bearer_token(json: &mut Json) {
    json.key("BearerToken").object(|json| {
        json.member("description", "Bearer Token authentication");
        json.member("in", "header");
        json.member("name", "authorization");
        json.member("type", "apiKey");
    });
}

pub(crate) fn info(json: &mut Json) {
    json.member("title", "Kubernetes");
    json.member("version", "unversioned");
}

/// What both languages say alike about an operation.
pub(crate) fn common(json: &mut Json, operation: &Operation<'_>) {
    json.member("operationId", &operation.id);
    json.key("tags").texts([&operation.tag]);
    if let Some((action, group, version, kind)) = &operation.action {
        json.member("x-kubernetes-action", action);
        group_version_kind(json.key("x-kubernetes-group-version-kind"), group, version, kind);
    }
}

fn path_item(json: &mut Json, item: &PathItem<'_>, source: &Source<'_>) {
    json.key(&item.path).object(|json| {
        for operation in &item.operations {
            json.key(operation.method).object(|json| write_operation(json, operation, source));
        }
        parameters(json, &item.parameters, source);
    });
}

fn write_operation(json: &mut Json, operation: &Operation<'_>, source: &Source<'_>) {
    common(json, operation);
    parameters(json, &operation.parameters, source);
    if let Some(request) = &operation.body {
        json.key("requestBody").object(|json| {
            content(json, &operation.consumes, Answer::Of(request.target));
            if request.required {
                json.key("required").yes();
            }
        });
    }
    json.key("responses").object(|json| {
        for code in operation.codes {
            json.key(&code.to_string()).object(|json| {
                content(json, &operation.media, operation.answer);
                json.member("description", status(*code));
            });
        }
        json.key("401").object(|json| json.member("description", status(401)));
    });
}

fn content(json: &mut Json, media: &[&str], of: Answer<'_>) {
    json.key("content").object(|json| {
        for type_ in media {
            json.key(type_).object(|json| json.key("schema").object(|json| schema(json, of, Language::OpenApi3)));
        }
    });
}

pub(crate) fn schema(json: &mut Json, of: Answer<'_>, language: Language) {
    match of {
        Answer::Text => json.member("type", "string"),
        Answer::Of(target) => json.reference(language.prefix(), target.name),
    }
}

fn parameters(json: &mut Json, parameters: &[Parameter<'_>], source: &Source<'_>) {
    if parameters.is_empty() {
        return;
    }
    json.key("parameters").list(|json| {
        for parameter in parameters {
            json.object(|json| {
                json.some("description", parameter.description(source));
                json.member("in", parameter.place.name());
                json.member("name", parameter.name);
                if parameter.place == Place::Path {
                    json.key("required").yes();
                }
                json.key("schema").object(|json| {
                    json.member("type", parameter.type_);
                    json.key("uniqueItems").yes();
                });
            });
        }
    });
}
