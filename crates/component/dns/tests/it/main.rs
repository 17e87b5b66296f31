//! The name service on loopback, asked over UDP and TCP, with a resolver behind it, and with a Corefile that changes.

#[cfg(test)]
mod operation;
#[cfg(test)]
mod sockets;
