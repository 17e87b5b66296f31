//! The plugin `loopback`, which runtimes call for each pod besides the network's own.
//!
//! It is here so that a node needs no plugins of anybody else: runtimes look for an executable of that name.

use std::path::Path;

use netlink::Namespace;
use netlink::route::Request;

use super::Environment;
use super::answer::{Code, Failure, loopback};
use crate::config::Config;

/// The index of the loopback link in every network namespace.
const LINK: u32 = 1;

pub(super) fn serve(config: &Config, environment: &Environment) -> Result<String, Failure> {
    match environment.command.as_str() {
        "ADD" => {
            let namespace = Namespace::open(Path::new(&environment.namespace))?;
            namespace.routing()?.apply(&[Request::LinkUp(LINK)])?;
            Ok(loopback(&config.cni_version, &environment.namespace))
        }
        "CHECK" => {
            let link = Namespace::open(Path::new(&environment.namespace))?.routing()?.link("lo")?;
            let up = link.is_some_and(|link| link.up);
            up.then(String::new).ok_or_else(|| Failure::plain(Code::Missing, "the loopback is down".to_owned()))
        }
        // It goes with its namespace, and works wherever there is a kernel.
        "DEL" | "GC" | "STATUS" => Ok(String::new()),
        other => Err(Failure::plain(Code::Environment, format!("CNI_COMMAND {other:?} is unknown"))),
    }
}
