//! The packet filter: lists of changes become netlink transactions.

mod encode;
mod expression;
pub(crate) mod readback;

use nftables::{Change, Table};

use crate::message::Messages;
use crate::socket::{REQUEST, Refusal, Socket};
use crate::{Error, nft::encode::Encoder};

pub use readback::ElementRead;

const NETLINK_NETFILTER: isize = 12;
/// The netfilter subsystem of nftables, in the high byte of message kinds.
const SUBSYSTEM: u16 = 10;
const BATCH_BEGIN: u16 = 0x10;
const BATCH_END: u16 = 0x11;

/// One transaction at most: some 300,000 elements. Larger lists are split between their messages.
const TRANSACTION_BYTES_MAX: usize = 32 << 20;
/// Room for the kernel's bookkeeping beside the transaction.
const SEND_BYTES_MAX: usize = 2 * TRANSACTION_BYTES_MAX;

/// What a commit did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Committed {
    /// How many transactions it took; more than one means that it was not atomic.
    pub transactions: usize,
    /// The bytes that were sent.
    pub bytes: usize,
}

/// A connection to the kernel's packet filter, in the network namespace it was opened in.
#[derive(Debug)]
pub struct PacketFilter {
    socket: Socket,
    transaction_bytes_max: usize,
}

impl PacketFilter {
    /// Opens one in the network namespace of the calling thread. Needs CAP_NET_ADMIN there.
    pub fn open() -> Result<Self, Error> {
        let socket = Socket::open(NETLINK_NETFILTER)?;
        socket.allow_sending(SEND_BYTES_MAX)?;
        Ok(Self { socket, transaction_bytes_max: TRANSACTION_BYTES_MAX })
    }

    /// Splits commits into smaller transactions, for nodes with little memory: the kernel holds one whole.
    pub fn with_transaction_bytes_max(self, bytes: usize) -> Self {
        Self { transaction_bytes_max: bytes.min(TRANSACTION_BYTES_MAX), ..self }
    }

    /// Applies `changes` in their order. Up to 32 MiB that is one transaction: all or nothing.
    pub fn commit(&mut self, changes: &[Change]) -> Result<Committed, Error> {
        let mut committed = Committed { transactions: 0, bytes: 0 };
        let mut transaction = Transaction::begin(&mut self.socket);
        for change in changes {
            let mut encoder = Encoder::new(change);
            while encoder.encode(&mut transaction.messages) {
                transaction.note(change);
                if transaction.messages.len() >= self.transaction_bytes_max {
                    transaction.commit(&mut self.socket, &mut committed)?;
                    transaction = Transaction::begin(&mut self.socket);
                }
            }
        }
        transaction.commit(&mut self.socket, &mut committed)?;
        Ok(committed)
    }

    /// The number of the kernel's current ruleset; every commit by anybody in this network namespace raises it.
    pub fn generation(&mut self) -> Result<u32, Error> {
        readback::generation(&mut self.socket)
    }

    /// The elements of a set, for repair after foreign interference; never part of ordinary updates.
    pub fn elements(&mut self, table: &Table, set: &str) -> Result<Vec<ElementRead>, Error> {
        readback::elements(&mut self.socket, table, set)
    }

    /// Whether `table` exists.
    pub fn table_exists(&mut self, table: &Table) -> Result<bool, Error> {
        readback::table_exists(&mut self.socket, table)
    }
}

/// Messages between a begin and an end, with what each stands for.
struct Transaction<'a> {
    messages: Messages,
    first: u32,
    steps: Vec<&'a Change>,
}

impl<'a> Transaction<'a> {
    fn begin(socket: &mut Socket) -> Self {
        // Sequence numbers only need to be unique within what is in flight, which is one transaction.
        let first = socket.reserve(1);
        let mut messages = Messages::starting_at(first);
        envelope(&mut messages, BATCH_BEGIN);
        Self { messages, first, steps: Vec::new() }
    }

    fn note(&mut self, change: &'a Change) {
        self.steps.push(change);
    }

    fn commit(mut self, socket: &mut Socket, committed: &mut Committed) -> Result<(), Error> {
        if self.steps.is_empty() {
            return Ok(());
        }
        envelope(&mut self.messages, BATCH_END);
        let next = self.messages.next_sequence();
        socket.reserve(next.wrapping_sub(self.first));
        socket.send(self.messages.bytes())?;
        let refusals = socket.refusals_queued()?;
        if let Some(refusal) = refusals.into_iter().next() {
            let step = self.describe(&refusal);
            return Err(refusal.into_error(step));
        }
        committed.transactions += 1;
        committed.bytes += self.messages.len();
        Ok(())
    }

    /// The step that a refusal speaks of.
    fn describe(&self, refusal: &Refusal) -> String {
        let index = refusal.sequence.wrapping_sub(self.first).wrapping_sub(1);
        let step = usize::try_from(index).ok().and_then(|index| self.steps.get(index));
        step.map_or_else(|| "commit the transaction".to_owned(), |change| encode::describe(change))
    }
}

fn envelope(messages: &mut Messages, kind: u16) {
    messages.message(kind, REQUEST, |m| {
        let [high, low] = SUBSYSTEM.to_be_bytes();
        m.raw(&[0, 0, high, low]);
    });
}
