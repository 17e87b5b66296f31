//! The repository's own chores: `cargo xtask tidy`, `cargo xtask fmt`, `cargo xtask fuzz`, `cargo xtask schema`,
//! `cargo xtask bench`.
//!
//! Not here: anything that a user of Ferrokube needs.

mod fuzz;
mod schema;
mod source;
mod tidy;
mod workspace;

use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};

use crate::workspace::Workspace;

#[derive(Debug, Parser)]
#[command(name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Debug, Subcommand)]
enum Chore {
    /// Checks the laws of the house, without compiling.
    Tidy {
        /// Lowers the ratchets to what the tree needs. They are never raised by a tool.
        #[arg(long)]
        tighten: bool,
        /// Runs the checks of these names only.
        only: Vec<String>,
    },
    /// Checks the formatting.
    Fmt,
    /// Feeds the decoders inputs that nobody thought of.
    Fuzz(fuzz::Arguments),
    /// Makes the schema table of the built-in types.
    Schema(schema::Arguments),
    /// Measures the release build, and the original beside it where `REFERENCE_BIN` says where that is.
    #[command(disable_help_flag = true)]
    Bench {
        /// Rows, by id, and options; `--help` and `--list` tell of them.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
}

fn main() -> Result<ExitCode> {
    match Arguments::parse().chore {
        Chore::Tidy { tighten, only } => {
            let workspace = Workspace::load()?;
            if tighten {
                tidy::ratchet::tighten(&workspace)?;
            }
            let problems = tidy::run(&workspace, &only);
            for problem in &problems {
                eprintln!("{problem}");
            }
            eprintln!("tidy: {} checks, {} problems", tidy::CHECKS.len(), problems.len());
            Ok(if problems.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        Chore::Fuzz(arguments) => fuzz::run(&arguments).map(|()| ExitCode::SUCCESS),
        Chore::Schema(arguments) => schema::run(&arguments).map(|()| ExitCode::SUCCESS),
        Chore::Fmt => cargo(&["fmt", "--all", "--check"]),
        Chore::Bench { arguments } => {
            // A node is measured on a machine of namespaces, which a program of that crate makes.
            let machine = workspace::cargo(&["build", "--quiet", "--release", "--package", "e2e"]).status()?;
            if !machine.success() {
                return Ok(ExitCode::FAILURE);
            }
            let program = ["run", "--quiet", "--release", "--package", "bench", "--"];
            cargo(&program.into_iter().chain(arguments.iter().map(String::as_str)).collect::<Vec<_>>())
        }
    }
}

/// Runs cargo; how it ends is how we end.
fn cargo(arguments: &[&str]) -> Result<ExitCode> {
    let status = workspace::cargo(arguments).status().with_context(|| format!("cargo {}", arguments[0]))?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
