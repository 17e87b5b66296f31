//! The sockets: UDP and TCP.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use env::net::{Listener, Stream, UdpSocket, listen_tcp};
use env::task::{Fate, Shutdown, spawn};
use env::time::timeout;
use parking_lot::RwLock;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Semaphore;

use crate::forward::Forwarder;
use crate::wire::{Query, refuse};
use crate::{Config, Index, Outcome};

/// How long a connection may be silent (RFC 7766 leaves it to the server).
const SILENCE_MAX: Duration = Duration::from_secs(10);
const MESSAGE_BYTES_MAX: usize = 65_535;
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

/// A name service.
#[derive(Debug, Clone)]
pub struct Server {
    index: Arc<RwLock<Index>>,
    forwarder: Arc<Forwarder>,
    connections: Arc<Semaphore>,
}

/// What is to be sent, or who is to be asked first.
enum Step {
    Send,
    Forward,
    Follow(Vec<u8>),
    Nothing,
}

impl Server {
    /// Serves from `index`, which its owner goes on changing.
    pub fn new(config: &Config, index: Arc<RwLock<Index>>) -> Self {
        let connections = Arc::new(Semaphore::new(config.connections_max));
        Self { index, forwarder: Arc::new(Forwarder::new(config)), connections }
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
            let message = &question[..length];
            match self.step(message, &mut reply, None) {
                Step::Nothing => {}
                Step::Send => deliver(&socket, &reply, client).await,
                step => {
                    let (server, socket) = (self.clone(), Arc::clone(&socket));
                    let (message, reply) = (message.to_vec(), reply.clone());
                    spawn(Fate::Local, "dns-forward", async move {
                        if let Some(answer) = server.finish(step, &message, reply, None).await {
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
            let (stream, _) = match listener.accept().await {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::debug!(%error, "a connection ended before it began");
                    continue;
                }
            };
            let server = self.clone();
            spawn(Fate::Local, "dns-connection", async move {
                let _permit = permit;
                if let Err(error) = server.serve_connection(stream).await {
                    tracing::debug!(%error, "a connection ended");
                }
            });
        }
    }

    async fn serve_connection(&self, mut stream: Stream) -> io::Result<()> {
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
            let step = self.step(&message, &mut reply, Some(MESSAGE_BYTES_MAX));
            let answer = match step {
                Step::Nothing => return Ok(()),
                Step::Send => Some(std::mem::take(&mut reply)),
                step => self.finish(step, &message, std::mem::take(&mut reply), Some(MESSAGE_BYTES_MAX)).await,
            };
            let Some(answer) = answer else { return Ok(()) };
            let length = u16::try_from(answer.len()).map_err(io::Error::other)?;
            stream.write_all(&[&length.to_be_bytes(), &answer[..]].concat()).await?;
        }
    }

    /// Answers from the index, as far as it knows. `bytes_max` is what fits, `None` for what the client takes by UDP.
    fn step(&self, message: &[u8], reply: &mut Vec<u8>, bytes_max: Option<usize>) -> Step {
        let query = match Query::read(message) {
            Ok(query) => query,
            Err(malformed) if refuse(message, malformed, reply) => return Step::Send,
            Err(_) => return Step::Nothing,
        };
        let bytes_max = bytes_max.unwrap_or_else(|| query.udp_bytes_max());
        let index = self.index.read();
        match index.answer(&query, reply, bytes_max) {
            Outcome::Answered => Step::Send,
            Outcome::Forward => Step::Forward,
            Outcome::Alias(target) => Step::Follow(target),
        }
    }

    async fn finish(&self, step: Step, message: &[u8], reply: Vec<u8>, bytes_max: Option<usize>) -> Option<Vec<u8>> {
        let query = Query::read(message).ok()?;
        let bytes_max = bytes_max.unwrap_or_else(|| query.udp_bytes_max());
        match step {
            Step::Nothing => None,
            Step::Send => Some(reply),
            Step::Forward => Some(self.forwarder.ask(&query, message, bytes_max).await),
            Step::Follow(target) => Some(self.forwarder.follow(&query, reply, &target, bytes_max).await),
        }
    }
}

/// A client that is gone is its own business.
async fn deliver(socket: &UdpSocket, reply: &[u8], client: SocketAddr) {
    if let Err(error) = socket.send_to(reply, client).await {
        tracing::debug!(%client, %error, "a reply could not be sent");
    }
}
