//! A server of one's own, and clients of it.
//!
//! [`Cluster`] is a server over a memory store, asked through doors: everything but the socket is real. [`Listening`]
//! is the same with a socket, TLS and its drain. Every user comes with a certificate of the cluster's authority.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use apiserver::{Config, Place, Range, Server};
use bytes::Bytes;
use env::task::{Fate, Shutdown, Task};
use http::{HeaderMap, Method, Request};
use http_body_util::BodyExt as _;
use object::Value;
use pki::files::Pair;
use pki::trust::{PeerChain, Roots};
use pki::{Authority, Leaf, PrivateKey, Subject, Usage, layout};
use serving::{Body, Door, Drained};
use store::Store;

/// Nothing in these tests takes this long unless it hangs.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

pub(crate) const JSON: &str = "application/json";
pub(crate) const MERGE: &str = "application/merge-patch+json";
pub(crate) const STRATEGIC: &str = "application/strategic-merge-patch+json";
pub(crate) const JSON_PATCH: &str = "application/json-patch+json";
pub(crate) const APPLY: &str = "application/apply-patch+yaml";
pub(crate) const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io";
pub(crate) const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";

/// A server without a socket.
pub(crate) struct Cluster {
    pub(crate) server: Server,
    pub(crate) shutdown: Shutdown,
    pub(crate) folder: tempfile::TempDir,
    pub(crate) store: Arc<dyn Store>,
}

/// Who somebody is: a certificate of the cluster's authority.
pub(crate) fn identity(authority: &Authority, name: &str, groups: &[&str]) -> Pair {
    let key = PrivateKey::generate(pki::Algorithm::default()).expect("keys can be made");
    let leaf = Leaf::new(Subject::new(name, groups), &[Usage::Client], env::time::now(), layout::LEAF_VALIDITY);
    let certificate = authority.issue(&leaf, &key.public()).expect("a certificate can be issued");
    Pair::new(vec![certificate], key).expect("key and certificate belong together")
}

pub(crate) fn chain_of(pair: &Pair) -> Option<PeerChain> {
    PeerChain::new(vec![pair.leaf().der().clone()])
}

impl Cluster {
    /// A fresh cluster in memory.
    pub(crate) async fn start() -> Cluster {
        Cluster::over(Arc::new(store::memory::Memory::default())).await
    }

    pub(crate) async fn over(store: Arc<dyn Store>) -> Cluster {
        Cluster::with(store, |_| {}).await
    }

    /// A fresh cluster with settings of its own.
    pub(crate) async fn with(store: Arc<dyn Store>, change: impl FnOnce(&mut Config)) -> Cluster {
        let folder = tempfile::tempdir().expect("a folder for certificates");
        let local = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let ranges = vec![Range::parse("10.96.0.0/24").expect("a range of addresses")];
        let site = layout::Site::new("localhost", "cluster.local", local, "10.96.0.1".parse().expect("an address"));
        layout::ensure_all(folder.path(), &site, env::time::now()).expect("certificates can be made");
        let place = Place {
            advertise_address: local,
            secure_port: 6443,
            service_ranges: ranges,
            dns_domain: "cluster.local".to_owned(),
        };
        let mut config = Config::from_pki(folder.path(), &place, Arc::clone(&store)).expect("the certificates fit");
        change(&mut config);
        let shutdown = Shutdown::new();
        let server = Server::start(config, shutdown.clone()).await.expect("the server starts");
        let cluster = Cluster { server, shutdown, folder, store };
        // A controller makes it in a whole cluster; without it no pod is let in.
        let accounts = "/api/v1/namespaces/default/serviceaccounts";
        let made = cluster.admin().post(accounts, r#"{"metadata":{"name":"default"}}"#).await;
        assert!(matches!(made.code, 201 | 409), "{}", made.text());
        cluster
    }

    pub(crate) fn authority(&self, name: &str) -> Authority {
        let found = pki::files::load_authority(self.folder.path(), name).expect("the authority can be read");
        found.expect("the authority was made")
    }

    /// The administrator.
    pub(crate) fn admin(&self) -> Client {
        self.user("admin", &["system:masters"])
    }

    /// Somebody with a certificate.
    pub(crate) fn user(&self, name: &str, groups: &[&str]) -> Client {
        self.client_with(&identity(&self.authority("ca"), name, groups))
    }

    /// Whoever holds the certificate.
    pub(crate) fn client_with(&self, pair: &Pair) -> Client {
        Client { door: self.server.door(chain_of(pair)), headers: Vec::new() }
    }

    /// Somebody without a certificate.
    pub(crate) fn stranger(&self) -> Client {
        Client { door: self.server.door(None), headers: Vec::new() }
    }

    /// Whoever holds the token.
    pub(crate) fn bearer(&self, token: &str) -> Client {
        self.stranger().with("authorization", &format!("Bearer {token}"))
    }

    /// Opens a socket.
    pub(crate) async fn listen(self) -> Listening {
        let listener = env::net::listen_tcp(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await.expect("a port is free");
        let address = listener.address().expect("a TCP socket has an address");
        let authority = self.authority("ca");
        let admin = identity(&authority, "admin", &["system:masters"]);
        let Cluster { server, shutdown, folder, .. } = self;
        let running = env::task::spawn(Fate::Local, "server", server.run(listener));
        Listening { address, authority, admin, shutdown, running, folder }
    }
}

/// A server with a socket.
pub(crate) struct Listening {
    pub(crate) address: SocketAddr,
    pub(crate) authority: Authority,
    pub(crate) admin: Pair,
    pub(crate) shutdown: Shutdown,
    pub(crate) running: Task<Drained>,
    pub(crate) folder: tempfile::TempDir,
}

/// Which HTTP a raw client speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    One,
    Two,
}

type RawBody = http_body_util::Full<Bytes>;

/// One connection to a server.
pub(crate) enum Connection {
    One(hyper::client::conn::http1::SendRequest<RawBody>),
    Two(hyper::client::conn::http2::SendRequest<RawBody>),
}

impl Listening {
    /// Connects, showing `pair` if there is one.
    pub(crate) async fn connect(&self, protocol: Protocol, pair: Option<&Pair>) -> Connection {
        connect(self.address, self.authority.certificate(), protocol, pair).await
    }
}

/// Connects to a server of `authority`, showing `pair` if there is one.
pub(crate) async fn connect(
    address: SocketAddr,
    authority: &pki::Certificate,
    protocol: Protocol,
    pair: Option<&Pair>,
) -> Connection {
    let alpn = if protocol == Protocol::One { pki::tls::ALPN_HTTP_1_1 } else { pki::tls::ALPN_H2 };
    let roots = Roots::new(vec![authority.clone()]).expect("the authority is a root");
    let trust = pki::tls::ServerTrust::roots(roots).expect("the authority can be believed");
    let shown = pair.map(|pair| pki::tls::ClientCertificate::new(pair).expect("the pair can be shown"));
    let tls = pki::tls::client_config(trust, shown, &[alpn]).expect("TLS can be set up");
    let stream = env::net::connect_tcp(address).await.expect("the port is open");
    let name = "localhost".try_into().expect("a name");
    let stream = tokio_rustls::TlsConnector::from(tls).connect(name, stream).await.expect("the handshake completes");
    let io = hyper_util::rt::TokioIo::new(stream);
    match protocol {
        Protocol::One => {
            let (sender, connection) = hyper::client::conn::http1::handshake(io).await.expect("HTTP/1.1 is spoken");
            env::task::spawn(Fate::Local, "client", async move { drop(connection.await) });
            Connection::One(sender)
        }
        Protocol::Two => {
            let executor = hyper_util::rt::TokioExecutor::new();
            let (sender, connection) =
                hyper::client::conn::http2::handshake(executor, io).await.expect("HTTP/2 is spoken");
            env::task::spawn(Fate::Local, "client", async move { drop(connection.await) });
            Connection::Two(sender)
        }
    }
}

impl Connection {
    /// Sends a request and gives the answer as it comes.
    pub(crate) async fn begin(
        &mut self,
        request: Request<RawBody>,
    ) -> hyper::Result<http::Response<hyper::body::Incoming>> {
        match self {
            Connection::One(sender) => {
                sender.ready().await?;
                sender.send_request(request).await
            }
            Connection::Two(sender) => {
                sender.ready().await?;
                sender.send_request(request).await
            }
        }
    }

    pub(crate) async fn send(&mut self, method: Method, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let uri = match self {
            Connection::One(_) => path.to_owned(),
            Connection::Two(_) => format!("https://localhost{path}"),
        };
        let mut request = Request::builder().method(method).uri(uri).header("host", "localhost");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(RawBody::new(Bytes::copy_from_slice(body))).expect("a request");
        let work = async {
            let (parts, body) = self.begin(request).await.expect("an answer").into_parts();
            let body = body.collect().await.expect("the answer comes whole").to_bytes();
            Answer { code: parts.status.as_u16(), headers: parts.headers, body }
        };
        env::time::timeout(DEADLINE, work).await.expect("an answer in time")
    }
}

/// Somebody who asks, through a door.
#[derive(Clone)]
pub(crate) struct Client {
    door: Door,
    headers: Vec<(String, String)>,
}

/// What the server said.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) code: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Client {
    /// The same with one more header on every request.
    pub(crate) fn with(&self, name: &str, value: &str) -> Client {
        let mut client = self.clone();
        client.headers.push((name.to_owned(), value.to_owned()));
        client
    }

    async fn begin(&self, method: Method, path: &str, media: &str, body: Bytes) -> http::Response<Body> {
        let mut request = Request::builder().method(method).uri(path);
        if !media.is_empty() {
            request = request.header("content-type", media);
        }
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let body = if body.is_empty() { Body::empty() } else { Body::from(body) };
        let request = request.body(body).unwrap_or_else(|error| panic!("{path} is no request: {error}"));
        env::time::timeout(DEADLINE, self.door.call(request)).await.unwrap_or_else(|_| panic!("{path} hangs"))
    }

    pub(crate) async fn send(&self, method: Method, path: &str, media: &str, body: impl Into<Bytes>) -> Answer {
        let (parts, body) = self.begin(method, path, media, body.into()).await.into_parts();
        let read = serving::collect(body, 64 << 20);
        let read = env::time::timeout(DEADLINE, read).await.unwrap_or_else(|_| panic!("{path} does not end"));
        Answer { code: parts.status.as_u16(), headers: parts.headers, body: read.expect("the answer comes whole") }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, "", "").await
    }

    pub(crate) async fn post(&self, path: &str, body: &str) -> Answer {
        self.send(Method::POST, path, JSON, body.to_owned()).await
    }

    pub(crate) async fn put(&self, path: &str, body: &str) -> Answer {
        self.send(Method::PUT, path, JSON, body.to_owned()).await
    }

    pub(crate) async fn patch(&self, path: &str, media: &str, body: &str) -> Answer {
        self.send(Method::PATCH, path, media, body.to_owned()).await
    }

    pub(crate) async fn delete(&self, path: &str, options: &str) -> Answer {
        self.send(Method::DELETE, path, if options.is_empty() { "" } else { JSON }, options.to_owned()).await
    }

    /// Begins to watch; the path says `watch=true`.
    pub(crate) async fn watch(&self, path: &str) -> Events {
        let (parts, body) = self.begin(Method::GET, path, "", Bytes::new()).await.into_parts();
        if parts.status != 200 {
            let body = serving::collect(body, 1 << 20).await.expect("the answer comes whole");
            panic!("{path} is not watched: {} {}", parts.status, String::from_utf8_lossy(&body));
        }
        Events { body, headers: parts.headers, rest: Vec::new(), ready: VecDeque::new() }
    }
}

impl Answer {
    /// Fails unless the code is `code`.
    #[track_caller]
    pub(crate) fn is(self, code: u16) -> Answer {
        assert_eq!(self.code, code, "{}", self.text());
        self
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    #[track_caller]
    pub(crate) fn tree(&self) -> Value {
        codec::json::parse(&self.body).unwrap_or_else(|error| panic!("no JSON: {error}: {}", self.text()))
    }

    /// The text at a path of keys divided by dots; numbers and truths as text, too.
    #[track_caller]
    pub(crate) fn at(&self, path: &str) -> String {
        at(&self.tree(), path)
    }

    pub(crate) fn revision(&self) -> String {
        self.at("metadata.resourceVersion")
    }

    pub(crate) fn header(&self, name: &str) -> String {
        let all: Vec<&str> = self.headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).collect();
        all.join("; ")
    }

    /// Names of a list's items.
    #[track_caller]
    pub(crate) fn names(&self) -> Vec<String> {
        self.tree().list_at(&["items"]).iter().map(|item| at(item, "metadata.name")).collect()
    }

    /// Fails unless this is a failure with these facts.
    #[track_caller]
    pub(crate) fn refuses(&self, code: u16, reason: &str, message: &str) {
        let found = (
            self.code,
            self.at("kind"),
            self.at("apiVersion"),
            self.at("status"),
            self.at("code"),
            self.at("reason"),
            self.at("message"),
        );
        let expected = (
            code,
            "Status".into(),
            "v1".into(),
            "Failure".into(),
            code.to_string(),
            reason.to_owned(),
            message.to_owned(),
        );
        assert_eq!(found, expected);
    }
}

/// The text at a path of keys divided by dots; digits are positions in lists. Empty when nothing is there.
pub(crate) fn at(tree: &Value, path: &str) -> String {
    let mut value = Some(tree);
    for key in path.split('.').filter(|key| !key.is_empty()) {
        value = value.and_then(|value| match key.parse::<usize>() {
            Ok(position) => value.as_list().and_then(|list| list.get(position)),
            Err(_) => value.get(key),
        });
    }
    match value {
        None | Some(Value::Null) => String::new(),
        Some(value) => match value.as_str() {
            Some(text) => text.to_owned(),
            None => {
                let mut text = Vec::new();
                codec::json::write(value, &mut text);
                String::from_utf8_lossy(&text).into_owned()
            }
        },
    }
}

/// A running watch.
pub(crate) struct Events {
    pub(crate) headers: HeaderMap,
    body: Body,
    rest: Vec<u8>,
    ready: VecDeque<Value>,
}

impl Events {
    /// The next event, or `None` when the stream has ended.
    pub(crate) async fn next(&mut self) -> Option<Value> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(event);
            }
            let chunk = env::time::timeout(DEADLINE, self.body.next()).await.expect("an event in time")?;
            self.rest.extend_from_slice(&chunk.expect("the stream is whole"));
            while let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.rest.drain(..=end).collect();
                self.ready.push_back(codec::json::parse(&line).expect("an event is JSON"));
            }
        }
    }

    /// The next raw chunk.
    pub(crate) async fn chunk(&mut self) -> Option<Bytes> {
        let chunk = env::time::timeout(DEADLINE, self.body.next()).await.expect("bytes in time");
        chunk.map(|chunk| chunk.expect("the stream is whole"))
    }

    /// The next event as `TYPE name`.
    pub(crate) async fn word(&mut self) -> String {
        match self.next().await {
            Some(event) => format!("{} {}", at(&event, "type"), at(&event, "object.metadata.name")).trim().to_owned(),
            None => "END".to_owned(),
        }
    }

    /// Fails unless the next events are these.
    pub(crate) async fn are(&mut self, expected: &[&str]) {
        for expected in expected {
            assert_eq!(self.word().await, *expected);
        }
    }
}

/// A ConfigMap.
pub(crate) fn config_map(name: &str, value: &str) -> String {
    format!(r#"{{"apiVersion":"v1","kind":"ConfigMap","metadata":{{"name":"{name}"}},"data":{{"key":"{value}"}}}}"#)
}

/// A pod with one container.
pub(crate) fn pod(name: &str) -> String {
    format!(
        r#"{{"apiVersion":"v1","kind":"Pod","metadata":{{"name":"{name}"}},"spec":{{"containers":[{{"name":"c","image":"i"}}]}}}}"#
    )
}

pub(crate) const MAPS: &str = "/api/v1/namespaces/default/configmaps";
pub(crate) const PODS: &str = "/api/v1/namespaces/default/pods";
pub(crate) const SERVICES: &str = "/api/v1/namespaces/default/services";
