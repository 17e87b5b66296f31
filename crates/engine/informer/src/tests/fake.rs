//! A small API server in memory: revisions, a log, lists, watches with and without the initial state, writes.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use client::Client;
use codec::{Root, json, proto};
use futures::future::BoxFuture;
use http::{Method, Request, Response, StatusCode};
use kind::{Refusal, Resource};
use object::{Meta, Schema, Value};
use parking_lot::Mutex;
use serving::{Body, Door, Peer, Sender, Service};

/// How long a test waits for a state before it says that it does not come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// What a server does instead of answering, once.
#[derive(Debug, Clone)]
pub(crate) enum Mishap {
    Refuse(Refusal),
}

#[derive(Debug, Default)]
struct Memory {
    revision: u64,
    objects: BTreeMap<String, Value>,
    log: Vec<(u64, &'static str, Value)>,
    forgotten: u64,
    watchers: Vec<(String, Sender)>,
    mishaps: VecDeque<(Method, Mishap)>,
    requests: Vec<String>,
    streams_lists: bool,
}

/// The server. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Fake(Arc<Mutex<Memory>>);

impl Fake {
    pub(crate) fn new() -> Self {
        let fake = Fake::default();
        fake.0.lock().streams_lists = true;
        fake.0.lock().revision = 100;
        fake
    }

    pub(crate) fn without_list_streams() -> Self {
        let fake = Self::new();
        fake.0.lock().streams_lists = false;
        fake
    }

    pub(crate) fn client(&self) -> Client {
        Client::through(Door::new(Arc::new(self.clone()), Peer::in_memory(None)), "tester")
    }

    /// The next request with this method is refused.
    pub(crate) fn refuse_next(&self, method: Method, refusal: Refusal) {
        self.0.lock().mishaps.push_back((method, Mishap::Refuse(refusal)));
    }

    /// Ends all watches.
    pub(crate) fn hang_up(&self) {
        self.0.lock().watchers.clear();
    }

    /// Ends all watches and forgets the log, as a server does that compacts.
    pub(crate) fn forget(&self) {
        let mut memory = self.0.lock();
        memory.revision += 1;
        memory.forgotten = memory.revision;
        memory.log.clear();
        memory.watchers.clear();
    }

    /// `METHOD address` of all requests so far.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.0.lock().requests.clone()
    }

    pub(crate) fn revision(&self) -> u64 {
        self.0.lock().revision
    }

    pub(crate) fn get(&self, path: &str) -> Option<Value> {
        self.0.lock().objects.get(path).cloned()
    }

    /// All objects below a path.
    pub(crate) fn below(&self, path: &str) -> Vec<Value> {
        let memory = self.0.lock();
        memory.objects.iter().filter(|(key, _)| key.starts_with(path)).map(|(_, tree)| tree.clone()).collect()
    }

    /// Puts an object at its path, as another client would.
    pub(crate) fn put(&self, resource: &Resource, mut tree: Value) -> Value {
        tree.set(&["apiVersion"], resource.api_version());
        tree.set(&["kind"], resource.kind.clone());
        let meta = Meta::of(&tree);
        let path = resource.path(meta.namespace(), meta.name(), "");
        self.0.lock().put(&path, tree)
    }

    pub(crate) fn delete(&self, path: &str) {
        self.0.lock().delete(path).expect("the object is there");
    }

    fn answer(&self, request: Request<Body>, body: &[u8]) -> Result<Response<Body>, Refusal> {
        let mut memory = self.0.lock();
        memory.requests.push(format!("{} {}", request.method(), request.uri()));
        if let Some((_, Mishap::Refuse(refusal))) =
            memory.mishaps.front().filter(|(m, _)| m == request.method()).cloned()
        {
            memory.mishaps.pop_front();
            return Err(refusal);
        }
        let accept = request.headers().get("accept").and_then(|value| value.to_str().ok()).unwrap_or_default();
        let protobuf = accept.contains("protobuf") && !accept.contains("PartialObjectMetadata");
        let path = request.uri().path().to_owned();
        let query = query(request.uri().query().unwrap_or_default());
        let row = kind::builtin().iter().find(|row| {
            let collection = row.path("", "", "");
            path == collection
                || path.ends_with(&format!("/{}", row.plural)) && path.starts_with(&row.path("x", "", "")[..4])
        });
        match (request.method(), row) {
            (&Method::GET, Some(_)) if query.contains_key("watch") => memory.watch(&path, &query, protobuf),
            (&Method::GET, Some(row)) => Ok(memory.list(&path, row, protobuf)),
            (&Method::GET, None) => {
                memory.objects.get(&path).map(|tree| encode(tree, protobuf)).ok_or(Refusal::NoSuchPath)
            }
            (&Method::POST, _) => memory.create(&path, decode(body)).map(|tree| encode(&tree, protobuf)),
            (&Method::PUT, _) => memory.update(&path, decode(body)).map(|tree| encode(&tree, protobuf)),
            (&Method::PATCH, _) => memory.merge(&path, &decode(body)).map(|tree| encode(&tree, protobuf)),
            (&Method::DELETE, _) => memory.delete(&path).map(|tree| encode(&tree, protobuf)),
            _ => Err(Refusal::MethodNotAllowed("no".to_owned())),
        }
    }
}

impl Service for Fake {
    fn call(&self, request: Request<Body>) -> BoxFuture<'_, Response<Body>> {
        Box::pin(async move {
            let (parts, body) = request.into_parts();
            let body = serving::collect(body, 1 << 20).await.expect("the client's body is whole");
            self.answer(Request::from_parts(parts, Body::empty()), &body).unwrap_or_else(|refusal| {
                let mut response = encode(&refusal.status(), false);
                *response.status_mut() = StatusCode::from_u16(refusal.code()).expect("refusals have codes");
                response
            })
        })
    }
}

impl Memory {
    fn record(&mut self, kind: &'static str, path: &str, tree: &mut Value) {
        self.revision += 1;
        tree.set(&["metadata", "resourceVersion"], self.revision.to_string());
        self.log.push((self.revision, kind, tree.clone()));
        self.watchers.retain(|(prefix, sender)| {
            let concerned = concerns(prefix, path);
            !concerned || sender.try_send(frame(kind, tree, !prefix.starts_with("json:")))
        });
    }

    fn put(&mut self, path: &str, mut tree: Value) -> Value {
        let kind = if self.objects.contains_key(path) { "MODIFIED" } else { "ADDED" };
        if Meta::of(&tree).uid().is_empty() {
            let uid = self
                .objects
                .get(path)
                .map_or_else(|| format!("uid-{}", self.revision), |old| Meta::of(old).uid().to_owned());
            tree.set(&["metadata", "uid"], uid);
        }
        self.record(kind, path, &mut tree);
        self.objects.insert(path.to_owned(), tree.clone());
        tree
    }

    fn delete(&mut self, path: &str) -> Result<Value, Refusal> {
        let mut tree = self.objects.remove(path).ok_or(Refusal::NoSuchPath)?;
        self.record("DELETED", path, &mut tree);
        Ok(tree)
    }

    fn create(&mut self, path: &str, mut tree: Value) -> Result<Value, Refusal> {
        if Meta::of(&tree).name().is_empty() {
            let name = format!("{}{}", Meta::of(&tree).generate_name(), self.revision);
            tree.set(&["metadata", "name"], name);
        }
        let name = Meta::of(&tree).name().to_owned();
        let path = format!("{path}/{name}");
        if self.objects.contains_key(&path) {
            return Err(Refusal::AlreadyExists { resource: kind::GroupKind::default(), name });
        }
        Ok(self.put(&path, tree))
    }

    fn update(&mut self, path: &str, tree: Value) -> Result<Value, Refusal> {
        let path = path.trim_end_matches("/status");
        let old = self.objects.get(path).ok_or(Refusal::NoSuchPath)?;
        let wanted = Meta::of(&tree).resource_version();
        if !wanted.is_empty() && wanted != Meta::of(old).resource_version() {
            return Err(Refusal::modified(kind::GroupKind::default(), Meta::of(&tree).name()));
        }
        Ok(self.put(path, tree))
    }

    fn merge(&mut self, path: &str, patch: &Value) -> Result<Value, Refusal> {
        let mut tree = self.objects.get(path).ok_or(Refusal::NoSuchPath)?.clone();
        merge(&mut tree, patch);
        Ok(self.put(path, tree))
    }

    fn list(&self, path: &str, row: &Resource, protobuf: bool) -> Response<Body> {
        let items: Vec<Value> = self.selected(path).cloned().collect();
        let mut list =
            Value::from_pairs([("apiVersion", row.api_version()), ("kind", format!("{}List", row.kind).into())]);
        list.set(&["metadata", "resourceVersion"], self.revision.to_string());
        list.set(&["items"], items);
        encode(&list, protobuf)
    }

    fn selected<'a>(&'a self, path: &'a str) -> impl Iterator<Item = &'a Value> {
        self.objects.iter().filter(move |(key, _)| concerns(path, key)).map(|(_, tree)| tree)
    }

    fn watch(
        &mut self,
        path: &str,
        query: &BTreeMap<String, String>,
        protobuf: bool,
    ) -> Result<Response<Body>, Refusal> {
        let initial = query.contains_key("sendInitialEvents");
        if initial && !self.streams_lists {
            return Err(Refusal::Invalid {
                kind: kind::GroupKind::default(),
                name: String::new(),
                problems: Vec::new(),
            });
        }
        let from: u64 = query.get("resourceVersion").and_then(|text| text.parse().ok()).unwrap_or(0);
        let (sender, body) = Body::channel(10_000);
        if initial {
            for tree in self.selected(path) {
                sender.try_send(frame("ADDED", tree, protobuf));
            }
            let mut bookmark = self.empty_like(path);
            bookmark.set(&["metadata", "annotations", "k8s.io/initial-events-end"], "true");
            sender.try_send(frame("BOOKMARK", &bookmark, protobuf));
        } else if from < self.forgotten {
            return Err(Refusal::Expired(format!("too old resource version: {from} ({})", self.forgotten)));
        }
        for (revision, kind, tree) in self.log.iter().filter(|_| !initial) {
            let of = Meta::of(tree);
            let at = row_of(tree).path(of.namespace(), of.name(), "");
            if *revision > from && concerns(path, &at) {
                sender.try_send(frame(kind, tree, protobuf));
            }
        }
        self.watchers.push((if protobuf { path.to_owned() } else { format!("json:{path}") }, sender));
        let content_type =
            if protobuf { "application/vnd.kubernetes.protobuf;stream=watch" } else { "application/json" };
        Ok(Response::builder().header("content-type", content_type).body(body).expect("a plain answer"))
    }

    fn empty_like(&self, path: &str) -> Value {
        let row = kind::builtin().iter().find(|row| path.ends_with(row.plural.as_str())).expect("a known collection");
        let mut tree = Value::from_pairs([("apiVersion", row.api_version()), ("kind", row.kind.clone())]);
        tree.set(&["metadata", "resourceVersion"], self.revision.to_string());
        tree
    }
}

fn row_of(tree: &Value) -> &'static Arc<Resource> {
    let (version, kind) = (tree.str_at(&["apiVersion"]), tree.str_at(&["kind"]));
    let found = kind::builtin()
        .iter()
        .find(|row| Some(row.api_version().as_str()) == version && Some(row.kind.as_str()) == kind);
    found.expect("tests use built-in kinds")
}

/// Whether an object at `path` belongs to the collection `collection`, in one or all namespaces.
fn concerns(collection: &str, path: &str) -> bool {
    let collection = collection.trim_start_matches("json:");
    let parent = path.rsplit_once('/').map_or("", |(parent, _)| parent);
    let plural = collection.rsplit('/').next().unwrap_or_default();
    let everywhere = !collection.contains("/namespaces/") && parent.ends_with(&format!("/{plural}"));
    parent == collection || everywhere && parent.starts_with(collection.trim_end_matches(plural))
}

fn query(text: &str) -> BTreeMap<String, String> {
    let pairs = text.split('&').filter_map(|pair| pair.split_once('='));
    pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

fn merge(tree: &mut Value, patch: &Value) {
    let Some(changes) = patch.as_map() else { return *tree = patch.clone() };
    for (key, change) in changes.iter() {
        if change.is_null() {
            tree.remove(&[key]);
        } else {
            let mut member = tree.get(key).cloned().unwrap_or_else(Value::map);
            merge(&mut member, change);
            tree.set(&[key], member);
        }
    }
}

fn decode(body: &[u8]) -> Value {
    match proto::decode_enveloped(body, Schema::builtin()) {
        Ok(decoded) => decoded.value,
        Err(_) => json::parse(body).unwrap_or_default(),
    }
}

fn seal(tree: &Value) -> Option<Vec<u8>> {
    let (version, kind) = (tree.str_at(&["apiVersion"])?, tree.str_at(&["kind"])?);
    Some(proto::seal(tree, Root::builtin(version, kind)?, version, kind))
}

fn encode(tree: &Value, protobuf: bool) -> Response<Body> {
    let sealed = protobuf.then(|| seal(tree)).flatten();
    let content_type = if sealed.is_some() { "application/vnd.kubernetes.protobuf" } else { "application/json" };
    let bytes = sealed.unwrap_or_else(|| text(tree));
    Response::builder().header("content-type", content_type).body(bytes.into()).expect("a plain answer")
}

fn text(tree: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    json::write(tree, &mut out);
    out
}

fn frame(kind: &str, tree: &Value, protobuf: bool) -> Bytes {
    if protobuf {
        return proto::event_frame(kind, &seal(tree).expect("tests use built-in kinds")).into();
    }
    let mut event = Value::from_pairs([("type", kind)]);
    event.set(&["object"], tree.clone());
    let mut line = text(&event);
    line.push(b'\n');
    line.into()
}
