//! The client against scripted servers: within the process and over TLS.

mod remote;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use codec::{Root, json, proto};
use futures::FutureExt;
use http::{Method, Request, Response};
use kind::{GroupKind, Refusal};
use object::{Schema, Value};
use parking_lot::Mutex;
use serving::{Body, Door, Peer, from_fn};
use typed::Kind;
use typed::api::core::v1::{ConfigMap, Pod};

use crate::{
    Client, DeleteOptions, Depth, Error, Event, ListOptions, Patch, Propagation, TransportError, WatchOptions,
};

/// No test waits longer than this for anything.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) async fn soon<F: Future>(what: &str, future: F) -> F::Output {
    env::time::timeout(PATIENCE, future).await.unwrap_or_else(|_| panic!("{what} does not happen"))
}

/// What a server was asked.
#[derive(Debug, Clone, Default)]
struct Heard {
    line: String,
    accept: String,
    content_type: String,
    user_agent: String,
    body: Bytes,
}

/// A client of a server that answers each request by `answer`, and what that server heard.
fn scripted<F>(answer: F) -> (Client, Arc<Mutex<Vec<Heard>>>)
where
    F: Fn(usize, &Heard) -> Response<Body> + Send + Sync + 'static,
{
    let heard = Arc::new(Mutex::new(Vec::new()));
    let (ears, answer) = (Arc::clone(&heard), Arc::new(answer));
    let service = from_fn(move |request: Request<Body>| {
        let (ears, answer) = (Arc::clone(&ears), Arc::clone(&answer));
        async move {
            let (parts, body) = request.into_parts();
            let header = |name| parts.headers.get(name).map_or("", |value| value.to_str().unwrap()).to_owned();
            let (accept, content_type, user_agent) = (header("accept"), header("content-type"), header("user-agent"));
            let body = serving::collect(body, 1 << 20).await.unwrap();
            let line = format!("{} {}", parts.method, parts.uri);
            let one = Heard { line, accept, content_type, user_agent, body };
            let number = ears.lock().len();
            ears.lock().push(one.clone());
            answer(number, &one)
        }
        .boxed()
    });
    (Client::through(Door::new(Arc::new(service), Peer::in_memory(None)), "tester"), heard)
}

fn config(name: &str) -> ConfigMap {
    let mut config = ConfigMap::default();
    config.metadata.namespace = Some("default".to_owned());
    config.metadata.name = Some(name.to_owned());
    config.data = Some([("key".to_owned(), name.to_owned())].into());
    config
}

fn sealed(tree: &Value) -> Vec<u8> {
    let (version, kind) = (tree.str_at(&["apiVersion"]).unwrap(), tree.str_at(&["kind"]).unwrap());
    proto::seal(tree, Root::builtin(version, kind).unwrap(), version, kind)
}

fn text(tree: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    json::write(tree, &mut out);
    out
}

fn protobuf(bytes: impl Into<Body>) -> Response<Body> {
    Response::builder().header("content-type", "application/vnd.kubernetes.protobuf").body(bytes.into()).unwrap()
}

fn document(tree: &Value) -> Response<Body> {
    Response::builder().header("content-type", "application/json").body(text(tree).into()).unwrap()
}

fn refused(refusal: &Refusal) -> Response<Body> {
    let mut response = document(&refusal.status());
    *response.status_mut() = http::StatusCode::from_u16(refusal.code()).unwrap();
    response
}

fn config_maps() -> GroupKind {
    ConfigMap::resource().group_resource()
}

#[tokio::test]
async fn built_in_kinds_travel_as_protobuf_both_ways() {
    let (client, heard) = scripted(|_, heard| protobuf(heard.body.to_vec()));
    let sent = config("a");
    assert_eq!(client.create(&sent).await.unwrap(), sent);
    assert_eq!(client.update(&sent).await.unwrap(), sent);
    assert_eq!(client.update_part(&sent, "status").await.unwrap(), sent);
    let heard = heard.lock();
    let lines: Vec<&str> = heard.iter().map(|one| one.line.as_str()).collect();
    let base = "/api/v1/namespaces/default/configmaps";
    assert_eq!(lines, [format!("POST {base}"), format!("PUT {base}/a"), format!("PUT {base}/a/status")]);
    assert_eq!(heard[0].content_type, "application/vnd.kubernetes.protobuf");
    assert!(heard[0].accept.starts_with("application/vnd.kubernetes.protobuf"));
    assert_eq!(heard[0].user_agent, "ferrokube-tester/v1.36.0");
}

#[tokio::test]
async fn an_answer_in_json_is_understood_too() {
    let (client, _) = scripted(|_, _| document(&config("a").to_tree()));
    assert_eq!(client.get::<ConfigMap>("default", "a").await.unwrap(), config("a"));
}

#[tokio::test]
async fn lists_give_items_and_say_where_they_stand() {
    for form in ["protobuf", "json"] {
        let (client, heard) = scripted(move |_, _| {
            let mut list = Value::from_pairs([("apiVersion", "v1"), ("kind", "ConfigMapList")]);
            list.set(&["metadata", "resourceVersion"], "42");
            list.set(&["metadata", "continue"], "more");
            list.set(&["items"], vec![config("a").to_tree(), config("b").to_tree()]);
            if form == "json" { document(&list) } else { protobuf(sealed(&list)) }
        });
        let options = ListOptions {
            namespace: "default".to_owned(),
            label_selector: "app in (a,b)".to_owned(),
            limit_objects: 2,
            ..ListOptions::default()
        };
        let listed = client.list::<ConfigMap>(&options).await.unwrap();
        assert_eq!(listed.items, [config("a"), config("b")], "{form}");
        assert_eq!((listed.resource_version.as_str(), listed.continue_token.as_str()), ("42", "more"));
        let trees = client.list_trees(ConfigMap::resource(), &options, Depth::Whole).await.unwrap();
        assert_eq!(trees.items[0].str_at(&["kind"]), Some("ConfigMap"), "{form}");
        let wanted = "GET /api/v1/namespaces/default/configmaps?labelSelector=app%20in%20%28a%2Cb%29&limit=2";
        assert_eq!(heard.lock()[0].line, wanted);
    }
}

fn bookmark() -> Value {
    let mut tree = Value::from_pairs([("apiVersion", "v1"), ("kind", "ConfigMap")]);
    tree.set(&["metadata", "resourceVersion"], "7");
    tree.set(&["metadata", "annotations", "k8s.io/initial-events-end"], "true");
    tree
}

fn script() -> Vec<(&'static str, Value)> {
    let expired = Refusal::Expired("too old resource version: 1 (5)".to_owned()).status();
    vec![
        ("ADDED", config("a").to_tree()),
        ("BOOKMARK", bookmark()),
        ("MODIFIED", config("b").to_tree()),
        ("DELETED", config("c").to_tree()),
        ("ERROR", expired),
    ]
}

#[tokio::test]
async fn watches_are_read_however_they_are_cut() {
    for (form, cut_bytes) in [("protobuf", 1), ("protobuf", 7), ("protobuf", 100_000), ("json", 1), ("json", 100_000)] {
        let (client, heard) = scripted(move |_, _| {
            let mut all = Vec::new();
            for (kind, tree) in script() {
                if form == "protobuf" {
                    all.extend(proto::event_frame(kind, &sealed(&tree)));
                } else {
                    let mut event = Value::from_pairs([("type", kind)]);
                    event.set(&["object"], tree);
                    all.extend(text(&event));
                    all.push(b'\n');
                }
            }
            let pieces: Vec<Bytes> = all.chunks(cut_bytes).map(Bytes::copy_from_slice).collect();
            let (sender, body) = Body::channel(pieces.len());
            pieces.into_iter().for_each(|piece| assert!(sender.try_send(piece)));
            let content_type =
                if form == "json" { "application/json" } else { "application/vnd.kubernetes.protobuf;stream=watch" };
            Response::builder().header("content-type", content_type).body(body).unwrap()
        });
        let options = WatchOptions { send_initial_events: true, timeout_seconds: 60, ..WatchOptions::default() };
        let mut watch = client.watch::<ConfigMap>(&options).await.unwrap();
        let mut events = Vec::new();
        let error = loop {
            match soon("an event", watch.next()).await {
                Some(Ok(event)) => events.push(event),
                Some(Err(error)) => break error,
                None => panic!("the error is an item"),
            }
        };
        let bookmark = Event::Bookmark { resource_version: "7".to_owned(), initial_end: true };
        let wanted = [Event::Added(config("a")), bookmark, Event::Modified(config("b")), Event::Deleted(config("c"))];
        assert_eq!(events, wanted, "{form} in pieces of {cut_bytes} bytes");
        assert!(error.is_expired(), "{error}");
        assert!(watch.next().await.is_none(), "an error is the last item");
        let wanted = "GET /api/v1/configmaps?watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan\
                      &allowWatchBookmarks=true&timeoutSeconds=60";
        assert_eq!(heard.lock()[0].line, wanted);
    }
}

#[tokio::test]
async fn metadata_alone_names_the_real_kind() {
    let (client, heard) = scripted(|_, _| {
        let mut tree = Value::from_pairs([("apiVersion", "meta.k8s.io/v1"), ("kind", "PartialObjectMetadata")]);
        tree.set(&["metadata", "name"], "a");
        protobuf(sealed(&tree))
    });
    let tree = client.get_tree(ConfigMap::resource(), "default", "a", Depth::Metadata).await.unwrap();
    assert_eq!(tree.str_at(&["kind"]), Some("ConfigMap"));
    assert_eq!(tree.str_at(&["metadata", "name"]), Some("a"));
    assert!(heard.lock()[0].accept.contains("as=PartialObjectMetadata;g=meta.k8s.io;v=v1"));
}

#[tokio::test]
async fn refusals_are_told_apart() {
    let named = |make: fn(GroupKind, String) -> Refusal| make(config_maps(), "a".to_owned());
    type Holds = fn(&Error) -> bool;
    let cases: [(Refusal, Holds); 5] = [
        (named(|resource, name| Refusal::NotFound { resource, name }), Error::is_not_found),
        (named(|resource, name| Refusal::AlreadyExists { resource, name }), Error::is_already_exists),
        (Refusal::modified(config_maps(), "a"), Error::is_conflict),
        (Refusal::Expired("old".to_owned()), Error::is_expired),
        (Refusal::ForbiddenPath("no".to_owned()), Error::is_forbidden),
    ];
    for (refusal, holds) in &cases {
        let sent = refusal.clone();
        let (client, _) = scripted(move |_, _| refused(&sent));
        let error = client.create(&config("a")).await.unwrap_err();
        assert_eq!(error.to_string(), refusal.to_string());
        let kinds: Vec<bool> = cases.iter().map(|(_, other)| other(&error)).collect();
        assert_eq!(kinds.iter().filter(|is| **is).count(), 1, "{error}");
        assert!(holds(&error), "{error}");
    }
}

#[tokio::test]
async fn an_answer_of_a_stranger_becomes_a_status() {
    let (client, _) = scripted(|_, _| Response::builder().status(502).body("bad gateway\n".into()).unwrap());
    let error = client.get::<ConfigMap>("default", "a").await.unwrap_err();
    assert_eq!((error.code(), error.reason(), error.to_string().as_str()), (Some(502), "Unknown", "bad gateway"));
}

#[tokio::test]
async fn reads_come_back_when_told_writes_do_not() {
    let busy = || {
        let mut response = refused(&Refusal::Unavailable("starting".to_owned()));
        response.headers_mut().insert("retry-after", "0".parse().unwrap());
        response
    };
    let (client, heard) = scripted(move |number, _| if number < 2 { busy() } else { document(&config("a").to_tree()) });
    client.get::<ConfigMap>("default", "a").await.unwrap();
    assert_eq!(heard.lock().len(), 3);
    let (client, heard) = scripted(move |_, _| busy());
    client.create(&config("a")).await.unwrap_err();
    assert_eq!(heard.lock().len(), 1);
    client.get::<ConfigMap>("default", "a").await.unwrap_err();
    assert_eq!(heard.lock().len(), 1 + 11, "a server that is never ready is asked eleven times");
    let (client, heard) = scripted(|_, _| refused(&Refusal::Unavailable("no time given".to_owned())));
    client.get::<ConfigMap>("default", "a").await.unwrap_err();
    assert_eq!(heard.lock().len(), 1);
}

#[tokio::test]
async fn an_answer_that_does_not_come_is_a_timeout() {
    let silent = from_fn(|_| futures::future::pending().boxed());
    let client = Client::through(Door::new(Arc::new(silent), Peer::in_memory(None)), "tester")
        .with_request_timeout(Duration::from_millis(20));
    let error = soon("the timeout", client.get::<ConfigMap>("default", "a")).await.unwrap_err();
    assert!(matches!(error, Error::Transport(TransportError::Timeout(_))), "{error}");
}

#[tokio::test]
async fn deletes_and_patches_say_what_they_mean() {
    let (client, heard) = scripted(|_, _| document(&Pod::default().to_tree()));
    let options = DeleteOptions {
        uid: Some("u".to_owned()),
        resource_version: Some("5".to_owned()),
        grace_seconds: Some(0),
        propagation: Some(Propagation::Orphan),
        dry_run: true,
    };
    client.delete::<Pod>("ns", "p", &options).await.unwrap();
    let change = Value::from_pairs([("a", 1)]);
    let apply = Patch::Apply { object: change.clone(), manager: "me".to_owned(), force: true };
    for patch in [Patch::Json(change.clone()), Patch::Merge(change.clone()), Patch::Strategic(change), apply] {
        client.patch::<Pod>("ns", "p", "status", &patch).await.unwrap();
    }
    let heard = heard.lock();
    let wanted = "{\"apiVersion\":\"v1\",\"dryRun\":[\"All\"],\"gracePeriodSeconds\":0,\"kind\":\"DeleteOptions\",\
                  \"preconditions\":{\"resourceVersion\":\"5\",\"uid\":\"u\"},\"propagationPolicy\":\"Orphan\"}";
    assert_eq!(heard[0].line, "DELETE /api/v1/namespaces/ns/pods/p");
    assert_eq!(std::str::from_utf8(&heard[0].body).unwrap(), wanted);
    let patches: Vec<&str> = heard[1..].iter().map(|one| one.content_type.as_str()).collect();
    let languages = ["json-patch+json", "merge-patch+json", "strategic-merge-patch+json", "apply-patch+yaml"];
    assert_eq!(patches, languages.map(|language| format!("application/{language}")));
    assert_eq!(heard[4].line, "PATCH /api/v1/namespaces/ns/pods/p/status?fieldManager=me&force=true");
    assert_eq!(heard[4].body, "{\"a\":1}");
}

#[tokio::test]
async fn discovery_reads_both_documents() {
    let aggregated = "{\"kind\":\"APIGroupDiscoveryList\",\"items\":[{\"metadata\":{\"name\":\"apps\"},\"versions\":[\
        {\"version\":\"v1\",\"resources\":[{\"resource\":\"deployments\",\"responseKind\":{\"group\":\"apps\",\
        \"version\":\"v1\",\"kind\":\"Deployment\"},\"scope\":\"Namespaced\",\"singularResource\":\"deployment\",\
        \"verbs\":[\"get\",\"list\"],\"subresources\":[{\"subresource\":\"status\",\"responseKind\":{\"group\":\"apps\",\
        \"version\":\"v1\",\"kind\":\"Deployment\"},\"verbs\":[\"get\"]}]}]}]},{\"metadata\":{\"name\":\"broken.io\"},\
        \"versions\":[{\"version\":\"v1\",\"freshness\":\"Stale\"}]}]}";
    let empty = "{\"kind\":\"APIGroupDiscoveryList\",\"items\":[]}";
    let (client, _) = scripted(move |_, heard| {
        let words = if heard.line.ends_with("/apis") { aggregated } else { empty };
        Response::builder().header("content-type", "application/json").body(words.into()).unwrap()
    });
    let new = client.discover().await.unwrap();
    let (client, _) = scripted(|_, heard| {
        let words = match heard.line.as_str() {
            "GET /api" => "{\"kind\":\"APIVersions\",\"versions\":[]}",
            "GET /apis" => {
                "{\"kind\":\"APIGroupList\",\"groups\":[{\"name\":\"apps\",\"versions\":[{\"groupVersion\":\"apps/v1\"}]},\
                 {\"name\":\"broken.io\",\"versions\":[{\"groupVersion\":\"broken.io/v1\"}]}]}"
            }
            "GET /apis/apps/v1" => {
                "{\"kind\":\"APIResourceList\",\"groupVersion\":\"apps/v1\",\"resources\":[{\"name\":\"deployments\",\
                 \"singularName\":\"deployment\",\"namespaced\":true,\"kind\":\"Deployment\",\"verbs\":[\"get\",\"list\"]},\
                 {\"name\":\"deployments/status\",\"namespaced\":true,\"kind\":\"Deployment\",\"verbs\":[\"get\"]}]}"
            }
            _ => return refused(&Refusal::Unavailable("gone fishing".to_owned())),
        };
        Response::builder().header("content-type", "application/json").body(words.into()).unwrap()
    });
    let old = client.discover().await.unwrap();
    assert_eq!(new, old);
    let row = new.preferred()[0];
    assert_eq!((row.path("ns", "d", "").as_str(), row.namespaced), ("/apis/apps/v1/namespaces/ns/deployments/d", true));
    assert!(row.verbs.contains(kind::Verb::List) && !row.verbs.contains(kind::Verb::Delete));
    assert_eq!(row.subresources[0].name, "status");
    assert_eq!(new.incomplete, ["broken.io/v1"]);
}

#[tokio::test]
async fn custom_resources_travel_as_json() {
    let (client, heard) = scripted(|_, heard| {
        let tree = json::parse(&heard.body).unwrap();
        document(&tree)
    });
    let mut row = (**ConfigMap::resource()).clone();
    (row.group, row.kind, row.plural) = ("example.com".into(), "Widget".into(), "widgets".into());
    let mut tree = Value::from_pairs([("apiVersion", "example.com/v1"), ("kind", "Widget")]);
    tree.set(&["metadata", "name"], "w");
    assert_eq!(client.create_tree(&row, "ns", &tree).await.unwrap(), tree);
    let heard = heard.lock();
    assert_eq!((heard[0].content_type.as_str(), heard[0].accept.as_str()), ("application/json", "application/json"));
    assert_eq!(heard[0].line, format!("{} /apis/example.com/v1/namespaces/ns/widgets", Method::POST));
}

#[test]
fn the_schema_knows_what_answers_are_made_of() {
    for (version, kind) in [
        ("v1", "Status"),
        ("v1", "PodList"),
        ("meta.k8s.io/v1", "PartialObjectMetadata"),
        ("meta.k8s.io/v1", "PartialObjectMetadataList"),
    ] {
        assert!(Schema::builtin().kind(version, kind).is_some(), "{version} {kind}");
    }
}
