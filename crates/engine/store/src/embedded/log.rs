//! One file of the log: records one after another, written over zeros or over what an earlier use has left.
//!
//! Because the file has its blocks already, a sync writes the record's pages and nothing else: neither the file's length
//! nor its place on the disk changes. The first page says which use of the file this is and which record comes first.

use std::io;

use bytes::{Buf, BufMut, Bytes};
use redb::StorageBackend;

use crate::Error;

use super::crc::crc32c;
use super::record::{self, ALIGNMENT, Record};

const MAGIC: &[u8; 16] = b"ferrokube-log-1\n";
const PAGE_BYTES: u64 = 4_096;
const HEAD_BYTES: usize = 36;
/// The first and the largest piece by which a file grows: small, so that a start costs nothing; then as large as what is
/// there already, so that growing is rare.
const GROWTH_BYTES: (u64, u64) = (256 * 1024, 8 * 1024 * 1024);

/// How often what stands behind the last record is summed up, looking for later ones.
const TAIL_SUMS_MAX: u64 = 8;

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct Log {
    medium: Box<dyn StorageBackend>,
    salt: u64,
    /// Where the next record goes.
    end: u64,
    /// How far the file has its blocks.
    length: u64,
}

impl Log {
    /// Reads what is in the file: the records of its last use, of which the last may be missing because it was never
    /// finished, and then was never acknowledged.
    pub(super) fn open(medium: Box<dyn StorageBackend>) -> Result<(Log, Vec<Record>), Error> {
        let failed = |error: io::Error| Error::corrupt(format!("the log cannot be read: {error}"));
        let length = medium.len().map_err(failed)?;
        // To read less than is there would be to lose it.
        let length_bytes = usize::try_from(length).map_err(|_too_long| {
            Error::corrupt(format!("a log of {length} bytes is more than this machine can read"))
        })?;
        let mut bytes = vec![0; length_bytes];
        medium.read(0, &mut bytes).map_err(failed)?;
        let bytes = Bytes::from(bytes);
        let mut log = Log { medium, salt: 0, end: PAGE_BYTES, length };
        let Some((salt, first)) = read_head(&bytes) else { return Ok((log, Vec::new())) };
        log.salt = salt;
        let mut records = Vec::new();
        let mut rest = bytes.slice(usize::try_from(PAGE_BYTES).unwrap_or_default().min(bytes.len())..);
        let mut next = first;
        while let Some(record) = record::read(&rest, salt).filter(|record| record.number == next) {
            next += 1;
            log.end += record.length as u64;
            rest.advance(record.length.min(rest.len()));
            records.push(record);
        }
        check_tail(rest, salt, next)?;
        Ok((log, records))
    }

    /// Begins a new use of the file, whose first record will be `first`; what it held is void when this returns.
    ///
    /// Synced before any record is written: records over the old ones, with the old beginning, would look like damage.
    pub(super) fn begin(&mut self, first: u64) -> io::Result<()> {
        self.salt = env::rand::u64();
        self.end = PAGE_BYTES;
        let mut head = Vec::with_capacity(HEAD_BYTES);
        head.put_slice(MAGIC);
        head.put_u64_le(self.salt);
        head.put_u64_le(first);
        head.put_u32_le(crc32c(0, &head));
        self.make_room(0)?;
        self.medium.write(0, &head)?;
        self.medium.sync_data()
    }

    /// How far the file would be written after `bytes` more.
    pub(super) fn end_after(&self, bytes: usize) -> u64 {
        self.end + bytes as u64
    }

    /// Adds a record, which is durable when this returns.
    pub(super) fn append(&mut self, record: &[u8]) -> io::Result<()> {
        self.make_room(record.len() as u64)?;
        self.medium.write(self.end, record)?;
        self.medium.sync_data()?;
        self.end += record.len() as u64;
        Ok(())
    }

    pub(super) fn salt(&self) -> u64 {
        self.salt
    }

    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// Zeros are written, not only promised: then the blocks are there, and no later sync has to record where.
    fn make_room(&mut self, bytes: u64) -> io::Result<()> {
        let wanted = self.end + bytes;
        if wanted <= self.length {
            return Ok(());
        }
        let growth = self.length.clamp(GROWTH_BYTES.0, GROWTH_BYTES.1);
        let length = wanted.max(self.length + growth).next_multiple_of(PAGE_BYTES);
        self.medium.set_len(length)?;
        let zeros = vec![0; usize::try_from(length - self.length).unwrap_or_default()];
        self.medium.write(self.length, &zeros)?;
        self.length = length;
        Ok(())
    }
}

/// The salt and the number of the first record.
fn read_head(bytes: &Bytes) -> Option<(u64, u64)> {
    let head = bytes.get(..HEAD_BYTES)?;
    let (facts, mut expected) = head.split_at(HEAD_BYTES - 4);
    let mut facts_rest = facts.strip_prefix(MAGIC.as_slice())?;
    (crc32c(0, facts) == expected.get_u32_le()).then(|| (facts_rest.get_u64_le(), facts_rest.get_u64_le()))
}

/// Behind the last whole record there can be a torn one and nothing of this use of the file: each record was synced
/// before the next was begun. A later one means that one in between was damaged afterwards.
fn check_tail(rest: Bytes, salt: u64, missing: u64) -> Result<(), Error> {
    // No more can follow than have room; and what only looks like records must not keep a start from ending.
    let later = missing + 1..missing.saturating_add((rest.len() / ALIGNMENT) as u64);
    let mut budget_bytes = rest.len() as u64 * TAIL_SUMS_MAX;
    for at in (ALIGNMENT..rest.len()).step_by(ALIGNMENT) {
        // No record is of length 0, and most of what is left was never written.
        if budget_bytes == 0 || rest[at..].starts_with(&[0; 4]) {
            continue;
        }
        let plausible = |number, length| {
            let plausible = later.contains(&number);
            budget_bytes = budget_bytes.saturating_sub(if plausible { length } else { 0 });
            plausible
        };
        if record::read_if(&rest.slice(at..), salt, plausible).is_some() {
            return Err(Error::corrupt(format!("the log's record {missing} is damaged, and there are later ones")));
        }
    }
    Ok(())
}
