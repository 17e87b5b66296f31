//! The CNI plugin as a program of its own, for a runtime that has no whole binary to call.
//!
//! `plugin setup 10.244.1.0/24` makes the node's part in the caller's network namespace; called as a plugin it serves one
//! invocation.

use std::process::ExitCode;

use podnet::cni;
use podnet::config::range;
use podnet::node::{NodeNetwork, setup};

fn main() -> ExitCode {
    if let Some(environment) = cni::Environment::of_process() {
        return ExitCode::from(cni::main(std::io::stdin(), &environment));
    }
    let arguments: Vec<String> = std::env::args().collect();
    let ["setup", text] = arguments.iter().skip(1).map(String::as_str).collect::<Vec<_>>()[..] else {
        eprintln!("usage: plugin setup RANGE");
        return ExitCode::FAILURE;
    };
    let Some(pods) = range(text) else {
        eprintln!("{text:?} is no range");
        return ExitCode::FAILURE;
    };
    match setup(&NodeNetwork { pod_ranges: vec![pods], unmasqueraded: vec![pods], mtu: None }) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
