//! The sockets: UDP and TCP.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use env::net::{Listener, Stream, UdpSocket, listen_tcp};
use env::task::{Fate, Shutdown, spawn};
use env::time::{Instant, timeout};
use parking_lot::RwLock;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Semaphore;

use crate::Index;
use crate::config::Settings;
use crate::loops::LoopProbe;
use crate::metrics::{Asked, Metrics, Way};
use crate::table::{Serving, Step, Table, Told};
use crate::wire::{Code, Query, Reply, refuse};

/// How long a connection may be silent (RFC 7766 leaves it to the server).
const SILENCE_MAX: Duration = Duration::from_secs(10);
const MESSAGE_BYTES_MAX: usize = 65_535;
/// How many TCP connections may be open at a port.
const CONNECTIONS_MAX: usize = 1_000;
/// The longest question over UDP.
const QUESTION_BYTES_MAX: usize = 4_096;

/// The bound sockets of a name service.
#[derive(Debug)]
pub struct Sockets {
    udp: UdpSocket,
    tcp: Listener,
}

impl Sockets {
    /// Where it answers.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.udp.local_addr()
    }
}

/// Binds `address` for UDP and TCP; port 0 picks one that is free for both.
pub async fn bind(address: SocketAddr) -> io::Result<Sockets> {
    let tcp = listen_tcp(address).await?;
    let udp = UdpSocket::bind(tcp.address().unwrap_or(address)).await?;
    Ok(Sockets { udp, tcp })
}

/// A name service at one port.
#[derive(Debug, Clone)]
pub struct Server {
    index: Arc<RwLock<Index>>,
    table: Arc<RwLock<Arc<Table>>>,
    connections: Arc<Semaphore>,
    loops: Arc<LoopProbe>,
}

/// A question, and how it came.
#[derive(Debug, Clone, Copy)]
struct Came<'m> {
    message: &'m [u8],
    way: Way,
    client: Option<SocketAddr>,
    since: Instant,
}

/// A question that takes others to answer: what is written so far, and by whom it goes on.
struct Open {
    step: Step,
    serving: Arc<Serving>,
}

impl Server {
    /// Serves from `index`, which its owner goes on changing, by the servers of `table`.
    pub(crate) fn new(index: Arc<RwLock<Index>>, table: Table, loops: Arc<LoopProbe>) -> Self {
        let connections = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        Self { index, table: Arc::new(RwLock::new(Arc::new(table))), connections, loops }
    }

    /// A name service by `settings` at their first port, for those who follow the cluster themselves.
    pub fn of(settings: &Settings, index: Arc<RwLock<Index>>) -> Self {
        let port = settings.blocks.first().map(|block| block.port).unwrap_or_default();
        let table = Table::new(settings, port, &Arc::new(Metrics::default()));
        Self::new(index, table, Arc::new(LoopProbe::default()))
    }

    /// From now on answers by another table.
    pub(crate) fn change(&self, table: Table) {
        *self.table.write() = Arc::new(table);
    }

    /// Serves on `sockets` until `shutdown`.
    pub async fn run(self, sockets: Sockets, shutdown: Shutdown) -> io::Result<()> {
        let Sockets { udp, tcp } = sockets;
        tokio::select! {
            () = shutdown.cancelled() => Ok(()),
            ended = self.serve_datagrams(Arc::new(udp)) => ended,
            ended = self.serve_connections(tcp) => ended,
        }
    }

    async fn serve_datagrams(&self, socket: Arc<UdpSocket>) -> io::Result<()> {
        let mut question = vec![0; QUESTION_BYTES_MAX];
        let mut reply = Vec::with_capacity(QUESTION_BYTES_MAX);
        loop {
            let (length, client) = match socket.recv_from(&mut question).await {
                Ok(received) => received,
                // An earlier reply could not be delivered.
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => continue,
                Err(error) => return Err(error),
            };
            let came =
                Came { message: &question[..length], way: Way::Udp, client: Some(client), since: Instant::now() };
            match self.step(came, &mut reply) {
                None if reply.is_empty() => {}
                None => deliver(&socket, &reply, client).await,
                Some(open) => {
                    let (server, socket) = (self.clone(), Arc::clone(&socket));
                    let (message, reply) = (came.message.to_vec(), reply.clone());
                    spawn(Fate::Local, "dns-forward", async move {
                        let came = Came { message: &message, ..came };
                        if let Some(answer) = server.finish(open, came, reply).await {
                            deliver(&socket, &answer, client).await;
                        }
                    });
                }
            }
        }
    }

    async fn serve_connections(&self, listener: Listener) -> io::Result<()> {
        loop {
            let permit = Arc::clone(&self.connections).acquire_owned().await.map_err(io::Error::other)?;
            let (stream, client) = match listener.accept().await {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::debug!(%error, "a connection ended before it began");
                    continue;
                }
            };
            let server = self.clone();
            spawn(Fate::Local, "dns-connection", async move {
                let _permit = permit;
                if let Err(error) = server.serve_connection(stream, client).await {
                    tracing::debug!(%error, "a connection ended");
                }
            });
        }
    }

    async fn serve_connection(&self, mut stream: Stream, client: Option<SocketAddr>) -> io::Result<()> {
        let mut reply = Vec::new();
        loop {
            let Ok(length) = timeout(SILENCE_MAX, stream.read_u16()).await else { return Ok(()) };
            let length = match length {
                Ok(length) => length,
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
                Err(error) => return Err(error),
            };
            let mut message = vec![0; usize::from(length)];
            timeout(SILENCE_MAX, stream.read_exact(&mut message)).await.map_err(io::Error::other)??;
            let came = Came { message: &message, way: Way::Tcp, client, since: Instant::now() };
            let answer = match self.step(came, &mut reply) {
                None => Some(std::mem::take(&mut reply)).filter(|reply| !reply.is_empty()),
                Some(open) => self.finish(open, came, std::mem::take(&mut reply)).await,
            };
            let Some(answer) = answer else { return Ok(()) };
            let length = u16::try_from(answer.len()).map_err(io::Error::other)?;
            stream.write_all(&[&length.to_be_bytes(), &answer[..]].concat()).await?;
        }
    }

    /// Answers as far as that goes without asking others: what is written is to be sent, if anything is, unless the
    /// question stays open.
    fn step(&self, came: Came<'_>, reply: &mut Vec<u8>) -> Option<Open> {
        let query = match Query::read(came.message) {
            Ok(query) => query,
            Err(malformed) => {
                if !refuse(came.message, malformed, reply) {
                    reply.clear();
                }
                return None;
            }
        };
        self.loops.look(&query);
        let table = Arc::clone(&self.table.read());
        let Some(serving) = table.find(query.name()) else {
            Reply::begin(&query, reply, came.bytes_max(&query, None)).finish(Code::Refused);
            return None;
        };
        let step = serving.step(&self.index.read(), &query, reply, came.bytes_max(&query, Some(serving)));
        if let Step::Send(plugin) = step {
            came.note(serving, &query, reply, plugin);
            return None;
        }
        Some(Open { step, serving: Arc::clone(serving) })
    }

    /// Answers what stayed open.
    async fn finish(&self, Open { step, serving }: Open, came: Came<'_>, reply: Vec<u8>) -> Option<Vec<u8>> {
        let query = Query::read(came.message).ok()?;
        let bytes_max = came.bytes_max(&query, Some(&serving));
        let (mut answer, plugin) = match step {
            Step::Send(plugin) => (reply, plugin),
            Step::Forward => (serving.forwarder().ask(&query, came.message, bytes_max).await, "forward"),
            Step::Follow(target) => {
                // The name that the alias leads to may be another server's.
                let other = self.table.read().find(&target).cloned();
                let forwarder = other.as_ref().unwrap_or(&serving).forwarder();
                (forwarder.follow(&query, reply, &target, bytes_max).await, "kubernetes")
            }
        };
        serving.balance(&query, &mut answer);
        came.note(&serving, &query, &answer, plugin);
        Some(answer)
    }
}

impl Came<'_> {
    fn bytes_max(&self, query: &Query<'_>, serving: Option<&Serving>) -> usize {
        match (self.way, serving) {
            (Way::Tcp, _) => MESSAGE_BYTES_MAX,
            (Way::Udp, Some(serving)) => serving.udp_bytes_max(query),
            (Way::Udp, None) => query.udp_bytes_max(),
        }
    }

    fn note(&self, serving: &Serving, query: &Query<'_>, reply: &[u8], plugin: &'static str) {
        let is_ipv6 = self.client.is_some_and(|client| client.ip().to_canonical().is_ipv6());
        let asked = Asked { way: self.way, is_ipv6, kind: query.kind, bytes: self.message.len() };
        serving.note(query, &asked, self.client, Told { reply, plugin, took: self.since.elapsed() });
    }
}

/// A client that is gone is its own business.
async fn deliver(socket: &UdpSocket, reply: &[u8], client: SocketAddr) {
    if let Err(error) = socket.send_to(reply, client).await {
        tracing::debug!(%client, %error, "a reply could not be sent");
    }
}
