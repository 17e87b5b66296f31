//! Who is at the other end of a connection.

use std::net::SocketAddr;
use std::sync::Arc;

use pki::trust::PeerChain;

/// How the peer reaches us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// Over TLS.
    Tls,
    /// Over a plain socket.
    Plain,
    /// Within this process.
    Memory,
}

/// Who is at the other end; in the extensions of every request. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Peer(Arc<Facts>);

#[derive(Debug)]
struct Facts {
    address: Option<SocketAddr>,
    chain: Option<PeerChain>,
    transport: Transport,
}

impl Peer {
    /// A peer on a socket. `chain` is what it presented and proved to hold the key of; nobody has judged it.
    pub fn new(transport: Transport, address: Option<SocketAddr>, chain: Option<PeerChain>) -> Self {
        Peer(Arc::new(Facts { address, chain, transport }))
    }

    /// A caller within this process, with the certificate chain that it would present on a socket.
    pub fn in_memory(chain: Option<PeerChain>) -> Self {
        Self::new(Transport::Memory, None, chain)
    }

    /// The socket address, where there is a socket that has one.
    pub fn address(&self) -> Option<SocketAddr> {
        self.0.address
    }

    /// The client certificate chain, leaf first; unverified.
    pub fn chain(&self) -> Option<&PeerChain> {
        self.0.chain.as_ref()
    }

    /// How the peer reaches us.
    pub fn transport(&self) -> Transport {
        self.0.transport
    }
}
