//! The kernel's networking, driven over netlink: packet filter tables, links, addresses, routes, connection tracking,
//! network namespaces and network sysctls.
//!
//! Requests are answered by the kernel while they are sent, so everything here is synchronous and takes microseconds
//! to a few milliseconds; asynchronous callers wrap large commits in `env::task::blocking`. No helper program is ever
//! started.
//!
//! What is deliberately not here: any policy. What the tables mean is decided by whoever writes the
//! [`nftables::Change`]s; which links exist is decided by the pod network.
//!
//! Invariants
//! - Only what the caller names is touched; nothing is listed and rewritten.
//! - A commit that fits one transaction is all or nothing.
//! - A refusal says which step was refused, with the kernel's own explanation where it gives one.

mod conntrack;
pub mod fuzz;
mod message;
mod namespace;
pub mod nft;
pub mod route;
mod socket;
mod sysctl;

pub use conntrack::{Connections, Flow};
pub use namespace::Namespace;
pub use nft::PacketFilter;
pub use route::Routing;
pub use sysctl::{sysctl_read, sysctl_write};

use std::io;

/// What can go wrong between this process and the kernel.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The socket itself failed.
    #[error("cannot talk netlink to the kernel")]
    Socket(#[source] io::Error),
    /// The kernel refused a step.
    #[error("the kernel refused to {step}{}{detail}", if detail.is_empty() { "" } else { ": " })]
    Refused {
        /// What was asked, to follow "refused to".
        step: String,
        /// The kernel's explanation, often empty.
        detail: String,
        /// The error number as an error.
        #[source]
        source: io::Error,
    },
    /// An answer ends before its own length says.
    #[error("the kernel's answer to the request to {0} is malformed")]
    Malformed(String),
    /// What is listed changed during each of many lists.
    #[error("what the kernel is asked to do does not hold still: {0}")]
    Unsteady(String),
    /// A network namespace cannot be opened, made or entered.
    #[error("cannot {action} the network namespace {path}")]
    Namespace {
        /// "open", "make", "enter", ...
        action: &'static str,
        /// Its file.
        path: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A sysctl cannot be read or written.
    #[error("cannot access the kernel setting {name}")]
    Sysctl {
        /// Its name with slashes.
        name: String,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl Error {
    /// The error number of a refusal.
    pub fn errno(&self) -> Option<i32> {
        match self {
            Error::Refused { source, .. }
            | Error::Socket(source)
            | Error::Namespace { source, .. }
            | Error::Sysctl { source, .. } => source.raw_os_error(),
            Error::Malformed(_) | Error::Unsteady(_) => None,
        }
    }

    /// Whether what was named does not exist.
    pub fn is_absent(&self) -> bool {
        matches!(self.errno(), Some(libc::ENOENT | libc::ENODEV | libc::ESRCH | libc::EADDRNOTAVAIL))
    }

    /// Whether what was to be made exists already.
    pub fn is_present(&self) -> bool {
        self.errno() == Some(libc::EEXIST)
    }
}
