//! Ports of components' own, for those who watch over them: health, metrics, settings.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use anyhow::Context as _;
use env::net::Listener;
use env::task::{Fate, Owned, spawn};
use pki::trust::Roots;
use serving::{Door, Peer};
use vitals::{Delegated, Lives, Port, Vitals};

use super::Context;
use crate::cli::UpOptions;
use crate::place::Place;

/// A component that others can ask how it is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Watched {
    /// Its name in `--components` and in `componentstatuses`.
    pub(crate) component: &'static str,
    /// Where upstream's listens.
    pub(crate) usual_port: u16,
    /// The flag that places it.
    pub(crate) flag: &'static str,
    asked: fn(&UpOptions) -> Option<u16>,
}

/// All of them.
pub(crate) const WATCHED: [Watched; 2] = [
    Watched {
        component: "controller-manager",
        usual_port: 10257,
        flag: "--controller-manager-secure-port",
        asked: |options| options.controller_manager_secure_port,
    },
    Watched {
        component: "scheduler",
        usual_port: 10259,
        flag: "--scheduler-secure-port",
        asked: |options| options.scheduler_secure_port,
    },
];

impl Watched {
    /// The port that the options ask for. Without a word the machine's one cluster in the usual folders has upstream's, and
    /// others, of which there may be several, have none.
    pub(crate) fn port(&self, options: &UpOptions, place: &Place) -> Option<u16> {
        let usual = if place.is_usual { self.usual_port } else { 0 };
        let port = (self.asked)(options).unwrap_or(usual);
        (port != 0).then_some(port)
    }

    /// Listens on the port; an error says that the component goes without, and why.
    async fn listen(&self, port: u16) -> Result<Listener, String> {
        let address = address(port);
        let problem = |error| format!("without its port: {address}: {error}; {} places it elsewhere", self.flag);
        env::net::listen_tcp(address).await.map_err(problem)
    }
}

/// Where the port `port` of a component is: on this machine, and for it alone.
pub(crate) fn address(port: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port)
}

/// Shows the vitals of `component` within the process and, if it has one, on its port. The answer is what serves there, and
/// what to tell of it. A port that somebody else has keeps nobody from working.
pub(super) async fn open(
    context: &Context,
    component: &str,
    vitals: Arc<Vitals>,
) -> anyhow::Result<(Option<Owned<()>>, String)> {
    let authority = pki::files::read(&pki::files::certificate_path(&context.place.pki(), "ca"))?;
    let client = context.access.client(&context.place, component)?;
    let judge = Delegated::new(client, Some(Roots::from_pem(&authority)?), Lives::COMPONENT);
    let port = Arc::new(Port::new(vitals, judge));
    let seat = context.watched.iter().find(|seat| seat.row.component == component);
    let seat = seat.with_context(|| format!("{component} has no port"))?;
    let door = Door::new(Arc::clone(&port) as Arc<dyn serving::Service>, Peer::in_memory(None));
    seat.door.set(door).ok().with_context(|| format!("{component} starts once"))?;
    let Some(number) = seat.port else { return Ok((None, String::new())) };
    let listener = match seat.row.listen(number).await {
        Ok(listener) => listener,
        Err(problem) => {
            tracing::warn!("the {component} works {problem}");
            return Ok((None, problem));
        }
    };
    let server = port.server()?;
    let shutdown = context.shutdown.clone();
    let task = spawn(Fate::Vital, "component-port", async move {
        server.run(listener, shutdown).await;
    });
    Ok((Some(task.abort_on_drop()), format!("serves on port {number}")))
}

#[cfg(test)]
mod tests;
