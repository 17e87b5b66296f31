//! Listening on all addresses of a machine, whatever families it has.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use anyhow::Context;
use env::net::Listener;

/// Listens on `address`; `::` is all addresses of both families, and those of the older where there is no other.
pub(crate) async fn on(address: SocketAddr) -> anyhow::Result<Listener> {
    let told = || format!("cannot listen on {address}");
    if address.ip() != IpAddr::V6(Ipv6Addr::UNSPECIFIED) {
        return env::net::listen_tcp(address).await.with_context(told);
    }
    match env::net::listen_tcp(address).await {
        Err(error) if error.kind() != std::io::ErrorKind::AddrInUse => {
            let older = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), address.port());
            env::net::listen_tcp(older).await.with_context(told)
        }
        other => other.with_context(told),
    }
}
