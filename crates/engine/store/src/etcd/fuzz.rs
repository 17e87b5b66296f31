//! An entry for what etcd answers.

use prost::Message;

use super::answers;
use super::wire::{etcdserverpb as pb, mvccpb};

/// Reads `bytes` as each of the messages that carry keys.
pub fn answer(bytes: &[u8]) {
    if let Ok(range) = pb::RangeResponse::decode(bytes) {
        drop(answers::page(range.clone()));
        drop(answers::got(range));
    }
    if let Ok(outcome) = pb::TxnResponse::decode(bytes) {
        drop(answers::outcome(outcome));
    }
    if let Ok(event) = mvccpb::Event::decode(bytes) {
        drop(answers::event(event));
    }
    drop(pb::WatchResponse::decode(bytes));
}
