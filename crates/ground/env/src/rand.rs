//! Random numbers, identifiers and name suffixes.

use crate::world::World;

/// The characters of generated name suffixes: no vowels and no look-alikes, so that no words arise.
///
/// The same alphabet as upstream's `k8s.io/apimachinery/pkg/util/rand`.
const SUFFIX_ALPHABET: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";
const HEX_DIGITS: [u8; 16] = *b"0123456789abcdef";

/// Fills `bytes` from the operating system's cryptographic generator (or from the simulation's seed).
pub fn fill(bytes: &mut [u8]) {
    let seeded = World::with(|world| {
        for chunk in bytes.chunks_mut(8) {
            let word = world.next_u64().to_le_bytes();
            chunk.copy_from_slice(&word[..chunk.len()]);
        }
    });
    if seeded.is_none() {
        aws_lc_rs::rand::fill(bytes).expect("the operating system's random generator answers");
    }
}

/// A uniformly distributed 64-bit number.
pub fn u64() -> u64 {
    let mut bytes = [0; 8];
    fill(&mut bytes);
    u64::from_le_bytes(bytes)
}

/// A number below `bound`; 0 when `bound` is 0.
pub fn below(bound: u64) -> u64 {
    if bound == 0 { 0 } else { u64() % bound }
}

/// A number in `[0, 1)`, for jitter.
pub fn unit() -> f64 {
    (u64() >> 11) as f64 / (1_u64 << 53) as f64
}

/// A random (version 4) UUID in its lower-case text form.
pub fn uuid() -> String {
    let mut b = [0_u8; 16];
    fill(&mut b);
    b[6] = (b[6] & 0x0f) | 0x40;
    b[8] = (b[8] & 0x3f) | 0x80;
    // Every request has one, and every object: writing them by formatting would show.
    let mut text = String::with_capacity(36);
    for (at, byte) in b.into_iter().enumerate() {
        if matches!(at, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        text.extend([byte >> 4, byte & 0x0f].map(|digit| char::from(HEX_DIGITS[usize::from(digit)])));
    }
    text
}

/// `length` random characters fit to end an object's name, as `generateName` needs.
pub fn suffix(length: usize) -> String {
    let pick = |_| {
        let index = usize::try_from(below(SUFFIX_ALPHABET.len() as u64)).expect("an index below 27 fits");
        char::from(SUFFIX_ALPHABET[index])
    };
    (0..length).map(pick).collect()
}

#[cfg(test)]
mod tests;
