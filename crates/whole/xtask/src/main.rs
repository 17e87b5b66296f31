//! The repository's own chores: `cargo xtask tidy`, `cargo xtask fmt`, `cargo xtask fuzz`, `cargo xtask schema`.
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
        Chore::Fmt => {
            let status = workspace::cargo(&["fmt", "--all", "--check"]).status().context("cargo fmt")?;
            Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
    }
}
