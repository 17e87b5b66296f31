//! What each plugin may be told.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use super::syntax::Directive;
use super::{Around, Error};
use crate::config::{
    Block, CacheRules, Forward, Health, Hosts, Kept, Kubernetes, Log, Pods, Policy, Reload, Settings, Zone, upstreams,
};
use crate::wire::encode_name;

const PORT: u16 = 53;
const HEALTH: u16 = 8_080;
const READY: u16 = 8_181;
const METRICS: u16 = 9_153;
/// Questions on their way to other resolvers, where nothing is said.
const CONCURRENT_MAX: usize = 10_000;
/// Resolvers of one `forward`.
const UPSTREAMS_MAX: usize = 15;
const CACHE_ENTRIES: usize = 9_984;
const CACHE_ENTRIES_MAX: usize = 1 << 20;
const SUCCESS: Kept = Kept { entries_max: CACHE_ENTRIES, seconds_max: 3_600, seconds_min: 5 };
const DENIAL: Kept = Kept { entries_max: CACHE_ENTRIES, seconds_max: 1_800, seconds_min: 5 };
/// Names of one `hosts`.
const HOSTS_MAX: usize = 100_000;
const HOSTS_TTL_S: u32 = 3_600;
const KUBERNETES_TTL_S: u32 = 5;
const KUBERNETES_TTL_S_MAX: u32 = 3_600;
const RELOAD: Reload = Reload { interval: Duration::from_secs(30), jitter: Duration::from_secs(15) };
const RELOAD_SECONDS_MIN: u64 = 2;

/// Reads the plugins of `server` into `block`, and what is not about one block alone into `settings`.
pub(super) fn read(
    server: &Directive,
    around: Around<'_>,
    block: &mut Block,
    settings: &mut Settings,
) -> Result<(), Error> {
    for (index, plugin) in server.body.iter().enumerate() {
        let before = &server.body[..index];
        if plugin.name() != "forward" && before.iter().any(|other| other.name() == plugin.name()) {
            return Err(plugin.wrong(format!("the plugin {:?} can only be used once per server", plugin.name())));
        }
        match plugin.name() {
            "errors" => block.errors = bare(plugin)?,
            "log" => block.log = Some(log(plugin)?),
            "bufsize" => {
                block.bufsize = Some(plugin.value(|word| word.parse().ok().filter(|it| (512..=4096).contains(it)))?)
            }
            "loop" => block.detects_loops = bare(plugin)?,
            "loadbalance" => block.loadbalance = loadbalance(plugin)?,
            "cache" => block.cache = Some(cache(plugin)?),
            "hosts" => block.hosts = Some(hosts(plugin, around)?),
            "kubernetes" => block.kubernetes = Some(kubernetes(plugin, around, block)?),
            "forward" => block.forwards.push(forward(plugin, around)?),
            "health" => once(plugin, &mut settings.health, health(plugin)?)?,
            "ready" => once(plugin, &mut settings.ready, address(plugin, (Ipv4Addr::UNSPECIFIED, READY))?)?,
            "prometheus" => {
                block.prometheus = true;
                once(plugin, &mut settings.metrics, address(plugin, (Ipv4Addr::LOCALHOST, METRICS))?)?;
            }
            "reload" => once(plugin, &mut settings.reload, reload(plugin)?)?,
            name => return Err(plugin.wrong(format!("the plugin {name:?} is not supported"))),
        }
    }
    Ok(())
}

/// What is about the whole process may be said in several servers, as long as it is the same.
fn once<T: PartialEq>(plugin: &Directive, place: &mut Option<T>, value: T) -> Result<(), Error> {
    if place.as_ref().is_some_and(|known| *known != value) {
        return Err(plugin.wrong(format!("{} is something else in another server", plugin.name())));
    }
    *place = Some(value);
    Ok(())
}

fn unsupported(option: &Directive) -> Error {
    option.wrong(format!("{:?} is not supported", option.words.join(" ")))
}

/// A plugin without words and options.
fn bare(plugin: &Directive) -> Result<bool, Error> {
    match (plugin.rest().is_empty(), plugin.body.first()) {
        (true, None) => Ok(true),
        (true, Some(option)) => Err(unsupported(option)),
        (false, _) => Err(unsupported(plugin)),
    }
}

fn zone(line: &Directive, word: &str) -> Result<Zone, Error> {
    encode_name(word).ok_or_else(|| line.wrong(format!("{word:?} is not a zone")))
}

/// The zones that are named, or all.
fn zones(line: &Directive, words: &[&str]) -> Result<Vec<Zone>, Error> {
    if words.is_empty() { Ok(vec![vec![0]]) } else { words.iter().map(|word| zone(line, word)).collect() }
}

/// `:9153` or `1.2.3.4:9153`; `usual` when nothing is said.
fn address(plugin: &Directive, usual: (Ipv4Addr, u16)) -> Result<SocketAddr, Error> {
    let word = match plugin.rest()[..] {
        [] => return Ok(SocketAddr::from(usual)),
        [word] => word,
        _ => return Err(unsupported(plugin)),
    };
    let whole = match (word.strip_prefix("localhost"), word.starts_with(':')) {
        (Some(port), _) => format!("127.0.0.1{port}"),
        (None, true) => format!("0.0.0.0{word}"),
        (None, false) => word.to_owned(),
    };
    whole.parse().map_err(|error| plugin.wrong(format!("{word:?} (like :{}): {error}", usual.1)))
}

/// `500ms`, `5s`, `1m30s`, `1h`.
fn duration(word: &str) -> Option<Duration> {
    let mut total = Duration::ZERO;
    let mut rest = word;
    while !rest.is_empty() {
        let (number, after) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit())?);
        let number: u32 = number.parse().ok()?;
        let (unit, after) = after.split_at(after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len()));
        let unit = match unit {
            "ms" => Duration::from_millis(1),
            "s" => Duration::from_secs(1),
            "m" => Duration::from_secs(60),
            "h" => Duration::from_secs(3_600),
            _ => return None,
        };
        total = total.checked_add(unit.checked_mul(number)?)?;
        rest = after;
    }
    (!word.is_empty()).then_some(total)
}

fn health(plugin: &Directive) -> Result<Health, Error> {
    let mut health = Health { address: address(plugin, (Ipv4Addr::UNSPECIFIED, HEALTH))?, lameduck: Duration::ZERO };
    for option in &plugin.body {
        match option.name() {
            "lameduck" => health.lameduck = option.value(duration)?,
            _ => return Err(unsupported(option)),
        }
    }
    Ok(health)
}

fn reload(plugin: &Directive) -> Result<Reload, Error> {
    let read = |word: &str| duration(word).ok_or_else(|| plugin.wrong(format!("reload cannot be {word:?}")));
    let reload = match plugin.rest()[..] {
        [] => RELOAD,
        [interval] => {
            let interval = read(interval)?;
            Reload { interval, jitter: RELOAD.jitter.min(interval / 2) }
        }
        [interval, jitter] => Reload { interval: read(interval)?, jitter: read(jitter)? },
        _ => return Err(unsupported(plugin)),
    };
    if reload.interval < Duration::from_secs(RELOAD_SECONDS_MIN) || reload.jitter > reload.interval / 2 {
        let message = format!("reload needs at least {RELOAD_SECONDS_MIN}s, and a jitter of at most half of it");
        return Err(plugin.wrong(message));
    }
    Ok(reload)
}

fn log(plugin: &Directive) -> Result<Log, Error> {
    let mut log = Log { zones: zones(plugin, &plugin.rest())?, success: true, denial: true, error: true };
    for option in &plugin.body {
        let ("class", classes) = (option.name(), option.rest()) else { return Err(unsupported(option)) };
        if let Some(class) = classes.iter().find(|class| !["all", "success", "denial", "error"].contains(class)) {
            return Err(option.wrong(format!("class cannot be {class:?}")));
        }
        let has = |class| classes.contains(&"all") || classes.contains(&class);
        (log.success, log.denial, log.error) = (has("success"), has("denial"), has("error"));
    }
    Ok(log)
}

fn loadbalance(plugin: &Directive) -> Result<bool, Error> {
    match (&plugin.rest()[..], plugin.body.first()) {
        ([] | ["round_robin"], None) => Ok(true),
        (_, Some(option)) => Err(unsupported(option)),
        _ => Err(unsupported(plugin)),
    }
}

fn cache(plugin: &Directive) -> Result<CacheRules, Error> {
    let words = plugin.rest();
    let ttl = words.first().and_then(|word| word.parse::<u32>().ok());
    let mut rules = CacheRules {
        zones: zones(plugin, &words[usize::from(ttl.is_some())..])?,
        success: Kept { seconds_max: ttl.unwrap_or(SUCCESS.seconds_max), ..SUCCESS },
        denial: Kept { seconds_max: ttl.unwrap_or(DENIAL.seconds_max), ..DENIAL },
        success_off: Vec::new(),
        denial_off: Vec::new(),
    };
    for option in &plugin.body {
        match (option.name(), &option.rest()[..]) {
            ("success", numbers) => rules.success = kept(option, numbers, rules.success)?,
            ("denial", numbers) => rules.denial = kept(option, numbers, rules.denial)?,
            ("disable", ["success", of @ ..]) => rules.success_off = zones(option, of)?,
            ("disable", ["denial", of @ ..]) => rules.denial_off = zones(option, of)?,
            _ => return Err(unsupported(option)),
        }
    }
    Ok(rules)
}

/// `CAPACITY [TTL] [MINTTL]`.
fn kept(option: &Directive, words: &[&str], usual: Kept) -> Result<Kept, Error> {
    let wrong = || option.wrong(format!("{} needs a capacity, and may have two times in seconds", option.name()));
    let numbers: Result<Vec<u32>, Error> = words.iter().map(|word| word.parse().ok().ok_or_else(wrong)).collect();
    let numbers = numbers?;
    let (Some(entries), 1..=3) = (numbers.first(), numbers.len()) else { return Err(wrong()) };
    let entries_max = usize::try_from(*entries).unwrap_or(CACHE_ENTRIES_MAX).min(CACHE_ENTRIES_MAX);
    let seconds_max = numbers.get(1).copied().unwrap_or(usual.seconds_max);
    let seconds_min = numbers.get(2).copied().unwrap_or(usual.seconds_min);
    Ok(Kept { entries_max, seconds_max, seconds_min })
}

fn hosts(plugin: &Directive, around: Around<'_>) -> Result<Hosts, Error> {
    let mut hosts = Hosts { ttl_s: HOSTS_TTL_S, ..Hosts::default() };
    let words = plugin.rest();
    if let [_, of @ ..] = &words[..] {
        hosts.zones = of.iter().map(|word| zone(plugin, word)).collect::<Result<_, _>>()?;
    }
    let (mut inline, mut has_reverse) = (Vec::new(), true);
    for option in &plugin.body {
        match (option.name(), &option.rest()[..]) {
            ("ttl", _) => hosts.ttl_s = option.value(|word| word.parse().ok().filter(|ttl| *ttl > 0))?,
            ("no_reverse", []) => has_reverse = false,
            // The file is read with the Corefile, and as often.
            ("reload", [_]) => drop(option.value(duration)?),
            ("fallthrough", of) => hosts.fallthrough = zones(option, of)?,
            (first, names) if first.parse::<IpAddr>().is_ok() && !names.is_empty() => inline.push(option.words.clone()),
            _ => return Err(unsupported(option)),
        }
    }
    let file = words.first().copied().unwrap_or("/etc/hosts");
    let text = (around.file)(Path::new(file)).unwrap_or_default();
    let lines = text.lines().map(|line| line.split_once('#').map_or(line, |(before, _)| before));
    let of_file = lines.map(|line| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>());
    for words in of_file.chain(inline).take(HOSTS_MAX) {
        let Some(address) = words.first().and_then(|word| word.parse::<IpAddr>().ok()) else { continue };
        for name in words[1..].iter().filter_map(|word| encode_name(word)) {
            hosts.addresses.entry(name.clone()).or_default().push(address);
            if has_reverse {
                hosts.names.entry(address).or_default().push(name);
            }
        }
    }
    Ok(hosts)
}

fn kubernetes(plugin: &Directive, around: Around<'_>, block: &Block) -> Result<Kubernetes, Error> {
    let mut named: Vec<Zone> = plugin.rest().iter().map(|word| zone(plugin, word)).collect::<Result<_, _>>()?;
    if named.is_empty() {
        named = block.zones.iter().map(|(_, zone)| zone.clone()).collect();
    }
    let is_reverse = |zone: &Zone| zone.ends_with(b"\x07in-addr\x04arpa\0") || zone.ends_with(b"\x03ip6\x04arpa\0");
    let (reverse_zones, zones_): (Vec<Zone>, Vec<Zone>) = named.into_iter().partition(is_reverse);
    if zones_.is_empty() {
        return Err(plugin.wrong("kubernetes needs a zone"));
    }
    let mut kubernetes = Kubernetes {
        zones: zones_,
        reverse_zones,
        ttl_s: KUBERNETES_TTL_S,
        pods: Pods::default(),
        fallthrough: Vec::new(),
        own_addresses: around.own.to_vec(),
    };
    for option in &plugin.body {
        match (option.name(), &option.rest()[..]) {
            ("pods", ["disabled"]) => kubernetes.pods = Pods::Disabled,
            ("pods", ["insecure"]) => kubernetes.pods = Pods::Insecure,
            ("pods", ["verified"]) => kubernetes.pods = Pods::Verified,
            ("ttl", _) => {
                let read = |word: &str| word.parse().ok().filter(|ttl| *ttl <= KUBERNETES_TTL_S_MAX);
                kubernetes.ttl_s = option.value(read)?;
            }
            ("fallthrough", of) => kubernetes.fallthrough = zones(option, of)?,
            _ => return Err(unsupported(option)),
        }
    }
    Ok(kubernetes)
}

fn forward(plugin: &Directive, around: Around<'_>) -> Result<Forward, Error> {
    let words = plugin.rest();
    let [from, targets @ ..] = &words[..] else { return Err(plugin.wrong("forward needs a name and resolvers")) };
    if targets.is_empty() {
        return Err(plugin.wrong("forward needs a name and resolvers"));
    }
    let mut forward = Forward {
        from: zone(plugin, from)?,
        except: Vec::new(),
        upstreams: Vec::new(),
        policy: Policy::default(),
        concurrent_max: CONCURRENT_MAX,
        tcp_only: false,
    };
    for target in targets {
        if target.starts_with('/') {
            let text = (around.file)(Path::new(target));
            let text = text.ok_or_else(|| plugin.wrong(format!("the file {target:?} cannot be read")))?;
            forward.upstreams.extend(upstreams(&text, around.own));
        } else {
            let plain = target.strip_prefix("dns://").unwrap_or(target);
            let address =
                plain.parse::<IpAddr>().map(|address| SocketAddr::new(address, PORT)).or_else(|_| plain.parse());
            let address =
                address.ok().ok_or_else(|| plugin.wrong(format!("the resolver {target:?} is not supported")))?;
            forward.upstreams.push(address);
        }
    }
    if forward.upstreams.len() > UPSTREAMS_MAX {
        return Err(plugin.wrong(format!("forward may have {UPSTREAMS_MAX} resolvers at most")));
    }
    for option in &plugin.body {
        match (option.name(), &option.rest()[..]) {
            ("max_concurrent", _) => {
                let read = |word: &str| word.parse::<usize>().ok();
                let max = option.value(read)?;
                forward.concurrent_max = if max == 0 { CONCURRENT_MAX } else { max.min(CONCURRENT_MAX) };
            }
            ("except", of @ [_, ..]) => forward.except = zones(option, of)?,
            ("force_tcp", []) => forward.tcp_only = true,
            // It is UDP that is tried first, always.
            ("prefer_udp", []) => {}
            ("policy", ["random"]) => forward.policy = Policy::Random,
            ("policy", ["round_robin"]) => forward.policy = Policy::RoundRobin,
            ("policy", ["sequential"]) => forward.policy = Policy::Sequential,
            _ => return Err(unsupported(option)),
        }
    }
    Ok(forward)
}
