//! The Corefile: CoreDNS's configuration, as kubeadm writes it and users edit it.
//!
//! Of its plugins those are understood whose work is done here; any other plugin or option is an error that names it and
//! its line, since a directive that is silently not followed is worse than a refusal.

mod plugins;
mod syntax;

use std::net::IpAddr;
use std::path::Path;

use self::syntax::Directive;
use crate::config::{Block, Settings, Zone};
use crate::wire::encode_name;

/// kubeadm's, which holds where there is none.
pub const USUAL: &str = include_str!("usual.Corefile");

const PORT: u16 = 53;
/// How many server blocks there may be.
const BLOCKS_MAX: usize = 1_000;

/// What is wrong with a Corefile, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("Corefile:{line}: {message}")]
pub struct Error {
    line: usize,
    message: String,
}

impl Error {
    fn at(line: usize, message: impl Into<String>) -> Error {
        Error { line, message: message.into() }
    }
}

/// What a Corefile refers to beside its own text.
#[derive(Clone, Copy)]
pub struct Around<'a> {
    /// Reads another file; `None` when it cannot be read.
    pub file: &'a dyn Fn(&Path) -> Option<String>,
    /// The addresses of this name service: it does not ask itself.
    pub own: &'a [IpAddr],
}

impl std::fmt::Debug for Around<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Around").field("own", &self.own).finish_non_exhaustive()
    }
}

/// Reads a Corefile.
pub fn read(text: &str, around: Around<'_>) -> Result<Settings, Error> {
    let mut settings = Settings { blocks: Vec::new(), health: None, ready: None, metrics: None, reload: None };
    let servers = syntax::read(text)?;
    if servers.len() > BLOCKS_MAX {
        return Err(Error::at(servers[BLOCKS_MAX].line, format!("more than {BLOCKS_MAX} servers")));
    }
    for server in &servers {
        for mut block in places(server)? {
            let defined = |(text, zone): &(String, Zone)| {
                let same = |other: &Block| other.port == block.port && other.zones.iter().any(|(_, it)| it == zone);
                settings.blocks.iter().any(same).then(|| text.clone())
            };
            if let Some(zone) = block.zones.iter().find_map(defined) {
                let message = format!("cannot serve dns://{zone}:{} - it is already defined", block.port);
                return Err(server.wrong(message));
            }
            plugins::read(server, around, &mut block, &mut settings)?;
            settings.blocks.push(block);
        }
    }
    if settings.blocks.is_empty() {
        return Err(Error::at(1, "there is no server"));
    }
    Ok(settings)
}

/// The names of a server: one empty block for each port.
fn places(server: &Directive) -> Result<Vec<Block>, Error> {
    let mut blocks: Vec<Block> = Vec::new();
    let names = server.words.iter().flat_map(|word| word.split(',')).filter(|name| !name.is_empty());
    for name in names {
        let name = name.strip_prefix("dns://").unwrap_or(name);
        if name.contains("://") {
            return Err(server.wrong(format!("{name:?} is not supported: only dns:// is")));
        }
        let (zone, port) = match name.rsplit_once(':') {
            Some((zone, port)) => {
                (zone, port.parse().map_err(|error| server.wrong(format!("port {port:?}: {error}")))?)
            }
            None => (name, PORT),
        };
        let text = if zone.is_empty() { "." } else { zone };
        let labels = encode_name(text).ok_or_else(|| server.wrong(format!("{text:?} is not a zone")))?;
        let text = format!("{}.", text.trim_end_matches('.').to_ascii_lowercase());
        match blocks.iter_mut().find(|block| block.port == port) {
            Some(block) => block.zones.push((text, labels)),
            None => blocks.push(Block { zones: vec![(text, labels)], ..Block::at(port) }),
        }
    }
    if blocks.is_empty() { Err(server.wrong("a server has no name")) } else { Ok(blocks) }
}

impl Block {
    /// A block that does nothing.
    fn at(port: u16) -> Block {
        Block {
            zones: Vec::new(),
            port,
            errors: false,
            log: None,
            prometheus: false,
            bufsize: None,
            detects_loops: false,
            loadbalance: false,
            cache: None,
            hosts: None,
            kubernetes: None,
            forwards: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests;
