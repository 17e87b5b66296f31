//! The same client through sockets: TLS, both protocols, dying connections, changing credentials.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use env::task::{Fate, Shutdown};
use futures::FutureExt;
use http::header::{CONNECTION, UPGRADE};
use http::{Request, Response, StatusCode};
use object::Value;
use pki::files::Pair;
use pki::kubeconfig::{Cluster, User};
use pki::tls::ServingCertificates;
use pki::{Algorithm, AlternativeNames, Authority, Leaf, PrivateKey, Subject, Usage};
use serving::{Body, Limits, Peer, Server, from_fn, on_upgrade};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{document, soon};
use crate::{Client, Error, Remote, SetupError, TransportError, upgraded};

struct Rig {
    authority: Authority,
    address: SocketAddr,
    shutdown: Shutdown,
}

fn authority() -> Authority {
    let key = PrivateKey::generate(Algorithm::default()).unwrap();
    Authority::create("test", key, env::time::now(), jiff::SignedDuration::from_hours(24)).unwrap()
}

fn pair(authority: &Authority, name: &str, usage: Usage) -> Pair {
    let key = PrivateKey::generate(Algorithm::default()).unwrap();
    let hour = jiff::SignedDuration::from_hours(1);
    let leaf = Leaf::new(Subject::new(name, &[]), &[usage], env::time::now(), hour)
        .with_names(AlternativeNames::from_hosts([name, "127.0.0.1"]));
    Pair::new(vec![authority.issue(&leaf, &key.public()).unwrap()], key).unwrap()
}

/// `/who` tells token and certificate, `/hang` never answers, `/upgrade` echoes bytes.
async fn answer(mut request: Request<Body>) -> Response<Body> {
    match request.uri().path() {
        "/who" => {
            let peer = request.extensions().get::<Peer>().unwrap();
            let leaf = peer.chain().map(|chain| pki::Certificate::from_der(chain.certificates()[0].clone()).unwrap());
            let name = leaf.map_or(String::new(), |leaf| leaf.subject.common_name);
            let token = request.headers().get("authorization").map_or("", |value| value.to_str().unwrap()).to_owned();
            let version = format!("{:?}", request.version());
            document(&Value::from_pairs([("name", name), ("token", token), ("version", version)]))
        }
        "/upgrade" => {
            let upgrading = on_upgrade(&mut request);
            env::task::spawn(Fate::Local, "echo", async move {
                let mut stream = upgrading.await.unwrap();
                let mut bytes = [0; 4];
                stream.read_exact(&mut bytes).await.unwrap();
                stream.write_all(&bytes).await.unwrap();
            });
            let response = Response::builder().status(StatusCode::SWITCHING_PROTOCOLS);
            response.header(CONNECTION, "upgrade").header(UPGRADE, "echo").body(Body::empty()).unwrap()
        }
        _ => futures::future::pending().await,
    }
}

impl Rig {
    async fn start() -> Self {
        let authority = authority();
        let (address, shutdown) = serve(&authority, ([127, 0, 0, 1], 0).into()).await;
        Rig { authority, address, shutdown }
    }

    fn cluster(&self) -> Cluster {
        let pem = STANDARD.encode(self.authority.certificate().to_pem());
        Cluster {
            server: format!("https://{}", self.address),
            certificate_authority_data: Some(pem),
            ..Cluster::default()
        }
    }

    fn client(&self, user: &User) -> Client {
        Client::new(Arc::new(Remote::new(&self.cluster(), user).unwrap()), "tester")
    }
}

async fn serve(authority: &Authority, address: SocketAddr) -> (SocketAddr, Shutdown) {
    let serving = ServingCertificates::new(&[pair(authority, "localhost", Usage::Server)]).unwrap();
    let listener = env::net::listen_tcp(address).await.unwrap();
    let (address, shutdown) = (listener.address().unwrap(), Shutdown::new());
    let limits = Limits { drain_timeout: std::time::Duration::from_millis(10), ..Limits::default() };
    let service = Arc::new(from_fn(|request| answer(request).boxed()));
    let server = Server::new(service).with_tls(pki::tls::server_config(serving).unwrap()).with_limits(limits);
    env::task::spawn(Fate::Local, "server", server.run(listener, shutdown.clone()));
    (address, shutdown)
}

fn holder(pair: &Pair) -> User {
    User {
        client_certificate_data: Some(STANDARD.encode(pair.chain_pem())),
        client_key_data: Some(STANDARD.encode(pair.key.to_pem())),
        ..User::default()
    }
}

async fn who(client: &Client) -> String {
    let tree = soon("an answer", client.get_document("/who")).await.unwrap();
    let text = |key| tree.str_at(&[key]).unwrap();
    format!("{} [{}] {}", text("name"), text("token"), text("version"))
}

#[tokio::test]
async fn a_client_shows_its_certificate_and_token_over_http2() {
    let rig = Rig::start().await;
    let user = User { token: Some("secret".to_owned()), ..holder(&pair(&rig.authority, "alice", Usage::Client)) };
    assert_eq!(who(&rig.client(&user)).await, "alice [Bearer secret] HTTP/2.0");
}

#[tokio::test]
async fn more_requests_than_a_connection_carries_open_another() {
    let rig = Rig::start().await;
    let client = rig.client(&User::default());
    let hanging: Vec<_> = (0..120)
        .map(|_| {
            let client = client.clone();
            let hang = async move { client.get_document("/hang").await.map(|_tree| ()) };
            env::task::spawn(Fate::Local, "hanging request", hang).abort_on_drop()
        })
        .collect();
    for _ in 0..3 {
        assert_eq!(who(&client).await, " [] HTTP/2.0");
    }
    drop(hanging);
}

#[tokio::test]
async fn a_server_that_comes_back_is_found_again() {
    let rig = Rig::start().await;
    let client = rig.client(&User::default());
    assert_eq!(who(&client).await, " [] HTTP/2.0");
    rig.shutdown.cancel();
    let gone = async {
        loop {
            if let Err(error) = client.get_document("/who").await {
                return error;
            }
        }
    };
    let error = soon("the end of the server", gone).await;
    assert!(matches!(error, Error::Transport(_)), "{error}");
    let back = async {
        // The port is free once the old listener is closed.
        while env::net::connect_tcp(rig.address).await.is_ok() {}
        serve(&rig.authority, rig.address).await
    };
    soon("the new server", back).await;
    assert_eq!(who(&client).await, " [] HTTP/2.0");
}

#[tokio::test]
async fn connections_are_taken_over_on_sockets_and_in_memory() {
    let rig = Rig::start().await;
    let service = Arc::new(from_fn(|request| answer(request).boxed()));
    let memory = Client::through(serving::Door::new(service, Peer::in_memory(None)), "tester");
    for client in [rig.client(&User::default()), memory] {
        let request = Request::get("/upgrade").header(CONNECTION, "upgrade").header(UPGRADE, "echo");
        let mut response = soon("the switch", client.raw(request.body(Body::empty()).unwrap())).await.unwrap();
        assert_eq!(response.status(), StatusCode::SWITCHING_PROTOCOLS);
        let mut stream = soon("the stream", upgraded(&mut response)).await.unwrap();
        stream.write_all(b"ping").await.unwrap();
        stream.flush().await.unwrap();
        let mut bytes = [0; 4];
        soon("the echo", stream.read_exact(&mut bytes)).await.unwrap();
        assert_eq!(&bytes, b"ping");
    }
}

#[tokio::test]
async fn an_unknown_server_is_not_believed() {
    let rig = Rig::start().await;
    let stranger = Rig { authority: authority(), address: rig.address, shutdown: rig.shutdown.clone() };
    let error = soon("the refusal", stranger.client(&User::default()).get_document("/who")).await.unwrap_err();
    assert!(matches!(error, Error::Transport(TransportError::Connect { .. })), "{error}");
}

#[tokio::test]
async fn what_is_not_built_says_so() {
    let exec = User { exec: Some(pki::kubeconfig::Exec::default()), ..User::default() };
    let proxy =
        Cluster { proxy_url: Some("socks5://x".to_owned()), server: "https://x".to_owned(), ..Cluster::default() };
    let direct = Cluster { server: "https://x".to_owned(), ..Cluster::default() };
    for (cluster, user) in [(&proxy, &User::default()), (&direct, &exec)] {
        let error = Remote::new(cluster, user).map(|_remote| ()).unwrap_err();
        assert!(matches!(&error, SetupError::Config(words) if words.ends_with("not built")), "{error}");
    }
}

struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        env::fs::remove_dir_all_if_exists(&self.0).unwrap();
    }
}

#[tokio::test]
async fn rotated_files_are_noticed() {
    let rig = Rig::start().await;
    let folder = Folder(std::env::temp_dir().join(format!("client-{}", env::rand::suffix(8))));
    env::fs::create_dir_all(&folder.0).unwrap();
    let path = |name: &str| folder.0.join(name);
    let write = |name: &str, token: &str| {
        pki::files::store_combined(&path("pair.pem"), &pair(&rig.authority, name, Usage::Client)).unwrap();
        env::fs::write_atomic(&path("token"), token.as_bytes(), env::fs::PRIVATE).unwrap();
    };
    let word = |name: &str| Some(path(name).to_string_lossy().into_owned());
    write("old", "one\n");
    let user = User {
        client_certificate: word("pair.pem"),
        client_key: word("pair.pem"),
        token_file: word("token"),
        ..User::default()
    };
    let remote = Arc::new(Remote::new(&rig.cluster(), &user).unwrap());
    let client = Client::new(Arc::clone(&remote) as Arc<dyn crate::Transport>, "tester");
    assert_eq!(who(&client).await, "old [Bearer one] HTTP/2.0");
    write("new", "two\n");
    assert_eq!(who(&client).await, "old [Bearer one] HTTP/2.0", "files are not read at every request");
    remote.doubt_credentials();
    assert_eq!(who(&client).await, "new [Bearer two] HTTP/2.0");
}
