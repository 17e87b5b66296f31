//! Serves an API alone, for trying clients: `serve FOLDER PORT`. The administrator's kubeconfig is FOLDER/admin.conf.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use apiserver::{Config, Place, Range, Server};
use env::task::Shutdown;
use pki::kubeconfig::{CLIENTS, Kubeconfig, Target};
use pki::layout;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let folder = PathBuf::from(arguments.next().ok_or("the first argument is a folder")?);
    let port: u16 = arguments.next().ok_or("the second argument is a port")?.parse()?;
    let started = env::time::Instant::now();
    observe::logging::start(2);
    let local = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let ranges = vec![Range::parse("10.96.0.0/12")?];
    let first = ranges[0].at(0).ok_or("the range has a first address")?;
    let site = layout::Site::new("localhost", "cluster.local", local, first);
    let pki = folder.join("pki");
    env::fs::create_dir_all(&pki)?;
    let now = env::time::now();
    layout::ensure_all(&pki, &site, now)?;
    let authority = pki::files::load_authority(&pki, "ca")?.ok_or("the authority was made above")?;
    let target = Target { cluster: "kubernetes".to_owned(), server: format!("https://127.0.0.1:{port}") };
    let admin = CLIENTS[1].subject("localhost");
    Kubeconfig::issue(&target, &authority, admin, site.algorithm, (now, layout::LEAF_VALIDITY))?
        .store(&folder.join("admin.conf"))?;
    let store =
        store::embedded::Embedded::open(&folder.join("store.redb"), store::embedded::Options::default()).await?;
    let place = Place {
        advertise_address: local,
        secure_port: port,
        service_ranges: ranges,
        dns_domain: "cluster.local".to_owned(),
    };
    let shutdown = Shutdown::new();
    let server = Server::start(Config::from_pki(&pki, &place, Arc::new(store))?, shutdown.clone()).await?;
    let listener = env::net::listen_tcp(SocketAddr::new(local, port)).await?;
    eprintln!("serving on {port} after {:?}", started.elapsed());
    server.run(listener).await;
    Ok(())
}
