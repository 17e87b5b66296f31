//! The whole, for real.

mod control_plane;
mod scenarios;
mod workshop;
