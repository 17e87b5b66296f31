//! The `ferrokube` program: a whole cluster in one process, and every part of it under its own name.
//!
//! What runs is decided by how the program is called, in this order: by a container runtime as a network plugin
//! (`CNI_COMMAND` is set), under the name of a part (`kubelet`, `kubectl`, ...), or as `ferrokube` with a verb.
//!
//! - [`up`] brings a machine up step by step; [`components`] is the table of what it starts.
//! - [`down`] takes back what `up` made, by record and by discovery; [`status`] says what is healthy and why not.
//! - [`containerd`] runs a container runtime with a configuration of its own; [`images`] packs this very executable.
//! - [`roles`] is what runs inside pods.
//!
//! Deliberately not here: any algorithm and any protocol of a component.
//!
//! Invariants
//! - One running instance per data folder, held by a lock that ends with the process.
//! - The end of this process ends no container; only `down` does.
//! - What is not built says so and fails.

mod access;
mod cli;
mod components;
mod containerd;
mod credentials;
mod demo;
mod down;
mod images;
mod listen;
mod manifests;
mod parts;
mod place;
mod progress;
mod readiness;
mod record;
mod roles;
mod status;
mod up;

use std::process::ExitCode;

use clap::Parser;

use crate::cli::{Arguments, ImageVerb, Verb};
use crate::place::Place;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    if let Some(environment) = podnet::cni::Environment::of_process() {
        return ExitCode::from(podnet::cni::main(std::io::stdin().lock(), &environment));
    }
    let first = std::env::args().nth(1).unwrap_or_default();
    if let Some(part) = [env::process::called_as(), first].iter().find_map(|name| parts::find(name)) {
        return parts::refuse(part);
    }
    let arguments = Arguments::parse();
    // Before anything else is set up: a pod's first process should be as small as can be.
    if matches!(arguments.verb, Verb::Pause) {
        return roles::pause::run();
    }
    observe::logging::start(arguments.verbosity);
    match run(arguments) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    match arguments.verb {
        Verb::Up(options) if options.detach => block_on(up::detached(*options)),
        Verb::Up(options) => {
            if options.in_background {
                up::leave_terminal()?;
            }
            block_on(up::run(*options))
        }
        Verb::Down(options) => block_on(down::run(options)),
        Verb::Status(options) => block_on(status::run(options)),
        Verb::Image { verb: ImageVerb::List } => images::print_list(),
        Verb::Image { verb: ImageVerb::Save { file } } => images::save(&file),
        Verb::Image { verb: ImageVerb::Import { place, address } } => {
            let socket = address.unwrap_or_else(|| Place::of(&place).containerd_socket());
            block_on(images::import_and_tell(socket))
        }
        Verb::Demo(options) => block_on(demo::run(options)),
        Verb::Dns(options) => block_on(roles::dns::run(options)),
        Verb::Web(options) => block_on(roles::web::run(options)),
        Verb::Pause => Ok(roles::pause::run()),
        Verb::Version => {
            progress::print_line(&format!("ferrokube {}", observe::version().git_version));
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn block_on(work: impl Future<Output = anyhow::Result<ExitCode>>) -> anyhow::Result<ExitCode> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(work)
}
