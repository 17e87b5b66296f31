//! The program that writes to a store: a process of its own, so that it can be killed and its time be counted.
//!
//! Our store is a library and works within this process; etcd is spoken to as the API server does. One document on
//! standard output says what was measured.

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use clap::Args;
use env::task::{Fate, spawn};
use env::time::{Instant, timeout};
use serde_json::json;
use store::embedded::{Embedded, Options};
use store::etcd::{Config, Credentials, Etcd, Pem};
use store::{Key, Outcome, Range, Span, Store, Txn, Want};

use crate::stats::percentile;
use crate::system::process::Cpu;

const VALUE_BYTES: usize = 1_024;
const PREFIX: &str = "/registry/bench/";
/// Writes before the clock runs.
const WARM: u64 = 200;
const START_TIME_MAX: Duration = Duration::from_secs(30);

/// What the writer does and where.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// A file of our store.
    #[arg(long, conflicts_with = "etcd")]
    embedded: Option<PathBuf>,
    /// The address of an etcd.
    #[arg(long, requires = "pki")]
    etcd: Option<String>,
    /// kubeadm's certificates for it.
    #[arg(long)]
    pki: Option<PathBuf>,
    /// Whose processor time counts; by default ours.
    #[arg(long)]
    server: Option<u32>,
    /// Writes under way at any time.
    #[arg(long, default_value_t = 1)]
    writers: u64,
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
    /// Tells the number of each acknowledged write, without end.
    #[arg(long, conflicts_with = "count")]
    flood: bool,
    /// Tells how many values there are, and does nothing else.
    #[arg(long)]
    count: bool,
}

/// Does what `arguments` say.
pub(crate) async fn run(arguments: Arguments) -> Result<()> {
    let store = open(&arguments).await?;
    if arguments.count {
        let page = store.range(Range::of(Span::prefix(PREFIX)).want(Want::Count)).await?;
        return say(&page.count.to_string());
    }
    if arguments.flood {
        for number in 0.. {
            put(&*store, 0, number).await?;
            say(&number.to_string())?;
        }
    }
    measure(store, &arguments).await
}

fn say(line: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")?;
    Ok(out.flush()?)
}

async fn open(arguments: &Arguments) -> Result<Arc<dyn Store>> {
    if let Some(path) = &arguments.embedded {
        return Ok(Arc::new(Embedded::open(path, Options::default()).await?));
    }
    let (Some(url), Some(pki)) = (&arguments.etcd, &arguments.pki) else { bail!("neither --embedded nor --etcd") };
    let file = |name: &str| Pem::File(pki.join(name));
    let credentials = Credentials {
        ca: file("etcd/ca.crt"),
        certificate: file("apiserver-etcd-client.crt"),
        key: file("apiserver-etcd-client.key"),
    };
    let etcd = Etcd::new(Config { endpoints: vec![url.clone()], credentials })?;
    let ready = async {
        while etcd.status().await.is_err() {
            env::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(START_TIME_MAX, ready).await.context("etcd does not answer")?;
    Ok(Arc::new(etcd))
}

/// A new key each time; the answer is its revision.
async fn put(store: &dyn Store, writer: u64, number: u64) -> Result<u64> {
    let key = Key::from(format!("{PREFIX}{writer:04}/{number:08}"));
    match store.txn(Txn::new().put(key, Bytes::from(vec![b'v'; VALUE_BYTES]))).await? {
        Outcome::Committed { revision } => Ok(revision.0),
        Outcome::Conflict { .. } => bail!("a write without condition was refused"),
    }
}

async fn measure(store: Arc<dyn Store>, arguments: &Arguments) -> Result<()> {
    for number in 0..WARM {
        put(&*store, arguments.writers, number).await?;
    }
    let server = arguments.server.unwrap_or_else(std::process::id);
    let time_max = Duration::from_secs_f64(arguments.seconds);
    let (before, began) = (Cpu::of([server])?, Instant::now());
    let done = Arc::new(AtomicU64::new(0));
    let writers: Vec<_> = (0..arguments.writers)
        .map(|writer| spawn(Fate::Local, "writer", flood(store.clone(), writer, began + time_max, done.clone())))
        .collect();
    let (mut took, mut revisions) = (Vec::new(), Vec::new());
    for writer in writers {
        let (mine, at) = writer.await.context("a writer panicked")??;
        took.extend(mine);
        revisions.extend(at);
    }
    let (elapsed, cpu) = (began.elapsed(), Cpu::of([server])?.since(&before));
    revisions.sort_unstable();
    let gaps = revisions.windows(2).filter(|pair| pair[1] != pair[0] + 1).count();
    let micros = |percent| percentile(&took, percent).unwrap_or_default().as_secs_f64() * 1e6;
    let told = json!({
        "count": took.len(), "seconds": elapsed.as_secs_f64(), "cpu_us": cpu.as_secs_f64() * 1e6,
        "p50_us": micros(50), "p99_us": micros(99), "gaps": gaps,
    });
    say(&told.to_string())
}

async fn flood(
    store: Arc<dyn Store>,
    writer: u64,
    until: Instant,
    done: Arc<AtomicU64>,
) -> Result<(Vec<Duration>, Vec<u64>)> {
    let (mut took, mut revisions) = (Vec::new(), Vec::new());
    for number in 0.. {
        let began = Instant::now();
        if began >= until {
            break;
        }
        revisions.push(put(&*store, writer, number).await?);
        took.push(began.elapsed());
        done.fetch_add(1, Ordering::Relaxed);
    }
    Ok((took, revisions))
}
