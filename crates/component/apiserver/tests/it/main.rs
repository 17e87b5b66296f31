//! The API server from outside: a server of one's own in each test, asked as clients ask.

mod fixture;
mod verbs;
mod deletion;
mod lists;
mod watches;
mod addresses;
mod bad_input;
mod coverage;
mod identity;
mod clients;
mod crash;
