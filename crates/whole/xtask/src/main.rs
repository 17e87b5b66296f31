//! The workspace's own chores.

mod schema;

use clap::Parser;

#[derive(Debug, Parser)]
enum Command {
    /// Makes the schema table of the built-in types.
    Schema(schema::Arguments),
}

fn main() -> anyhow::Result<()> {
    match Command::parse() {
        Command::Schema(arguments) => schema::run(&arguments),
    }
}
