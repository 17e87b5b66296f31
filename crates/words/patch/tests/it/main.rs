//! Laws that hold for any objects and patches.

mod laws;
