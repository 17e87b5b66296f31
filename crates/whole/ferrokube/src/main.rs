//! The `ferrokube` program.

fn main() {}
