//! Whether a question that leaves comes back: the plugin `loop`.
//!
//! A resolver that is asked in vain may be one that asks us. Then every question goes round until it is dropped, and
//! whoever waits for it waits long. A name that nobody has is asked for once; should it come more than twice, it goes round.

use std::net::SocketAddr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use env::net::UdpSocket;
use tokio::sync::Notify;

use crate::wire::{INTERNET, Query};

/// The type of question that is asked in looking for loops, as upstream does.
pub(crate) const HINFO: u16 = 13;
/// How often the question may be seen: it comes once from ourselves, and a retry may follow.
const SEEN_MAX: u32 = 2;
/// How long a round may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// The question that is looked for.
#[derive(Debug, Default)]
pub(crate) struct LoopProbe {
    name: OnceLock<Vec<u8>>,
    seen: AtomicU32,
    found: Notify,
}

impl LoopProbe {
    /// Looks at a question that came.
    pub(crate) fn look(&self, query: &Query<'_>) {
        if query.kind == HINFO
            && self.name.get().is_some_and(|name| name == query.name())
            && self.seen.fetch_add(1, Ordering::Relaxed) >= SEEN_MAX
        {
            self.found.notify_one();
        }
    }

    /// Asks the name service at `server`, which is ours; whether the question went round.
    pub(crate) async fn goes_round(&self, server: SocketAddr) -> std::io::Result<bool> {
        let labels = [0; 2].map(|_| env::rand::below(u64::MAX).to_string());
        let mut name = Vec::new();
        for label in &labels {
            name.push(u8::try_from(label.len()).unwrap_or_default());
            name.extend_from_slice(label.as_bytes());
        }
        name.push(0);
        let mut question = vec![0x66, 0x6b, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        question.extend_from_slice(&name);
        question.extend_from_slice(&HINFO.to_be_bytes());
        question.extend_from_slice(&INTERNET.to_be_bytes());
        if self.name.set(name).is_err() {
            return Ok(false);
        }
        let any = if server.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
        let socket = UdpSocket::bind(any).await?;
        socket.send_to(&question, server).await?;
        Ok(env::time::timeout(PATIENCE, self.found.notified()).await.is_ok())
    }
}
