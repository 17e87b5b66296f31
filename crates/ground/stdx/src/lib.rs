//! Small things that several crates share and the standard library lacks.
//!
//! Empty until two crates need the same small thing; what one crate needs lives there.
