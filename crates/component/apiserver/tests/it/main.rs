//! The API server from outside: a server of one's own in each test, asked as clients ask.

mod addresses;
mod bad_input;
mod behind;
mod clients;
mod components;
mod coverage;
mod crash;
mod deletion;
mod documents;
mod fixture;
mod identity;
mod lists;
mod verbs;
mod watches;
