//! A group as a record of the log.
//!
//! Length of the body (4 bytes), checksum (4), number (8), body, and zeros up to a multiple of 8 bytes; all numbers are
//! little-endian. The checksum is over the log's salt, the length, the number and the body: what an earlier use of the
//! same file has left is not taken for a record, and neither is what somebody has put into a value.

use std::sync::Arc;

use bytes::{Buf, BufMut, Bytes};
use jiff::Timestamp;

use crate::mvcc::{Commit, Lease};
use crate::{Change, Entry, Error, Event, Key, LeaseId, Revision};

use super::crc::crc32c;
use super::journal::Group;

const HEAD_BYTES: usize = 16;
/// Records begin at multiples of this.
pub(super) const ALIGNMENT: usize = 8;

const PUT: u8 = 1;
const DELETE: u8 = 2;

/// A record as it was read.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) number: u64,
    body: Bytes,
    /// Its bytes in the log.
    pub(super) length: usize,
}

/// One transaction as it was read: it does not say what stood there before.
#[derive(Debug, PartialEq)]
pub(super) struct Replayed {
    pub(super) revision: Revision,
    pub(super) changes: Vec<Change>,
}

/// What a record says.
#[derive(Debug)]
pub(super) struct Said {
    pub(super) transactions: Vec<Replayed>,
    pub(super) leases_granted: Vec<Lease>,
    pub(super) leases_ended: Vec<LeaseId>,
}

/// Appends `group` as the record `number`.
pub(super) fn write(group: &Group, number: u64, salt: u64, out: &mut Vec<u8>) {
    let start = out.len();
    out.put_bytes(0, HEAD_BYTES);
    out.put_u32_le(count(group.commits.len()));
    group.commits.iter().for_each(|commit| write_commit(commit, out));
    out.put_u32_le(count(group.leases_granted.len()));
    for lease in &group.leases_granted {
        out.put_i64_le(lease.id.get());
        out.put_i64_le(lease.deadline.as_millisecond());
    }
    out.put_u32_le(count(group.leases_ended.len()));
    group.leases_ended.iter().for_each(|lease| out.put_i64_le(lease.get()));
    let length = count(out.len() - start - HEAD_BYTES);
    let checksum = checksum(salt, length, number, &out[start + HEAD_BYTES..]);
    let mut head = &mut out[start..start + HEAD_BYTES];
    head.put_u32_le(length);
    head.put_u32_le(checksum);
    head.put_u64_le(number);
    out.resize(out.len().next_multiple_of(ALIGNMENT), 0);
}

/// The record at the beginning of `bytes`, if there is a whole one.
pub(super) fn read(bytes: &Bytes, salt: u64) -> Option<Record> {
    read_if(bytes, salt, |_number, _length| true)
}

/// The same, if its number and length are `wanted`; whatever is not is told apart before it is summed up.
pub(super) fn read_if(bytes: &Bytes, salt: u64, wanted: impl FnOnce(u64, u64) -> bool) -> Option<Record> {
    let mut head: &[u8] = bytes.get(..HEAD_BYTES)?;
    let (length, expected, number) = (head.get_u32_le(), head.get_u32_le(), head.get_u64_le());
    let end = HEAD_BYTES.checked_add(usize::try_from(length).ok()?)?;
    let body = bytes.get(HEAD_BYTES..end)?;
    if !wanted(number, u64::from(length)) {
        return None;
    }
    // A record holds three counts at least.
    let whole = body.len() >= 12 && checksum(salt, length, number, body) == expected;
    whole.then(|| Record { number, body: bytes.slice(HEAD_BYTES..end), length: end.next_multiple_of(ALIGNMENT) })
}

fn checksum(salt: u64, length: u32, number: u64, body: &[u8]) -> u32 {
    let crc = crc32c(0, &salt.to_le_bytes());
    let crc = crc32c(crc, &length.to_le_bytes());
    let crc = crc32c(crc, &number.to_le_bytes());
    crc32c(crc, body)
}

/// Counts and lengths are bounded by those of transactions and groups, far below.
fn count(count: usize) -> u32 {
    u32::try_from(count).expect("a group is bounded")
}

fn write_commit(commit: &Commit, out: &mut Vec<u8>) {
    out.put_u64_le(commit.revision.0);
    out.put_u32_le(count(commit.events.len()));
    for event in &commit.events {
        match &event.change {
            Change::Put(entry) => {
                out.put_u8(PUT);
                write_bytes(entry.key.as_bytes(), out);
                out.put_u64_le(entry.created.0);
                out.put_u64_le(entry.version);
                out.put_i64_le(entry.lease.map_or(0, LeaseId::get));
                write_bytes(&entry.value, out);
            }
            Change::Delete { key, .. } => {
                out.put_u8(DELETE);
                write_bytes(key.as_bytes(), out);
            }
        }
    }
}

fn write_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    out.put_u32_le(count(bytes.len()));
    out.put_slice(bytes);
}

impl Record {
    /// A record that says `body`.
    pub(super) fn of_body(body: Bytes) -> Record {
        Record { number: 0, length: body.len(), body }
    }

    /// What it says.
    pub(super) fn open(self) -> Result<Said, Error> {
        let mut body = self.body;
        let transactions = read_many(&mut body, read_commit)?;
        let leases_granted = read_many(&mut body, |body| {
            let (id, deadline) = (lease_id(body)?, body.try_get_i64_le().map_err(short)?);
            let deadline = Timestamp::from_millisecond(deadline);
            Ok(Lease { id, deadline: deadline.map_err(|error| Error::corrupt(error.to_string()))? })
        })?;
        let leases_ended = read_many(&mut body, lease_id)?;
        Ok(Said { transactions, leases_granted, leases_ended })
    }
}

fn short(error: bytes::TryGetError) -> Error {
    Error::corrupt(format!("a record is cut short: {error}"))
}

fn read_many<T>(body: &mut Bytes, mut read: impl FnMut(&mut Bytes) -> Result<T, Error>) -> Result<Vec<T>, Error> {
    let count = body.try_get_u32_le().map_err(short)?;
    (0..count).map(|_| read(body)).collect()
}

fn lease_id(body: &mut Bytes) -> Result<LeaseId, Error> {
    let number = body.try_get_i64_le().map_err(short)?;
    LeaseId::new(number).ok_or_else(|| Error::corrupt("a lease has the number 0"))
}

fn read_commit(body: &mut Bytes) -> Result<Replayed, Error> {
    let revision = Revision(body.try_get_u64_le().map_err(short)?);
    let changes = read_many(body, |body| {
        let kind = body.try_get_u8().map_err(short)?;
        let key = Key::try_from(read_bytes(body)?)?;
        match kind {
            PUT => {
                let created = Revision(body.try_get_u64_le().map_err(short)?);
                let version = body.try_get_u64_le().map_err(short)?;
                let lease = LeaseId::new(body.try_get_i64_le().map_err(short)?);
                let value = read_bytes(body)?;
                Ok(Change::Put(Entry { key, value, created, modified: revision, version, lease }))
            }
            DELETE => Ok(Change::Delete { key, revision }),
            other => Err(Error::corrupt(format!("a change of the unknown kind {other}"))),
        }
    })?;
    Ok(Replayed { revision, changes })
}

/// Copied, so that an entry does not hold the whole log.
fn read_bytes(body: &mut Bytes) -> Result<Bytes, Error> {
    let length = usize::try_from(body.try_get_u32_le().map_err(short)?).unwrap_or(usize::MAX);
    if length > body.len() {
        return Err(Error::corrupt("a record is cut short"));
    }
    Ok(Bytes::copy_from_slice(&body.split_to(length)))
}

impl Replayed {
    /// The transaction with what it put out of force, which `before` tells.
    pub(super) fn into_commit(self, mut before: impl FnMut(&Key) -> Option<Entry>) -> Arc<Commit> {
        let with_prev = |change: Change| {
            let event = Event { change, prev: None };
            let prev = before(event.key());
            Event { prev, ..event }
        };
        Arc::new(Commit { revision: self.revision, events: self.changes.into_iter().map(with_prev).collect() })
    }
}
