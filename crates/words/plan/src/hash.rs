//! Stable short hashes for names: `pod-template-hash`, `controller-revision-hash`.
//!
//! Upstream hashes a dump of Go structures, which nobody else can reproduce. What users and tools rely on is the alphabet
//! and that equal templates give equal hashes within one version; both hold here. Nothing compares the hash of an old
//! object with a fresh one: templates are compared by value.

use std::fmt::{self, Debug, Write};

/// Characters without vowels and easily confused digits, so that no name spells a word.
const ALPHABET: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";

/// FNV-1a over 32 bits.
#[must_use]
pub fn fnv32a(bytes: impl IntoIterator<Item = u8>) -> u32 {
    let mut state = Fnv::default();
    for byte in bytes {
        state.eat(byte);
    }
    state.0
}

/// FNV-1a over the debug form of a value, followed by a collision count when there is one.
#[must_use]
pub fn hash_of_debug(value: &dyn Debug, collisions: Option<i32>) -> u32 {
    let mut state = Fnv::default();
    write!(state, "{value:?}").expect("hashing accepts every character");
    if let Some(count) = collisions {
        count.to_le_bytes().into_iter().for_each(|byte| state.eat(byte));
    }
    state.0
}

/// Spells a text in the safe alphabet, one character for each byte.
#[must_use]
pub fn safe_encode(text: &str) -> String {
    text.bytes().map(|byte| char::from(ALPHABET[usize::from(byte) % ALPHABET.len()])).collect()
}

struct Fnv(u32);

impl Default for Fnv {
    fn default() -> Self {
        Self(0x811c_9dc5)
    }
}

impl Fnv {
    fn eat(&mut self, byte: u8) {
        self.0 = (self.0 ^ u32::from(byte)).wrapping_mul(0x0100_0193);
    }
}

impl Write for Fnv {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.bytes().for_each(|byte| self.eat(byte));
        Ok(())
    }
}
