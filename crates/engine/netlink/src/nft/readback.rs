//! Reading back what stands in the kernel, for repair alone.

use nftables::Table;

use super::SUBSYSTEM;
use super::encode::{GET_ELEMENTS, GET_GENERATION, GET_TABLE, message};
use crate::Error;
use crate::message::{Messages, attribute, attributes, read_be32};
use crate::socket::{ACK, DUMP, INTERRUPTED, REQUEST, Socket};

/// A table grows in a few steps, each once; more lists than this that are torn mean something else.
const LISTS_MAX: u32 = 32;

/// An element as the kernel holds it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ElementRead {
    /// The key's bytes.
    pub key: Vec<u8>,
    /// The data's bytes; empty for sets and for maps of verdicts.
    pub data: Vec<u8>,
}

pub(super) fn generation(socket: &mut Socket) -> Result<u32, Error> {
    const ID: u16 = 1;
    let step = "tell the generation of its ruleset";
    let mut request = Messages::starting_at(socket.reserve(1));
    request.message(SUBSYSTEM << 8 | GET_GENERATION, REQUEST | ACK, |m| m.raw(&[0; 4]));
    let mut found = None;
    socket.answers(request.bytes(), step, |answer| {
        found = answer.body.get(4..).and_then(|body| attribute(body, ID)).and_then(read_be32);
    })?;
    found.ok_or_else(|| Error::Malformed(step.to_owned()))
}

pub(super) fn table_exists(socket: &mut Socket, table: &Table) -> Result<bool, Error> {
    let mut request = Messages::starting_at(socket.reserve(1));
    message(&mut request, GET_TABLE, ACK, table, |m| m.text(1, &table.name));
    match socket.answers(request.bytes(), "show a table", |_| {}) {
        Ok(()) => Ok(true),
        Err(error) if error.is_absent() => Ok(false),
        Err(error) => Err(error),
    }
}

/// The elements of a set. The kernel tells them in several messages and counts where it is; when it enlarges the set's
/// table in between, some are told twice and as many not at all, so a list with repetitions is asked for again.
pub(super) fn elements(socket: &mut Socket, table: &Table, set: &str) -> Result<Vec<ElementRead>, Error> {
    let step = "list a set";
    for _ in 0..LISTS_MAX {
        let mut request = Messages::starting_at(socket.reserve(1));
        message(&mut request, GET_ELEMENTS, DUMP, table, |m| {
            m.text(1, &table.name);
            m.text(2, set);
        });
        let (mut found, mut is_torn) = (Vec::new(), false);
        socket.answers(request.bytes(), step, |answer| {
            is_torn |= answer.flags & INTERRUPTED != 0;
            let list = answer.body.get(4..).and_then(|body| attribute(body, 3)).unwrap_or_default();
            found.extend(attributes(list).filter_map(|(_, element)| read(element)));
        })?;
        found.sort_unstable();
        is_torn |= found.windows(2).any(|pair| pair[0].key == pair[1].key);
        if !is_torn {
            return Ok(found);
        }
    }
    Err(Error::Unsteady(step.to_owned()))
}

pub(crate) fn read(element: &[u8]) -> Option<ElementRead> {
    let key = attribute(attribute(element, 1)?, 1)?.to_vec();
    let data = attribute(element, 2).and_then(|data| attribute(data, 1)).unwrap_or_default().to_vec();
    Some(ElementRead { key, data })
}
