//! etcd's answers in our words.

use crate::{Change, Entry, Error, Event, Got, Key, LeaseId, Outcome, Page, Revision};

use super::wire::etcdserverpb as pb;
use super::wire::mvccpb;

pub(super) fn got(answer: pb::RangeResponse) -> Result<Got, Error> {
    let revision = header_revision(answer.header.as_ref())?;
    let entry = answer.kvs.into_iter().next().map(entry).transpose()?;
    Ok(Got { entry, revision })
}

pub(super) fn page(answer: pb::RangeResponse) -> Result<Page, Error> {
    let revision = header_revision(answer.header.as_ref())?;
    let entries = answer.kvs.into_iter().map(entry).collect::<Result<_, _>>()?;
    let count = u64::try_from(answer.count).map_err(|error| Error::corrupt(format!("a count of keys: {error}")))?;
    Ok(Page { entries, revision, more: answer.more, count })
}

pub(super) fn outcome(answer: pb::TxnResponse) -> Result<Outcome, Error> {
    let revision = header_revision(answer.header.as_ref())?;
    if answer.succeeded {
        return Ok(Outcome::Committed { revision });
    }
    let looked_up = answer.responses.into_iter().map(|response| match response.response {
        Some(pb::response_op::Response::ResponseRange(range)) => range.kvs.into_iter().next().map(entry).transpose(),
        other => Err(Error::corrupt(format!("a lookup was answered by {other:?}"))),
    });
    Ok(Outcome::Conflict { revision, current: looked_up.collect::<Result<_, _>>()? })
}

pub(super) fn event(event: mvccpb::Event) -> Result<Event, Error> {
    let deleted = event.r#type() == mvccpb::event::EventType::Delete;
    let kv = event.kv.ok_or_else(|| Error::corrupt("an event names no key"))?;
    let prev = event.prev_kv.map(entry).transpose()?;
    let change = if deleted {
        Change::Delete { revision: revision(kv.mod_revision)?, key: Key::try_from(kv.key)? }
    } else {
        Change::Put(entry(kv)?)
    };
    Ok(Event { change, prev })
}

pub(super) fn header_revision(header: Option<&pb::ResponseHeader>) -> Result<Revision, Error> {
    revision(header.ok_or_else(|| Error::corrupt("an answer has no header"))?.revision)
}

pub(super) fn revision(number: i64) -> Result<Revision, Error> {
    u64::try_from(number).map(Revision).map_err(|error| Error::corrupt(format!("the revision {number}: {error}")))
}

fn entry(kv: mvccpb::KeyValue) -> Result<Entry, Error> {
    Ok(Entry {
        created: revision(kv.create_revision)?,
        modified: revision(kv.mod_revision)?,
        version: u64::try_from(kv.version).map_err(|error| Error::corrupt(format!("an entry's version: {error}")))?,
        lease: LeaseId::new(kv.lease),
        key: Key::try_from(kv.key)?,
        value: kv.value,
    })
}
