//! Asking other resolvers.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use env::net::{UdpSocket, connect_tcp};
use env::time::{Instant, timeout};
use hickory_proto::op::Message;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Semaphore;

use crate::cache::Cache;
use crate::config::{Block, Forward, Policy};
use crate::metrics::{Counters, type_text};
use crate::wire::{Code, HEADER, Query, Reply};

/// How long one resolver may take.
const ANSWER_MAX: Duration = Duration::from_secs(2);
/// The longest message.
const MESSAGE_BYTES_MAX: usize = 65_535;

/// What one server does about names that are not its own: the plugins `cache` and `forward`.
#[derive(Debug)]
pub(crate) struct Forwarder {
    cache: Option<Mutex<Cache>>,
    ways: Vec<Way>,
    errors: bool,
    counters: Option<Arc<Counters>>,
}

#[derive(Debug)]
struct Way {
    rules: Forward,
    permits: Semaphore,
    turn: AtomicUsize,
}

impl Way {
    fn new(rules: &Forward) -> Way {
        Way { rules: rules.clone(), permits: Semaphore::new(rules.concurrent_max), turn: AtomicUsize::new(0) }
    }

    /// The resolvers, in the order in which they are asked now.
    fn in_turn(&self) -> Vec<SocketAddr> {
        let mut upstreams = self.rules.upstreams.clone();
        if upstreams.len() > 1 {
            let count = upstreams.len();
            let by = match self.rules.policy {
                Policy::Sequential => 0,
                Policy::RoundRobin => self.turn.fetch_add(1, Ordering::Relaxed) % count,
                Policy::Random => {
                    let chance = env::rand::below(u64::try_from(count).unwrap_or(1));
                    usize::try_from(chance).unwrap_or_default()
                }
            };
            upstreams.rotate_left(by);
        }
        upstreams
    }
}

impl Forwarder {
    pub(crate) fn new(block: &Block, counters: Option<Arc<Counters>>) -> Self {
        Self {
            cache: block.cache.clone().map(|rules| Mutex::new(Cache::new(rules))),
            ways: block.forwards.iter().map(Way::new).collect(),
            errors: block.errors,
            counters,
        }
    }

    /// Whether anybody is asked about `name`.
    pub(crate) fn takes(&self, name: &[u8]) -> bool {
        self.ways.iter().any(|way| way.rules.takes(name))
    }

    /// The answer to `query`, which is `message`; an error reply when nobody answers. `bytes_max` is what fits.
    pub(crate) async fn ask(&self, query: &Query<'_>, message: &[u8], bytes_max: usize) -> Vec<u8> {
        if let Some(answer) = self.remembered(query).filter(|answer| answer.len() <= bytes_max) {
            return answer;
        }
        let Some(way) = self.ways.iter().find(|way| way.rules.takes(query.name())) else {
            return error_reply(query, Code::ServerFailure);
        };
        let Ok(_permit) = way.permits.try_acquire() else {
            self.count(|counters| counters.rejected());
            self.tell(query, "concurrent queries exceeded maximum");
            return error_reply(query, Code::Refused);
        };
        let mut problem = "no upstream host".to_owned();
        for upstream in way.in_turn() {
            let began = Instant::now();
            let asked = exchange(upstream, query, message, (bytes_max, way.rules.tcp_only));
            match timeout(ANSWER_MAX, asked).await {
                Ok(Ok(answer)) => {
                    self.count(|counters| counters.asked(upstream, &answer, began.elapsed()));
                    if let Some(cache) = &self.cache {
                        cache.lock().unwrap_or_else(PoisonError::into_inner).put(query, &answer, Instant::now());
                    }
                    return answer;
                }
                Ok(Err(error)) => problem = format!("{upstream}: {error}"),
                Err(_) => problem = format!("{upstream}: i/o timeout"),
            }
        }
        self.tell(query, &problem);
        error_reply(query, Code::ServerFailure)
    }

    fn remembered(&self, query: &Query<'_>) -> Option<Vec<u8>> {
        let mut cache = self.cache.as_ref()?.lock().unwrap_or_else(PoisonError::into_inner);
        let found = cache.get(query, Instant::now());
        drop(cache);
        self.count(|counters| counters.looked_up(found.as_ref().map(|(_, kind)| *kind)));
        found.map(|(answer, _)| answer)
    }

    fn count(&self, count: impl FnOnce(&Counters)) {
        if let Some(counters) = &self.counters {
            count(counters);
        }
    }

    /// The plugin `errors`.
    fn tell(&self, query: &Query<'_>, problem: &str) {
        if self.errors {
            let (name, kind) = (query.text(), type_text(query.kind));
            tracing::error!("plugin/errors: 2 {name} {kind}: {problem}");
        }
    }

    /// Appends to `reply`, which ends in an alias, what others say about the name it leads to.
    pub(crate) async fn follow(&self, query: &Query<'_>, reply: Vec<u8>, target: &[u8], bytes_max: usize) -> Vec<u8> {
        let mut question = vec![0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        question[..2].copy_from_slice(&query.id.to_be_bytes());
        question.extend_from_slice(target);
        question.extend_from_slice(&query.kind.to_be_bytes());
        question.extend_from_slice(&query.class.to_be_bytes());
        let Ok(about_target) = Query::read(&question) else { return reply };
        let answer = self.ask(&about_target, &question, MESSAGE_BYTES_MAX).await;
        let (Ok(mut whole), Ok(answer)) = (Message::from_vec(&reply), Message::from_vec(&answer)) else {
            return reply;
        };
        whole.add_answers(answer.answers.iter().cloned());
        match whole.to_vec() {
            Ok(bytes) if bytes.len() <= bytes_max => bytes,
            _ => reply,
        }
    }
}

fn error_reply(query: &Query<'_>, code: Code) -> Vec<u8> {
    let mut out = Vec::new();
    Reply::begin(query, &mut out, MESSAGE_BYTES_MAX).finish(code);
    let authoritative = 0x04;
    out[2] &= !authoritative;
    out
}

/// Asks over UDP from a port and with an identifier that nobody can guess; over TCP when the answer does not fit.
async fn exchange(
    upstream: SocketAddr,
    query: &Query<'_>,
    message: &[u8],
    (bytes_max, tcp_only): (usize, bool),
) -> io::Result<Vec<u8>> {
    let mut question = message.to_vec();
    let id = u16::try_from(env::rand::below(1 << 16)).unwrap_or_default().to_be_bytes();
    question[..2].copy_from_slice(&id);
    if tcp_only {
        return streamed(upstream, query, &question).await;
    }
    let any = match upstream.ip() {
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    };
    let socket = UdpSocket::bind((any, 0)).await?;
    socket.connect(upstream).await?;
    socket.send(&question).await?;
    let mut answer = vec![0; MESSAGE_BYTES_MAX];
    loop {
        let length = socket.recv(&mut answer).await?;
        if answers(&answer[..length], id, query) {
            answer.truncate(length);
            break;
        }
    }
    let truncated = answer[2] & 0x02 != 0;
    if truncated && bytes_max == MESSAGE_BYTES_MAX {
        return streamed(upstream, query, &question).await;
    }
    answer[..2].copy_from_slice(&query.id.to_be_bytes());
    Ok(answer)
}

/// Asks over TCP; the answer is as long as it likes.
async fn streamed(upstream: SocketAddr, query: &Query<'_>, question: &[u8]) -> io::Result<Vec<u8>> {
    let mut answer = exchange_stream(upstream, question).await?;
    if !answers(&answer, [question[0], question[1]], query) {
        return Err(io::ErrorKind::InvalidData.into());
    }
    answer[..2].copy_from_slice(&query.id.to_be_bytes());
    Ok(answer)
}

async fn exchange_stream(upstream: SocketAddr, question: &[u8]) -> io::Result<Vec<u8>> {
    let mut stream = connect_tcp(upstream).await?;
    let length = u16::try_from(question.len()).map_err(io::Error::other)?;
    stream.write_all(&[&length.to_be_bytes(), question].concat()).await?;
    let length = stream.read_u16().await?;
    let mut answer = vec![0; usize::from(length)];
    stream.read_exact(&mut answer).await?;
    Ok(answer)
}

/// Whether `answer` is one to our question: same identifier, a reply, same question.
pub(crate) fn answers(answer: &[u8], id: [u8; 2], query: &Query<'_>) -> bool {
    let question = answer.get(HEADER..HEADER + query.question.len());
    answer.starts_with(&id)
        && answer.get(2).is_some_and(|flags| flags & 0x80 != 0)
        && question.is_some_and(|question| question.eq_ignore_ascii_case(query.question))
}
