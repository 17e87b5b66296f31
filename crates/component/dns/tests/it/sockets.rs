//! Questions over real sockets.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::RwLock;
use std::time::Duration;

use dns::corefile::{self, Around};
use dns::{Index, Server, bind};
use env::net::{UdpSocket, connect_tcp};
use env::task::{Fate, Shutdown, spawn};
use env::time::timeout;
use hickory_proto::op::{Message, Query, ResponseCode};
use hickory_proto::rr::rdata::A;
use hickory_proto::rr::{Name, RData, Record, RecordType};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use typed::api::core::v1::{Service, ServiceSpec};
use typed::meta::ObjectMeta;

const PATIENCE: Duration = Duration::from_secs(5);
const ANY: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

pub(crate) fn question(name: &str) -> Message {
    let mut message = Message::query();
    message.metadata.recursion_desired = true;
    message.add_query(Query::query(Name::from_ascii(name).unwrap(), RecordType::A));
    message
}

pub(crate) async fn ask(server: SocketAddr, message: &Message) -> Message {
    let socket = UdpSocket::bind(ANY).await.unwrap();
    socket.send_to(&message.to_vec().unwrap(), server).await.unwrap();
    let mut buffer = [0; 4_096];
    let length = timeout(PATIENCE, socket.recv(&mut buffer)).await.unwrap().unwrap();
    Message::from_vec(&buffer[..length]).unwrap()
}

async fn ask_stream(server: SocketAddr, message: &Message) -> Message {
    let mut stream = connect_tcp(server).await.unwrap();
    let bytes = message.to_vec().unwrap();
    stream.write_u16(u16::try_from(bytes.len()).unwrap()).await.unwrap();
    stream.write_all(&bytes).await.unwrap();
    let length = timeout(PATIENCE, stream.read_u16()).await.unwrap().unwrap();
    let mut answer = vec![0; usize::from(length)];
    stream.read_exact(&mut answer).await.unwrap();
    Message::from_vec(&answer).unwrap()
}

/// A resolver that knows every name as 192.0.2.1, and counts.
async fn upstream() -> (SocketAddr, Arc<AtomicUsize>) {
    let socket = UdpSocket::bind(ANY).await.unwrap();
    let address = socket.local_addr().unwrap();
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&asked);
    spawn(Fate::Local, "upstream", async move {
        let mut buffer = [0; 4_096];
        while let Ok((length, client)) = socket.recv_from(&mut buffer).await {
            counter.fetch_add(1, Ordering::SeqCst);
            let question = Message::from_vec(&buffer[..length]).unwrap();
            let mut answer = question.clone().into_response();
            let name = question.queries[0].name().clone();
            answer.add_answer(Record::from_rdata(name, 300, RData::A(A(Ipv4Addr::new(192, 0, 2, 1)))));
            socket.send_to(&answer.to_vec().unwrap(), client).await.unwrap();
        }
    });
    (address, asked)
}

/// The usual servers, with these resolvers instead of the machine's.
async fn serve(upstreams: Vec<SocketAddr>) -> (SocketAddr, Arc<RwLock<Index>>, Shutdown) {
    let kubernetes = "kubernetes cluster.local in-addr.arpa {\n fallthrough in-addr.arpa\n}";
    serve_as(&format!(". {{\n{kubernetes}\n{}cache 30\n}}", forward(&upstreams))).await
}

fn forward(upstreams: &[SocketAddr]) -> String {
    let texts: Vec<String> = upstreams.iter().map(ToString::to_string).collect();
    if texts.is_empty() { String::new() } else { format!("forward . {} {{\npolicy sequential\n}}\n", texts.join(" ")) }
}

async fn serve_as(text: &str) -> (SocketAddr, Arc<RwLock<Index>>, Shutdown) {
    let settings = corefile::read(text, Around { file: &|_path| None, own: &[] }).unwrap();
    let index = Arc::new(RwLock::new(Index::new(1)));
    let sockets = bind(ANY).await.unwrap();
    let address = sockets.address().unwrap();
    let shutdown = Shutdown::new();
    let server = Server::of(&settings, Arc::clone(&index));
    spawn(Fate::Local, "server", server.run(sockets, shutdown.clone()));
    (address, index, shutdown)
}

fn named(name: &str, spec: ServiceSpec) -> Service {
    let metadata =
        ObjectMeta { namespace: Some("default".to_owned()), name: Some(name.to_owned()), ..ObjectMeta::default() };
    Service { metadata, spec: Some(spec), ..Service::default() }
}

#[tokio::test]
async fn answers_over_udp_and_tcp() {
    let (server, index, shutdown) = serve(Vec::new()).await;
    let spec = ServiceSpec { cluster_ips: Some(vec!["10.96.0.1".to_owned()]), ..ServiceSpec::default() };
    index.write().service_set(&named("kubernetes", spec));
    let question = question("kubernetes.default.svc.cluster.local.");
    for answer in [ask(server, &question).await, ask_stream(server, &question).await] {
        assert_eq!(answer.metadata.id, question.metadata.id);
        assert_eq!(answer.answers[0].data.to_string(), "10.96.0.1");
    }
    shutdown.cancel();
}

#[tokio::test]
async fn forwards_other_names_once() {
    let (resolver, asked) = upstream().await;
    let (server, index, shutdown) = serve(vec![resolver]).await;
    for id in [7, 8] {
        let mut question = question("www.Example.com.");
        question.metadata.id = id;
        let answer = ask(server, &question).await;
        assert_eq!((answer.metadata.id, answer.answers[0].data.to_string().as_str()), (id, "192.0.2.1"));
    }
    assert_eq!(asked.load(Ordering::SeqCst), 1, "the second answer is remembered");
    let spec = ServiceSpec {
        type_: Some("ExternalName".to_owned()),
        external_name: Some("api.example.com".to_owned()),
        ..ServiceSpec::default()
    };
    index.write().service_set(&named("away", spec));
    let answer = ask(server, &question("away.default.svc.cluster.local.")).await;
    let data: Vec<String> = answer.answers.iter().map(|record| record.data.to_string()).collect();
    assert_eq!(data, ["api.example.com.", "192.0.2.1"], "an alias is followed");
    shutdown.cancel();
}

#[tokio::test]
async fn says_so_when_nobody_knows() {
    let closed = UdpSocket::bind(ANY).await.unwrap().local_addr().unwrap();
    let (server, _, shutdown) = serve(vec![closed]).await;
    let answer = ask(server, &question("www.example.com.")).await;
    assert_eq!(answer.metadata.response_code, ResponseCode::ServFail);
    shutdown.cancel();
}

#[tokio::test]
async fn zones_have_servers_of_their_own() {
    let (root, asked_root) = upstream().await;
    let (stub, asked_stub) = upstream().await;
    let text = format!(
        "corp.example {{\n{}}}\n. {{\nhosts {{\n192.0.2.9 by.hand\nfallthrough\n}}\n{}}}\nempty.example {{\n}}",
        forward(&[stub]),
        forward(&[root])
    );
    let (server, _, shutdown) = serve_as(&text).await;
    let told = async |name: &str| {
        let answer = ask(server, &question(name)).await;
        let data = answer.answers.first().map(|record| record.data.to_string()).unwrap_or_default();
        format!("{:?} {data}", answer.metadata.response_code)
    };
    assert_eq!(told("www.corp.example.").await, "NoError 192.0.2.1");
    assert_eq!(told("www.example.com.").await, "NoError 192.0.2.1");
    assert_eq!(told("by.hand.").await, "NoError 192.0.2.9");
    assert_eq!(told("x.empty.example.").await, "ServFail ", "nobody is left to ask");
    assert_eq!((asked_stub.load(Ordering::SeqCst), asked_root.load(Ordering::SeqCst)), (1, 1));
    shutdown.cancel();
    let (server, _, shutdown) = serve_as("corp.example {\n}").await;
    let answer = ask(server, &question("www.example.com.")).await;
    assert_eq!(answer.metadata.response_code, ResponseCode::Refused, "it is no server for that");
    shutdown.cancel();
}

#[tokio::test]
async fn another_resolver_is_asked_when_one_does_not_answer() {
    let closed = UdpSocket::bind(ANY).await.unwrap().local_addr().unwrap();
    let (resolver, asked) = upstream().await;
    let (server, _, shutdown) = serve(vec![closed, resolver]).await;
    let answer = ask(server, &question("www.example.com.")).await;
    assert_eq!((answer.answers.len(), asked.load(Ordering::SeqCst)), (1, 1));
    shutdown.cancel();
}
