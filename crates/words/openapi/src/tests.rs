//! Documents of a small source, whole, and the protobuf form read back.

use std::sync::Arc;

use kind::Resource;
use object::{Map, Schema, Value};

use crate::{Describe, Descriptions, Source, Undescribed, v2, v3};

fn rows(plural: &str) -> Vec<Arc<Resource>> {
    kind::builtin().iter().filter(|row| row.plural == plural).cloned().collect()
}

fn parsed(bytes: &[u8]) -> Value {
    codec::json::parse(bytes).expect("a document is JSON")
}

fn json(text: &str) -> Value {
    parsed(text.as_bytes())
}

#[test]
fn a_small_group_version_whole() {
    let rows = rows("tokenreviews");
    let source = Source { schema: Schema::builtin(), rows: &rows, describe: &Undescribed };
    let places = v3::places(&source);
    assert_eq!(
        places,
        [
            ".well-known/openid-configuration",
            "api",
            "apis",
            "apis/authentication.k8s.io",
            "apis/authentication.k8s.io/v1",
            "openid/v1/jwks",
            "version"
        ]
    );
    let document = parsed(&v3::document("apis/authentication.k8s.io/v1", &source).expect("the place is listed"));
    let operation =
        document.at(&["paths", "/apis/authentication.k8s.io/v1/tokenreviews", "post"]).expect("a review is created");
    let content = json(
        r##"{
        "application/json": {"schema": {"$ref": "#/components/schemas/io.k8s.api.authentication.v1.TokenReview"}},
        "application/vnd.kubernetes.protobuf": {"schema":
            {"$ref": "#/components/schemas/io.k8s.api.authentication.v1.TokenReview"}},
        "application/yaml": {"schema": {"$ref": "#/components/schemas/io.k8s.api.authentication.v1.TokenReview"}}}"##,
    );
    let mut expected = json(
        r##"{"operationId": "createAuthenticationV1TokenReview", "tags": ["authentication_v1"],
        "x-kubernetes-action": "post",
        "x-kubernetes-group-version-kind": {"group": "authentication.k8s.io", "kind": "TokenReview", "version": "v1"},
        "requestBody": {"required": true, "content":
            {"*/*": {"schema": {"$ref": "#/components/schemas/io.k8s.api.authentication.v1.TokenReview"}}}},
        "responses": {"200": {"description": "OK"}, "201": {"description": "Created"},
            "202": {"description": "Accepted"}, "401": {"description": "Unauthorized"}}}"##,
    );
    ["200", "201", "202"].iter().for_each(|code| expected.set(&["responses", code, "content"], content.clone()));
    assert_eq!(operation, &expected);
    assert_eq!(
        document.at(&["components", "schemas", "io.k8s.api.authentication.v1.UserInfo"]),
        Some(&json(
            r#"{"type": "object", "properties": {
            "extra": {"type": "object", "additionalProperties": {"type": "array", "items": {"type": "string"}}},
            "groups": {"type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "atomic"},
            "uid": {"type": "string"}, "username": {"type": "string"}}}"#
        ))
    );
}

#[test]
fn unknown_places_have_no_document() {
    let rows = rows("leases");
    let source = Source { schema: Schema::builtin(), rows: &rows, describe: &Undescribed };
    for place in
        ["", "api/v1", "apis/coordination.k8s.io/v2", "apis/apps", "apis/coordination.k8s.io/v1/leases", "logs"]
    {
        assert_eq!(v3::document(place, &source), None, "{place}");
    }
}

#[test]
fn the_index_leads_to_documents_by_hash() {
    let index = v3::index([("api/v1", "AB"), ("version", "CD")]);
    assert_eq!(
        String::from_utf8_lossy(&index),
        concat!(
            r#"{"paths":{"api/v1":{"serverRelativeURL":"/openapi/v3/api/v1?hash=AB"},"#,
            r#""version":{"serverRelativeURL":"/openapi/v3/version?hash=CD"}}}"#
        )
    );
}

#[derive(Debug)]
struct Sentences;

impl Describe for Sentences {
    fn type_(&self, name: &str) -> Option<&str> {
        name.ends_with(".Lease").then_some("A lease.")
    }

    fn field(&self, name: &str, field: &str) -> Option<&str> {
        match (name.rsplit('.').next(), field) {
            (Some("Lease"), "spec") => Some("What is leased."),
            (Some("ListOptions"), "limit") => Some("How many at most."),
            _ => None,
        }
    }
}

#[test]
fn descriptions_stand_where_they_belong() {
    let rows = rows("leases");
    let source = Source { schema: Schema::builtin(), rows: &rows, describe: &Sentences };
    let document = parsed(&v3::document("apis/coordination.k8s.io/v1", &source).expect("the place is listed"));
    let lease = &["components", "schemas", "io.k8s.api.coordination.v1.Lease"];
    assert_eq!(document.at(lease).and_then(|lease| lease.str_at(&["description"])), Some("A lease."));
    let lease = document.at(lease).expect("the kind is described");
    assert_eq!(lease.str_at(&["properties", "spec", "description"]), Some("What is leased."));
    let list = document.at(&["paths", "/apis/coordination.k8s.io/v1/leases"]).expect("leases are listed");
    let limit = list.list_at(&["parameters"]).iter().find(|one| one.str_at(&["name"]) == Some("limit"));
    assert_eq!(limit.and_then(|limit| limit.str_at(&["description"])), Some("How many at most."));
}

#[test]
fn kubectl_finds_what_it_probes_for() {
    let rows = rows("leases");
    let document = v2::document(&Source { schema: Schema::builtin(), rows: &rows, describe: &Undescribed });
    let document = parsed(&document);
    let path = "/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases/{name}";
    let patch = document.at(&["paths", path, "patch"]).expect("leases are patched");
    for name in ["dryRun", "fieldValidation"] {
        assert!(patch.list_at(&["parameters"]).iter().any(|one| one.str_at(&["name"]) == Some(name)), "{name}");
    }
}

/// The length-delimited fields numbered `number` of a message.
fn fields(mut message: &[u8], number: u64) -> Vec<&[u8]> {
    let mut found = Vec::new();
    while !message.is_empty() {
        let tag = varint(&mut message);
        if tag & 7 == 0 {
            varint(&mut message);
            continue;
        }
        assert_eq!(tag & 7, 2, "the message holds varints and bytes only");
        let length = usize::try_from(varint(&mut message)).expect("a length fits");
        let (bytes, rest) = message.split_at(length);
        message = rest;
        if tag >> 3 == number {
            found.push(bytes);
        }
    }
    found
}

fn varint(message: &mut &[u8]) -> u64 {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let byte = message.split_off_first().expect("a message does not end in a number");
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            break;
        }
    }
    value
}

fn at<'m>(message: &'m [u8], path: &[u64]) -> Vec<&'m [u8]> {
    path.iter().fold(vec![message], |messages, number| {
        messages.into_iter().flat_map(|message| fields(message, *number)).collect()
    })
}

/// The values of (name, value) messages that are called `name`.
fn called<'m>(pairs: &[&'m [u8]], name: &str) -> Vec<&'m [u8]> {
    let named = pairs.iter().filter(|pair| at(pair, &[1]) == [name.as_bytes()]);
    named.flat_map(|pair| at(pair, &[2])).collect()
}

#[test]
fn the_protobuf_form_reads_back() {
    let rows = rows("leases");
    let document = v2::document(&Source { schema: Schema::builtin(), rows: &rows, describe: &Undescribed });
    let message = v2::protobuf(&document).expect("the document is not deep");
    assert_eq!(at(&message, &[1]), [b"2.0"], "swagger");
    assert_eq!(at(&message, &[2, 1]), [b"Kubernetes"], "title");
    let tree = parsed(&document);
    let definitions = tree.get("definitions").and_then(Value::as_map).expect("there are definitions");
    assert_eq!(at(&message, &[9, 1]).len(), definitions.len());

    let lease = called(&at(&message, &[9, 1]), "io.k8s.api.coordination.v1.Lease");
    assert_eq!(at(lease[0], &[22, 1]), [b"object"], "type");
    let kinds = called(&at(lease[0], &[31]), "x-kubernetes-group-version-kind");
    let kind = br#"[{"group":"coordination.k8s.io","kind":"Lease","version":"v1"}]"#;
    assert_eq!(at(kinds[0], &[2]), [kind.as_slice()], "YAML");
    let spec = called(&at(lease[0], &[25, 1]), "spec");
    assert_eq!(at(spec[0], &[1]), [b"#/definitions/io.k8s.api.coordination.v1.LeaseSpec"], "$ref");

    let paths = at(&message, &[8, 2]);
    let object = called(&paths, "/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases/{name}");
    let patch = at(object[0], &[8]);
    assert_eq!(at(patch[0], &[5]), [b"patchCoordinationV1NamespacedLease"], "operationId");
    assert_eq!(at(patch[0], &[8, 1, 2, 3, 4]), [b"dryRun".as_slice(), b"fieldValidation"], "query parameters in place");
    let ok = called(&at(patch[0], &[9, 1]), "200");
    assert_eq!(at(ok[0], &[1, 2, 1, 1]), [b"#/definitions/io.k8s.api.coordination.v1.Lease"], "answer");
}

#[test]
fn types_fields_and_parameters_are_described() {
    let all = Descriptions::default();
    for (type_, field, begins) in [
        ("io.k8s.api.core.v1.Pod", "", "Pod is a collection of containers"),
        ("io.k8s.api.core.v1.PodSpec", "containers", "List of containers belonging to the pod."),
        ("io.k8s.api.core.v1.PodLogOptions", "tailLines", "If set, the number of lines"),
        ("io.k8s.api.core.v1.PodExecOptions", "stdin", "Redirect the standard input"),
        ("io.k8s.api.networking.v1.NetworkPolicyPeer", "ipBlock", "ipBlock defines policy"),
        ("io.k8s.apimachinery.pkg.apis.meta.v1.ListOptions", "limit", "limit is a maximum number of responses"),
        ("io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta", "labels", "Map of string keys and values"),
    ] {
        let found = if field.is_empty() { all.type_(type_) } else { all.field(type_, field) };
        assert!(found.is_some_and(|text| text.starts_with(begins)), "{type_} {field}: {found:?}");
    }
    assert_eq!(all.field("io.k8s.api.core.v1.Pod", "nothing"), None);
    assert_eq!(all.type_("io.k8s.api.core.v1.Nothing"), None);
}

#[test]
fn nearly_everything_that_is_published_is_described() {
    let describe = Descriptions::default();
    let source = Source { schema: Schema::builtin(), rows: kind::builtin(), describe: &describe };
    let document = parsed(&v2::document(&source));
    let mut silent = Vec::new();
    let mut fields = 0;
    for (name, type_) in document.get("definitions").and_then(Value::as_map).expect("there are definitions").iter() {
        for (field, member) in type_.get("properties").and_then(Value::as_map).into_iter().flat_map(Map::iter) {
            fields += 1;
            if member.get("description").is_none() {
                silent.push(format!("{name} {field}"));
            }
        }
    }
    // The members of custom kinds' schemas, about which upstream says nothing.
    assert!(silent.len() * 40 < fields, "{} of {fields} fields are not described: {silent:#?}", silent.len());
    let parameters = document.get("parameters").and_then(Value::as_map).expect("there are parameters");
    let described = |(_, one): &(&str, &Value)| one.get("description").is_some();
    let silent: Vec<&str> = parameters.iter().filter(|one| !described(one)).map(|(name, _)| name).collect();
    let expected = ["body", "name", "namespace", "path", "pretty"];
    let odd: Vec<&&str> = silent.iter().filter(|name| !expected.iter().any(|one| name.starts_with(one))).collect();
    assert!(odd.is_empty(), "{odd:?}");
}
