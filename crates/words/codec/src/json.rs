//! JSON as Go reads and writes it.

mod decode;
mod encode;
mod reader;

pub use decode::{check, decode, decode_shape, parse};
pub use encode::{encode, encode_shape, pretty, write, write_string};
