//! The Corefile: CoreDNS's configuration, as kubeadm writes it and users edit it.
//!
//! Of its plugins those are understood whose work is done here; any other is an error that names it and its line, since
//! a directive that is silently not followed is worse than a refusal.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use crate::config::{Config, Stub, upstreams};
use crate::lookup::is_zone;

const PORT: u16 = 53;
const CACHE_S_DEFAULT: u32 = 3_600;
const TTL_S_DEFAULT: u32 = 5;
const HEALTH: u16 = 8_080;
const READY: u16 = 8_181;
const METRICS: u16 = 9_153;
/// Plugins whose work is always done, or whose absence nobody can see.
const ALWAYS: [&str; 6] = ["errors", "loop", "reload", "loadbalance", "log", "bufsize"];

/// How deep braces may stand in braces: a server, a plugin, its options.
const DEPTH_MAX: usize = 8;

/// What a Corefile says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// What the name service is told.
    pub config: Config,
    /// The port it answers on.
    pub port: u16,
    /// Where `/health` is served.
    pub health: Option<SocketAddr>,
    /// For how long it goes on serving after it was told to end, unhealthy.
    pub lameduck_s: u32,
    /// Where `/ready` is served.
    pub ready: Option<SocketAddr>,
    /// Where `/metrics` is served.
    pub metrics: Option<SocketAddr>,
}

/// What is wrong with a Corefile, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("Corefile:{line}: {message}")]
pub struct Error {
    line: usize,
    message: String,
}

/// A line with what is between its braces.
#[derive(Debug, Clone)]
struct Directive<'t> {
    line: usize,
    words: Vec<&'t str>,
    body: Vec<Directive<'t>>,
}

/// Reads a Corefile; `resolv_conf` is the text of the file that `forward` names, and `own` are addresses not to ask.
pub fn read(text: &str, resolv_conf: &str, own: &[IpAddr]) -> Result<Settings, Error> {
    let mut lines = text.lines().enumerate();
    let blocks = directives(&mut lines, None, DEPTH_MAX)?;
    let mut settings = Settings {
        config: Config { ttl_s: TTL_S_DEFAULT, pods: false, cache_s_max: 0, ..Config::default() },
        port: PORT,
        health: None,
        lameduck_s: 0,
        ready: None,
        metrics: None,
    };
    for block in &blocks {
        let mut upstream = Vec::new();
        for plugin in &block.body {
            match plugin.name() {
                "health" => {
                    settings.health = Some(plugin.address(HEALTH)?);
                    settings.lameduck_s = plugin.setting("lameduck", seconds)?.unwrap_or(0);
                }
                "ready" => settings.ready = Some(plugin.address(READY)?),
                "prometheus" => settings.metrics = Some(plugin.address(METRICS)?),
                "kubernetes" => kubernetes(plugin, &mut settings.config)?,
                "forward" => upstream = forward(plugin, resolv_conf, own, &mut settings.config)?,
                "cache" => {
                    let seconds = plugin.words.get(1).and_then(|word| word.parse().ok());
                    settings.config.cache_s_max = seconds.unwrap_or(CACHE_S_DEFAULT);
                }
                name if ALWAYS.contains(&name) => {}
                name => return Err(plugin.wrong(format!("the plugin {name:?} is not supported"))),
            }
        }
        place(block, upstream, &mut settings)?;
    }
    Ok(settings)
}

/// What a block's names say: the root's block is everybody's, others are for their zones alone.
fn place(block: &Directive<'_>, upstreams: Vec<SocketAddr>, settings: &mut Settings) -> Result<(), Error> {
    for name in &block.words {
        let name = name.trim_end_matches(',').trim_start_matches("dns://");
        let (zone, port) = name.split_once(':').unwrap_or((name, "53"));
        let port = port.parse().map_err(|error| block.wrong(format!("port {port:?}: {error}")))?;
        match zone {
            "." => {
                settings.port = port;
                settings.config.upstreams.clone_from(&upstreams);
            }
            zone if is_zone(zone) && port == PORT => {
                settings.config.stubs.push(Stub { zone: zone.to_owned(), upstreams: upstreams.clone() });
            }
            zone => return Err(block.wrong(format!("a server for {zone:?} on port {port} is not supported"))),
        }
    }
    Ok(())
}

fn kubernetes(plugin: &Directive<'_>, config: &mut Config) -> Result<(), Error> {
    let zones =
        plugin.words.iter().skip(1).filter(|zone| !zone.ends_with("in-addr.arpa") && !zone.ends_with("ip6.arpa"));
    for zone in zones {
        *config =
            config.clone().with_zone(zone.trim_end_matches('.')).map_err(|error| plugin.wrong(error.to_string()))?;
    }
    for option in &plugin.body {
        match option.words.as_slice() {
            ["pods", "insecure"] => config.pods = true,
            ["pods", "disabled"] => config.pods = false,
            ["ttl", seconds] => {
                config.ttl_s = seconds.parse().map_err(|error| option.wrong(format!("ttl {seconds:?}: {error}")))?;
            }
            // Reverse names that are nobody's always go on to other resolvers.
            ["fallthrough", zones @ ..] if zones.iter().all(|zone| zone.ends_with(".arpa")) => {}
            words => return Err(option.wrong(format!("{:?} is not supported", words.join(" ")))),
        }
    }
    Ok(())
}

fn forward(
    plugin: &Directive<'_>,
    resolv_conf: &str,
    own: &[IpAddr],
    config: &mut Config,
) -> Result<Vec<SocketAddr>, Error> {
    let targets = plugin.words.get(2..).filter(|targets| !targets.is_empty());
    let targets = targets.ok_or_else(|| plugin.wrong("forward needs a name and resolvers".to_owned()))?;
    let mut found = Vec::new();
    for target in targets {
        if target.starts_with('/') {
            found.extend(upstreams(resolv_conf, own));
        } else if let Ok(address) = target.parse::<IpAddr>() {
            found.push(SocketAddr::new(address, PORT));
        } else if let Ok(address) = target.parse::<SocketAddr>() {
            found.push(address);
        } else {
            return Err(plugin.wrong(format!("the resolver {target:?} is not supported")));
        }
    }
    if let Some(max) = plugin.setting("max_concurrent", |word| word.parse().ok())? {
        config.forwards_max = max;
    }
    Ok(found)
}

/// `5s`, `1m`, or bare seconds.
fn seconds(word: &str) -> Option<u32> {
    let (number, factor) = match word.strip_suffix('s') {
        Some(number) => (number, 1),
        None => word.strip_suffix('m').map_or((word, 1), |number| (number, 60)),
    };
    number.parse::<u32>().ok()?.checked_mul(factor)
}

impl Directive<'_> {
    fn name(&self) -> &str {
        self.words.first().copied().unwrap_or_default()
    }

    fn wrong(&self, message: String) -> Error {
        Error { line: self.line, message }
    }

    /// `:9153` or `1.2.3.4:9153`; `port` on all addresses when nothing is said.
    fn address(&self, port: u16) -> Result<SocketAddr, Error> {
        let Some(word) = self.words.get(1) else { return Ok(SocketAddr::from((Ipv4Addr::UNSPECIFIED, port))) };
        let whole = if word.starts_with(':') { format!("0.0.0.0{word}") } else { (*word).to_owned() };
        whole.parse().map_err(|error| self.wrong(format!("{word:?} (like :{port}): {error}")))
    }

    fn setting<T>(&self, name: &str, read: impl Fn(&str) -> Option<T>) -> Result<Option<T>, Error> {
        let Some(option) = self.body.iter().find(|option| option.name() == name) else { return Ok(None) };
        let value = option.words.get(1).and_then(|word| read(word));
        value.map(Some).ok_or_else(|| option.wrong(format!("{name} needs a value")))
    }
}

/// The lines up to the brace that closes the one opened on line `opened`.
fn directives<'t>(
    lines: &mut impl Iterator<Item = (usize, &'t str)>,
    opened: Option<usize>,
    depth_left: usize,
) -> Result<Vec<Directive<'t>>, Error> {
    let mut found = Vec::new();
    while let Some((index, text)) = lines.next() {
        let line = index + 1;
        let text = text.split_once('#').map_or(text, |(before, _)| before);
        let mut words: Vec<&str> = text.split_whitespace().collect();
        match (words.as_slice(), opened) {
            ([], _) => continue,
            (["}"], Some(_)) => return Ok(found),
            (["}"], None) => return Err(Error { line, message: "a brace closes nothing".to_owned() }),
            _ => {}
        }
        let opens = words.pop_if(|last| *last == "{").is_some();
        let body = match (opens, depth_left) {
            (false, _) => Vec::new(),
            (true, 0) => return Err(Error { line, message: format!("more than {DEPTH_MAX} braces are open") }),
            (true, _) => directives(lines, Some(line), depth_left - 1)?,
        };
        found.push(Directive { line, words, body });
    }
    match opened {
        Some(line) => Err(Error { line, message: "a brace is not closed".to_owned() }),
        None => Ok(found),
    }
}

#[cfg(test)]
mod tests;
