//! The whole, for real.

mod control_plane;
mod hosts;
mod scenarios;
mod workshop;
