//! The contract, on every engine.

use std::sync::Arc;

use store::contract;
use store::embedded::{Embedded, Options};
use store::etcd::Etcd;
use store::memory::Memory;

use crate::etcd_process::EtcdProcess;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_keeps_the_contract() {
    contract::run_all(Arc::new(Memory::default())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn embedded_keeps_the_contract() {
    let folder = tempfile::tempdir().unwrap();
    let store = Embedded::open(&folder.path().join("store.db"), Options::default()).await.unwrap();
    contract::run_all(Arc::new(store)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn etcd_keeps_the_contract() {
    let etcd = EtcdProcess::start().await;
    contract::run_all(Arc::new(Etcd::new(etcd.config()).unwrap())).await;
}
