//! Turning the addresses in others' answers: the plugin `loadbalance`.

use crate::wire::{A, AAAA, HEADER, Record, skip_name};

/// Lets the addresses of each name in the answer begin `turn` places further on. A message that cannot be read stays.
pub(crate) fn rotate(message: &mut [u8], turn: usize) {
    for kind in [A, AAAA] {
        if let Some(places) = places(message, kind).filter(|places| places.len() > 1) {
            let length = if kind == A { 4 } else { 16 };
            let mut data: Vec<Vec<u8>> = places.iter().map(|at| message[*at..at + length].to_vec()).collect();
            let by = turn % data.len();
            data.rotate_left(by);
            for (at, data) in places.iter().zip(data) {
                message[*at..at + length].copy_from_slice(&data);
            }
        }
    }
}

/// Where the addresses of one type stand in the answers, as long as they are all of one name: that of the last.
fn places(message: &[u8], kind: u16) -> Option<Vec<usize>> {
    let count = u16::from_be_bytes(*message.get(6..)?.first_chunk()?);
    let mut at = skip_name(message, HEADER)? + 4;
    let mut found: Vec<(&[u8], usize)> = Vec::new();
    for _ in 0..count {
        let record = Record::read(message, at)?;
        let data_at = record.ttl_at + 6;
        let length = if kind == A { 4 } else { 16 };
        if record.kind == kind && record.end - data_at == length {
            found.push((&message[at..record.ttl_at - 4], data_at));
        }
        at = record.end;
    }
    let (owner, _) = *found.last()?;
    Some(found.into_iter().filter(|(name, _)| *name == owner).map(|(_, at)| at).collect())
}
