//! Which address or port a Service gets.
//!
//! Pure: given what is taken and where to begin looking, the answer is a number. Whoever asks makes sure that two
//! askers do not get the same one (by a transaction).
//!
//! Rules: KEP-3070 and KEP-3668 reserve the lower part of a range for static assignment: dynamic ones come from the
//! upper part while it has room.

mod bitmap;
mod range;

pub use bitmap::Bitmap;
pub use range::{ParseError, Range};

/// How much of a range's beginning dynamic assignment leaves alone at first: between 16 and 256, a sixteenth.
pub fn static_part(size: u128) -> u128 {
    if size < 16 { 0 } else { (size / 16).clamp(16, 256).min(size) }
}

/// A free offset in `0..size`, looking first in the dynamic part from `start` on, then in the static part.
///
/// `start` is any number: a random one spreads the assignments.
pub fn pick(size: u128, start: u128, is_taken: impl Fn(u128) -> bool) -> Option<u128> {
    let fixed = static_part(size);
    let dynamic = size - fixed;
    let from = if dynamic == 0 { 0 } else { start % dynamic };
    let upper = (from..dynamic).chain(0..from).map(|offset| fixed + offset);
    let lower = 0..fixed;
    upper.chain(lower).find(|offset| !is_taken(*offset))
}

#[cfg(test)]
mod tests;
