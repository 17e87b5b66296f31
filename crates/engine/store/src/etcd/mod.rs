//! The engine for clusters: a client of etcd's v3 API, from 3.4 on, over mutual TLS.
//!
//! Every request goes to the endpoint that answered last; when that fails, reads try the others in turn, and so do
//! writes that certainly were not sent. A write whose answer was lost is never sent again:
//! [`Error::OutcomeUnknown`] leaves the judgement to its author.
//!
//! What is deliberately not here: plaintext connections, etcd's own users and roles (certificates say who we are), and
//! everything of the API that an API server does not use.

mod answers;
mod cluster;
mod connector;
mod failures;
pub(crate) mod fuzz;
mod watching;
mod wire;

use std::time::Duration;

use bytes::Bytes;
use tonic::transport::Channel;

use crate::limits::{LEASE_TTL_SECONDS_MAX, RESPONSE_BYTES_MAX};
use crate::{
    Answer, Error, Got, Key, LeaseId, Op, Outcome, Page, Range, Revision, Span, Status, Store, Txn, Want, Watch,
    Watcher,
};

use cluster::{Cluster, Kind};
pub use connector::{Credentials, Pem};
use wire::etcdserverpb as pb;
use wire::etcdserverpb::kv_client::KvClient;
use wire::etcdserverpb::lease_client::LeaseClient;

/// See the module's documentation.
#[derive(Debug)]
pub struct Etcd {
    cluster: Cluster,
}

/// Where etcd is, and who we are.
#[derive(Debug, Clone)]
pub struct Config {
    /// Such as `https://10.0.0.1:2379`; at least one.
    pub endpoints: Vec<String>,
    pub credentials: Credentials,
}

impl Etcd {
    /// A client of the cluster at `config.endpoints`. Connections are made when they are needed.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for an endpoint that is not `https`, [`Error::Unavailable`] for one that is no address.
    pub fn new(config: Config) -> Result<Etcd, Error> {
        Ok(Etcd { cluster: Cluster::new(config)? })
    }

    async fn read(&self, request: pb::RangeRequest) -> Result<pb::RangeResponse, Error> {
        let revision = revision_of(request.revision);
        let answer = self.cluster.call(Kind::Read, |channel| {
            let request = request.clone();
            async move { kv(channel).range(request).await }
        });
        answer.await.map_err(|error| failures::about_revision(error, revision))
    }
}

fn kv(channel: Channel) -> KvClient<Channel> {
    KvClient::new(channel).max_decoding_message_size(RESPONSE_BYTES_MAX)
}

impl Store for Etcd {
    fn get<'a>(&'a self, key: &'a Key, at: Option<Revision>) -> Answer<'a, Got> {
        Box::pin(async move {
            let request = pb::RangeRequest {
                key: key.clone().into_bytes(),
                revision: number(at.unwrap_or_default()),
                ..pb::RangeRequest::default()
            };
            answers::got(self.read(request).await?)
        })
    }

    fn range(&self, range: Range) -> Answer<'_, Page> {
        Box::pin(async move {
            let (key, range_end) = bounds(&range.span);
            let request = pb::RangeRequest {
                key,
                range_end,
                limit: i64::try_from(range.limit).unwrap_or(i64::MAX),
                revision: number(range.at.unwrap_or_default()),
                keys_only: range.want == Want::Keys,
                count_only: range.want == Want::Count,
            };
            answers::page(self.read(request).await?)
        })
    }

    fn txn(&self, txn: Txn) -> Answer<'_, Outcome> {
        Box::pin(async move {
            txn.check()?;
            let lease = txn.ops.iter().find_map(Op::lease);
            let request = request_of(txn);
            let answer = self.cluster.call(Kind::Write, |channel| {
                let request = request.clone();
                async move { kv(channel).txn(request).await }
            });
            answers::outcome(answer.await.map_err(|error| failures::about_lease(error, lease))?)
        })
    }

    fn watch(&self, watch: Watch) -> Answer<'_, Watcher> {
        Box::pin(async move {
            let request = &watch;
            self.cluster.try_each(Kind::Read, |endpoint| watching::begin(endpoint, request)).await
        })
    }

    fn lease_grant(&self, ttl: Duration) -> Answer<'_, LeaseId> {
        Box::pin(async move {
            let seconds = ttl.as_secs() + u64::from(ttl.subsec_nanos() > 0);
            let seconds =
                i64::try_from(seconds).ok().filter(|seconds| seconds.cast_unsigned() <= LEASE_TTL_SECONDS_MAX);
            let seconds = seconds.ok_or(Error::LeaseTooLong { seconds_max: LEASE_TTL_SECONDS_MAX })?;
            // A lease granted in vain ends by itself.
            let answer = self.cluster.call(Kind::Read, |channel| async move {
                LeaseClient::new(channel).lease_grant(pb::LeaseGrantRequest { ttl: seconds, id: 0 }).await
            });
            let granted = answer.await?;
            LeaseId::new(granted.id).ok_or_else(|| Error::corrupt("etcd granted a lease with the number 0"))
        })
    }

    fn lease_revoke(&self, lease: LeaseId) -> Answer<'_, ()> {
        Box::pin(async move {
            let answer = self.cluster.call(Kind::Write, |channel| async move {
                LeaseClient::new(channel).lease_revoke(pb::LeaseRevokeRequest { id: lease.get() }).await
            });
            answer.await.map_err(|error| failures::about_lease(error, Some(lease)))?;
            Ok(())
        })
    }

    fn compact(&self, revision: Revision) -> Answer<'_, ()> {
        Box::pin(async move {
            let request = pb::CompactionRequest { revision: number(revision), physical: false };
            // Compacting twice to the same revision is told apart by etcd itself.
            let answer = self.cluster.call(Kind::Write, |channel| async move { kv(channel).compact(request).await });
            answer.await.map_err(|error| failures::about_revision(error, revision))?;
            Ok(())
        })
    }

    fn status(&self) -> Answer<'_, Status> {
        Box::pin(async move { self.cluster.try_each(Kind::Read, |endpoint| endpoint.status()).await })
    }
}

/// The `key` and `range_end` that mean a span.
fn bounds(span: &Span) -> (Bytes, Bytes) {
    const ZERO: &[u8] = &[0];
    let first = if span.start().is_empty() { Bytes::from_static(ZERO) } else { span.start().clone() };
    // A range end of one zero byte means "to the end of all keys".
    (first, span.end().cloned().unwrap_or(Bytes::from_static(ZERO)))
}

fn number(revision: Revision) -> i64 {
    i64::try_from(revision.0).unwrap_or(i64::MAX)
}

fn revision_of(number: i64) -> Revision {
    Revision(u64::try_from(number).unwrap_or(0))
}

/// The transaction, which on failure asks for what the compared keys hold.
fn request_of(txn: Txn) -> pb::TxnRequest {
    let look = |key: Bytes| pb::RequestOp {
        request: Some(pb::request_op::Request::RequestRange(pb::RangeRequest { key, ..Default::default() })),
    };
    let compares = txn.compares.iter().map(|compare| pb::Compare {
        result: pb::compare::CompareResult::Equal.into(),
        target: pb::compare::CompareTarget::Mod.into(),
        key: compare.key.clone().into_bytes(),
        target_union: Some(pb::compare::TargetUnion::ModRevision(number(compare.modified))),
    });
    pb::TxnRequest {
        compare: compares.collect(),
        success: txn.ops.into_iter().map(operation).collect(),
        failure: txn.compares.into_iter().map(|compare| look(compare.key.into_bytes())).collect(),
    }
}

fn operation(op: Op) -> pb::RequestOp {
    let request = match op {
        Op::Put { key, value, lease } => pb::request_op::Request::RequestPut(pb::PutRequest {
            key: key.into_bytes(),
            value,
            lease: lease.map_or(0, LeaseId::get),
        }),
        Op::Delete { key } => pb::request_op::Request::RequestDeleteRange(pb::DeleteRangeRequest {
            key: key.into_bytes(),
            ..Default::default()
        }),
    };
    pb::RequestOp { request: Some(request) }
}
