//! The name service on loopback, asked over UDP and TCP, with a resolver behind it.

#[cfg(test)]
mod sockets;
