//! Measures durable writes: one writer's latency, and the rate of a thousand in flight, beside etcd where it is installed.
//!
//! `cargo run --release -p store --example store_bench [FOLDER]`; the folder (default: the current one) decides the disk.
//! 1 KiB values, half of the writes to new keys and half to keys that exist. The engines take turns in one run.

#[expect(dead_code, reason = "the tests use more of it")]
#[path = "../tests/it/etcd_process.rs"]
mod etcd_process;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use env::task::{Fate, spawn};
use env::time::Instant;
use store::embedded::{Embedded, Options};
use store::etcd::Etcd;
use store::{Key, Range, Span, Store, Txn, Want};

const VALUE_BYTES: usize = 1_024;
const LATENCY_WRITES: usize = 2_000;
const IN_FLIGHT: usize = 1_000;
const RATE_SECONDS: u64 = 5;
const ROUNDS: usize = 5;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let folder = std::env::args_os().nth(1).map_or_else(|| PathBuf::from("."), PathBuf::from);
    let folder = tempfile::tempdir_in(folder).expect("the folder is writable");
    let etcd_installed = env::process::command("etcd").arg("--version").output().await.is_ok();
    for round in 1..=ROUNDS {
        let path = folder.path().join(format!("store-{round}.db"));
        let embedded = Embedded::open(&path, Options::default()).await.expect("a new file can be made");
        measure("embedded", Arc::new(embedded)).await;
        let opened = Instant::now();
        let embedded = Embedded::open(&path, Options::default()).await.expect("it can be opened again");
        let page = embedded.range(Range::of(Span::prefix("/")).want(Want::Count)).await.expect("it can be read");
        let size_bytes = embedded.status().await.expect("it tells its status").size_bytes;
        eprintln!("embedded  reopened: {} keys, file {} MiB, {:.0?}", page.count, size_bytes >> 20, opened.elapsed());
        if etcd_installed {
            let etcd = etcd_process::EtcdProcess::start().await;
            let store = Etcd::new(etcd.config()).expect("the configuration is sound");
            measure("etcd", Arc::new(store)).await;
        }
    }
}

async fn measure(name: &str, store: Arc<dyn Store>) {
    latency(name, "new file", &*store).await;
    rate(name, store.clone()).await;
    latency(name, "grown file", &*store).await;
}

async fn latency(name: &str, state: &str, store: &dyn Store) {
    let mut took = Vec::with_capacity(LATENCY_WRITES);
    for n in 0..LATENCY_WRITES as u64 {
        let txn = write(0, n);
        let began = Instant::now();
        store.txn(txn).await.expect("a write succeeds");
        took.push(began.elapsed());
    }
    took.sort_unstable();
    let at = |percent: usize| took[took.len() * percent / 100];
    eprintln!("{name:9} S1 one writer, {state}: p50 {:.0?}, p99 {:.0?}", at(50), at(99));
}

async fn rate(name: &str, store: Arc<dyn Store>) {
    let done = Arc::new(AtomicU64::new(0));
    let (cpu, began) = (cpu_seconds(), Instant::now());
    let until = began + Duration::from_secs(RATE_SECONDS);
    let writers: Vec<_> = (1..=IN_FLIGHT as u64)
        .map(|writer| spawn(Fate::Local, "writer", write_until(store.clone(), writer, until, done.clone())))
        .collect();
    let mut took = Vec::new();
    for writer in writers {
        took.extend(writer.await.expect("a writer comes to its end"));
    }
    let (elapsed, total) = (began.elapsed().as_secs_f64(), done.load(Ordering::Relaxed));
    took.sort_unstable();
    let at = |percent: usize| took[took.len() * percent / 100];
    let own_cpu_us = (cpu_seconds() - cpu) * 1e6 / total as f64;
    eprintln!(
        "{name:9} S2 {IN_FLIGHT} in flight: {:.0} puts/s, {own_cpu_us:.1} us CPU of this process each, p50 {:.1?}, p99 {:.1?}",
        total as f64 / elapsed,
        at(50),
        at(99)
    );
}

async fn write_until(store: Arc<dyn Store>, writer: u64, until: Instant, done: Arc<AtomicU64>) -> Vec<Duration> {
    let mut took = Vec::new();
    let mut n = 0;
    loop {
        let began = Instant::now();
        if began >= until {
            return took;
        }
        store.txn(write(writer, n)).await.expect("a write succeeds");
        took.push(began.elapsed());
        done.fetch_add(1, Ordering::Relaxed);
        n += 1;
    }
}

/// Each key is written twice in a row.
fn write(writer: u64, n: u64) -> Txn {
    // Spread over the tree, as the names of many namespaces are.
    let spread = (writer * 7_919 + n / 2).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 48;
    let key = Key::from(format!("/registry/pods/namespace-{:03}/pod-{spread:05}-{writer}-{}", spread % 500, n / 2));
    Txn::new().put(key, Bytes::from(vec![b'v'; VALUE_BYTES]))
}

/// The processor time of this process so far.
fn cpu_seconds() -> f64 {
    let stat = env::fs::read_to_string("/proc/self/stat").expect("the kernel tells");
    let fields: Vec<&str> = stat.rsplit(')').next().expect("rsplit has a first part").split_whitespace().collect();
    let ticks = |at: usize| fields[at].parse::<f64>().expect("a number of ticks");
    (ticks(11) + ticks(12)) / 100.0
}
