//! Streams to containers, by SPDY and by WebSocket, through a listening server.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use http::Request;
use kubelet::NodeServer;
use serving::Server;
use streaming::Limits;
use streaming::forward::Client;
use streaming::remote::client::{ClientSession, connect_spdy, connect_websocket};
use streaming::remote::{Outcome, Streams};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::server::Word;
use crate::{Node, PATIENCE, Running};

/// A node's server on a port of its own.
pub(crate) struct Listening {
    address: SocketAddr,
    shutdown: env::task::Shutdown,
}

impl Listening {
    pub(crate) async fn start(kubelet: &Running) -> Listening {
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let listener = env::net::listen_tcp(any).await.expect("a free port");
        let (address, shutdown) = (listener.address().expect("an address"), env::task::Shutdown::new());
        let server = Server::new(Arc::new(NodeServer::new(kubelet.view.clone(), Arc::new(Word))));
        env::task::spawn(env::task::Fate::Local, "node-server", server.run(listener, shutdown.clone()));
        Listening { address, shutdown }
    }

    async fn io(&self) -> streaming::Io {
        Box::new(env::net::connect_tcp(self.address).await.expect("it listens"))
    }

    fn request(&self, method: &str, path: &str) -> Request<()> {
        let request = Request::builder().method(method).uri(path).header("host", "node").header("word", "proxy");
        request.body(()).expect("a request")
    }

    pub(crate) async fn session(
        &self,
        transport: &str,
        path: &str,
        streams: Streams,
    ) -> Result<ClientSession, streaming::Error> {
        let limits = Limits::default();
        let path = format!("{path}{}{}", if path.contains('?') { '&' } else { '?' }, streams.to_kubelet_query());
        match transport {
            "spdy" => connect_spdy(self.io().await, self.request("POST", &path), streams, &limits).await,
            _ => connect_websocket(self.io().await, self.request("GET", &path), streams, &limits).await,
        }
    }

    /// What is answered on `port` of a pod, asked with `question`.
    pub(crate) async fn forwarded(&self, path: &str, port: u16, question: &str) -> (String, String) {
        let limits = Limits::default();
        let client = Client::connect_spdy(self.io().await, self.request("POST", path), &limits).await;
        let client = client.expect("a port forward");
        let mut forwarded = client.forward(port).await.expect("a connection");
        let (mut answer, mut error) = (String::new(), String::new());
        drop(forwarded.data.write_all(question.as_bytes()).await);
        // The other side ends the connection: not everybody takes a half of one.
        drop(forwarded.data.read_to_string(&mut answer).await);
        drop(forwarded.error.read_to_string(&mut error).await);
        client.close().await;
        (answer, error)
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

pub(crate) async fn talk(session: ClientSession, input: &str) -> (String, String, Outcome) {
    let ClientSession { stdin, stdout, stderr, verdict, .. } = session;
    let (mut said, mut complained) = (String::new(), String::new());
    let speaking = async {
        if let Some(mut stdin) = stdin {
            stdin.write_all(input.as_bytes()).await.expect("it listens");
            stdin.shutdown().await.expect("it listens");
        }
    };
    let hearing = async {
        if let Some(mut stdout) = stdout {
            stdout.read_to_string(&mut said).await.expect("it speaks");
        }
    };
    let worrying = async {
        if let Some(mut stderr) = stderr {
            stderr.read_to_string(&mut complained).await.expect("it speaks");
        }
    };
    let all = async { tokio::join!(speaking, hearing, worrying, verdict.wait()).3 };
    let outcome = env::time::timeout(PATIENCE, all).await.expect("in time").expect("an outcome");
    (said, complained, outcome)
}

const ALL: Streams = Streams { stdin: true, stdout: true, stderr: true, tty: false };

#[tokio::test]
async fn commands_run_in_containers_and_ports_are_reached() {
    let Some(node) = Node::start().await else { return };
    let spec = r#"  terminationGracePeriodSeconds: 0
  containers:
  - {name: main, image: '%image%', stdin: true, command: [/bin/sh, -c, "read line; echo got $line; exec sleep 1000"]}
"#;
    node.write("web", spec);
    let kubelet = node.kubelet().await;
    kubelet.wait("the pod is ready", |it| it.condition("Ready").as_deref() == Some("True")).await;
    let uid = kubelet.pod().and_then(|pod| pod.metadata.uid).expect("a uid");
    let server = Listening::start(&kubelet).await;
    let script = "command=/bin/sh&command=-c&command=cat%3B+echo+oh+%3E%262%3B+exit+3";
    for transport in ["spdy", "websocket"] {
        for path in ["default/web-node1/main".to_owned(), format!("default/web-node1/{uid}/main")] {
            let session = server.session(transport, &format!("/exec/{path}?{script}"), ALL).await.expect("a session");
            let (said, complained, outcome) = talk(session, "hello").await;
            assert_eq!((said.as_str(), complained.as_str()), ("hello", "oh\n"), "{transport}");
            assert!(matches!(outcome, Outcome::Exit { code: 3, .. }), "{transport}: {outcome:?}");
        }
        let refused = server.session(transport, "/exec/default/web-node1/absent?command=ls", ALL).await;
        let refusal = refused.expect_err("there is no such container").to_string();
        assert!(refusal.ends_with(r#"container not found ("absent")"#), "{refusal}");
        let absent = server.session(transport, "/exec/default/absent/main?command=ls", ALL).await;
        let refusal = absent.expect_err("there is no such pod").to_string();
        assert!(refusal.contains("404") && refusal.ends_with("pod does not exist"), "{refusal}");
    }
    let tty = Streams { stdin: false, stdout: true, stderr: false, tty: true };
    let session =
        server.session("websocket", "/exec/default/web-node1/main?command=tty", tty).await.expect("a session");
    let (said, _, outcome) = talk(session, "").await;
    assert!(said.starts_with("/dev/pts/") && outcome == Outcome::Success, "{said} {outcome:?}");

    let mut attached = server.session("spdy", "/attach/default/web-node1/main", ALL).await.expect("a session");
    let mut stdin = attached.stdin.take().expect("an input");
    stdin.write_all(b"attached\n").await.expect("it listens");
    let mut heard = [0; 13];
    let mut stdout = attached.stdout.take().expect("an output");
    env::time::timeout(PATIENCE, stdout.read_exact(&mut heard)).await.expect("in time").expect("it speaks");
    assert_eq!(&heard, b"got attached\n");
    drop(attached);

    // The pod is on the node's network: the server's own port is one of its localhost.
    let port = server.address.port();
    let question = "GET /healthz HTTP/1.1\r\nhost: x\r\nword: healthz\r\nconnection: close\r\n\r\n";
    let (answer, error) = server.forwarded("/portForward/default/web-node1", port, question).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK") && answer.ends_with("\r\nok"), "{answer} {error}");
    assert_eq!(error, "");
    let (_, error) = server.forwarded("/portForward/default/web-node1", 1, "").await;
    assert!(error.contains("error forwarding port 1 to pod") && error.contains("refused"), "{error}");
}
