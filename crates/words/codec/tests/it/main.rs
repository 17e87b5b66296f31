//! The codec against upstream's bytes and against hostile ones.

mod conform;
mod json;
mod robust;
mod wire;
mod yaml;
