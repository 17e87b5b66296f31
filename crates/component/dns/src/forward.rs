//! Asking other resolvers.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use env::net::{UdpSocket, connect_tcp};
use env::time::{Instant, timeout};
use hickory_proto::op::Message;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Semaphore;

use crate::Config;
use crate::cache::Cache;
use crate::wire::{Code, HEADER, Query, Reply, encode_name, is_within};

/// How long one resolver may take.
const ANSWER_MAX: Duration = Duration::from_secs(2);
/// The longest message.
const MESSAGE_BYTES_MAX: usize = 65_535;

#[derive(Debug)]
pub(crate) struct Forwarder {
    upstreams: Vec<SocketAddr>,
    /// Zones as labels with who knows them, the longest first.
    stubs: Vec<(Vec<u8>, Vec<SocketAddr>)>,
    cache: Mutex<Cache>,
    permits: Semaphore,
}

impl Forwarder {
    pub(crate) fn new(config: &Config) -> Self {
        let stubs = config.stubs.iter();
        let mut stubs: Vec<_> =
            stubs.filter_map(|stub| Some((encode_name(&stub.zone)?, stub.upstreams.clone()))).collect();
        stubs.sort_by_key(|(zone, _)| std::cmp::Reverse(zone.len()));
        Self {
            upstreams: config.upstreams.clone(),
            stubs,
            cache: Mutex::new(Cache::new(config.cache_entries_max, config.cache_s_max)),
            permits: Semaphore::new(config.forwards_max),
        }
    }

    /// The answer to `query`, which is `message`; an error reply when nobody answers. `bytes_max` is what fits.
    pub(crate) async fn ask(&self, query: &Query<'_>, message: &[u8], bytes_max: usize) -> Vec<u8> {
        let remembered = self.cache.lock().unwrap_or_else(PoisonError::into_inner).get(query, Instant::now());
        if let Some(answer) = remembered.filter(|answer| answer.len() <= bytes_max) {
            return answer;
        }
        let Ok(_permit) = self.permits.try_acquire() else { return error_reply(query, Code::Refused) };
        for upstream in self.upstreams_of(query.name()) {
            match timeout(ANSWER_MAX, exchange(*upstream, query, message, bytes_max)).await {
                Ok(Ok(answer)) => {
                    let now = Instant::now();
                    self.cache.lock().unwrap_or_else(PoisonError::into_inner).put(query, &answer, now);
                    return answer;
                }
                Ok(Err(error)) => tracing::debug!(%upstream, %error, "a resolver does not answer"),
                Err(_) => tracing::debug!(%upstream, "a resolver takes too long"),
            }
        }
        error_reply(query, Code::ServerFailure)
    }

    fn upstreams_of(&self, name: &[u8]) -> &[SocketAddr] {
        let stub = self.stubs.iter().find(|(zone, _)| is_within(name, zone));
        stub.map_or(&self.upstreams, |(_, upstreams)| upstreams)
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
async fn exchange(upstream: SocketAddr, query: &Query<'_>, message: &[u8], bytes_max: usize) -> io::Result<Vec<u8>> {
    let mut question = message.to_vec();
    let id = u16::try_from(env::rand::below(1 << 16)).unwrap_or_default().to_be_bytes();
    question[..2].copy_from_slice(&id);
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
        answer = exchange_stream(upstream, &question).await?;
        if !answers(&answer, id, query) {
            return Err(io::ErrorKind::InvalidData.into());
        }
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
