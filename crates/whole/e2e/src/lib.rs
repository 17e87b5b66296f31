//! Scenarios on the real thing: a real containerd and runc, the static program, on *hosts* made of namespaces.
//!
//! - [`fixture`]: a few hosts on one [`switch`], and the clean-up of what they leave, even of those that were killed.
//! - [`host`]: a machine made of namespaces: its own root, network, processes, host name and cgroups.
//! - [`said`]: what a command on a host answered, with expectations; [`follow`]: one that goes on, line by line.
//! - [`cluster`]: a cluster on a host, from `up` to `down`, with the two checks that end every scenario.
//! - [`image`]: images made of files of this machine; [`pictures`]: those that scenarios use.
//! - [`program`]: the program under test and `kubectl`. [`traces`]: what a host has that could leak.
//!
//! Deliberately not here: anything that knows a scenario, and waiting that is not told by something. Scenarios are in
//! `tests/it/scenarios`.
//!
//! Invariants
//! - Nothing of a fixture is in the machine's own network, mount or process namespace except the first processes that
//!   hold its own, so fixtures neither meet each other nor a cluster of the machine, whatever their addresses.
//! - A host lives as long as the process that made it: its first process waits for the end of a pipe.
//! - As root nothing is skipped; as somebody else everything is, with a printed line that says so.
//!
//! # By hand
//!
//! Opens host m1 with a cluster and the scenarios' images, and a shell on it; everything is gone when that ends:
//!
//! ```text
//! cargo build --release --target x86_64-unknown-linux-gnu      # as `make build` does, or let it build by itself
//! FERROKUBE_BIN=target/release/ferrokube cargo run -p e2e --bin host -- m1
//! cargo run -p e2e --bin host -- m1 -- kubectl get nodes       # a command instead of the shell
//! cargo run -p e2e --bin host -- --bare m1 c1                  # hosts without a cluster
//! cargo run -p e2e --bin host -- --enter m1 -- kubectl get all # from another terminal
//! ```
//!
//! `FERROKUBE_BIN` names the program (static), `FERROKUBE_KUBECTL` another kubectl than the machine's,
//! `FERROKUBE_HOSTS_DIR` a folder on a disk instead of `/var/tmp/ferrokube-hosts`.

pub mod cluster;
pub mod fixture;
pub mod follow;
pub mod host;
pub mod image;
pub mod pictures;
pub mod program;
pub mod said;
pub mod switch;
pub mod traces;

pub use cluster::Cluster;
pub use fixture::Fixture;
pub use follow::Lines;
pub use host::Host;
pub use said::Said;
