//! Every decoder of bytes that somebody else wrote, with what must hold whatever the bytes are.
//!
//! A target is a function of bytes: it feeds a decoder and panics, with a sentence, where a promise is broken. That no
//! decoder panics, hangs or takes memory without bound is the promise of each; most have more, such as that what was
//! read, written and read again is the same.
//!
//! Two run the [`TARGETS`]: a fuzzer (`fuzz/` at the root, see `docs/fuzzing.md`), and the tests of this crate over
//! `seeds/<target>/`. What fuzzing finds is put there, so that every run of the tests looks at it again.
//!
//! Not here: decoders of what this program alone wrote, and protocols that libraries speak for us (TLS, HTTP, gRPC).
//!
//! Invariants
//! - A target depends on nothing but its bytes: no clock, no chance, no file, nothing kept from one call to the next.
//! - Each target has its file in `fuzz/fuzz_targets` and its folder in `seeds`; a test compares.

mod certificates;
mod changes;
mod credentials;
mod forms;
mod kinds;
mod machine;
mod requests;
mod scalars;
mod selectors;
mod wires;

pub use certificates::certificates;
pub use changes::{apply, patch};
pub use credentials::credentials;
pub use forms::{json, protobuf, yaml};
pub use kinds::kinds;
pub use machine::{netlink, node, store};
pub use requests::requests;
pub use scalars::scalars;
pub use selectors::selectors;
pub use wires::{corefile, dns, streams};

/// Feeds a decoder, and panics where a promise is broken.
pub type Target = fn(&[u8]);

/// All targets by name.
pub const TARGETS: &[(&str, Target)] = &[
    ("apply", apply),
    ("certificates", certificates),
    ("corefile", corefile),
    ("credentials", credentials),
    ("dns", dns),
    ("json", json),
    ("kinds", kinds),
    ("netlink", netlink),
    ("node", node),
    ("patch", patch),
    ("protobuf", protobuf),
    ("requests", requests),
    ("scalars", scalars),
    ("selectors", selectors),
    ("store", store),
    ("streams", streams),
    ("yaml", yaml),
];

/// Two inputs in one: what stands before the first zero byte, and what follows it.
fn halves(bytes: &[u8]) -> (&[u8], &[u8]) {
    let at = bytes.iter().position(|byte| *byte == 0);
    at.map_or((bytes, &[]), |at| (&bytes[..at], &bytes[at + 1..]))
}
