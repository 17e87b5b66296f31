//! Who answers a question: the server of the longest zone, and in it one plugin after another.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::config::{Block, Log, Settings, is_in};
use crate::forward::Forwarder;
use crate::lookup::Rules;
use crate::metrics::{Asked, Counters, Metrics, PLUGINS, code_text, type_text};
use crate::wire::{Code, Query, Reply, is_within};
use crate::{Index, Outcome};

/// The servers of one port.
#[derive(Debug, Default)]
pub(crate) struct Table {
    /// The longest zones first.
    servers: Vec<Arc<Serving>>,
}

/// One zone of one server.
#[derive(Debug)]
pub(crate) struct Serving {
    zone: Vec<u8>,
    block: Arc<Block>,
    forwarder: Arc<Forwarder>,
    counters: Option<Arc<Counters>>,
}

/// What is to be sent, or who is to be asked first.
#[derive(Debug)]
pub(crate) enum Step {
    /// What is written, and which plugin wrote it.
    Send(&'static str),
    /// The other resolvers.
    Forward,
    /// They as well, about the name that an alias leads to.
    Follow(Vec<u8>),
}

impl Table {
    /// The table of `port`.
    pub(crate) fn new(settings: &Settings, port: u16, metrics: &Arc<Metrics>) -> Table {
        let mut servers = Vec::new();
        for block in settings.blocks.iter().filter(|block| block.port == port) {
            let block = Arc::new(block.clone());
            let server = format!("dns://:{port}");
            let counters = |zone: &str| {
                let counted = || Arc::new(Counters::new(metrics, &server, zone, &block.plugins()));
                block.prometheus.then(counted)
            };
            // What others answered is remembered for all zones of a server.
            let first = block.zones.first().map(|(text, _)| text.as_str()).unwrap_or_default();
            let forwarder = Arc::new(Forwarder::new(&block, counters(first)));
            servers.extend(block.zones.iter().map(|(text, zone)| {
                let (block, forwarder, counters) = (Arc::clone(&block), Arc::clone(&forwarder), counters(text));
                Arc::new(Serving { zone: zone.clone(), block, forwarder, counters })
            }));
        }
        servers.sort_by_key(|server| std::cmp::Reverse(server.zone.len()));
        Table { servers }
    }

    /// Who answers for `name`.
    pub(crate) fn find(&self, name: &[u8]) -> Option<&Arc<Serving>> {
        self.servers.iter().find(|server| is_within(name, &server.zone))
    }
}

impl Serving {
    /// Answers as far as that goes without asking others. `bytes_max` is what fits.
    pub(crate) fn step(&self, index: &Index, query: &Query<'_>, reply: &mut Vec<u8>, bytes_max: usize) -> Step {
        if let Some(hosts) = &self.block.hosts
            && hosts.answer(&self.zone, query, reply, bytes_max) == Outcome::Answered
        {
            return Step::Send(PLUGINS[1]);
        }
        if let Some(kubernetes) = &self.block.kubernetes {
            let rules = Rules { kubernetes, rotates: self.block.loadbalance };
            match index.answer(rules, query, reply, bytes_max) {
                Outcome::Answered => return Step::Send(PLUGINS[2]),
                Outcome::Alias(target) => return Step::Follow(target),
                Outcome::Forward => {}
            }
        }
        if self.forwarder.takes(query.name()) {
            return Step::Forward;
        }
        // Nobody is left who could know.
        Reply::begin(query, reply, bytes_max).finish(Code::ServerFailure);
        Step::Send(PLUGINS[0])
    }

    /// What fits into an answer over UDP.
    pub(crate) fn udp_bytes_max(&self, query: &Query<'_>) -> usize {
        let offered = query.udp_bytes_max();
        self.block.bufsize.map_or(offered, |most| offered.min(usize::from(most)))
    }

    /// Who asks others.
    pub(crate) fn forwarder(&self) -> &Forwarder {
        &self.forwarder
    }

    /// Lets addresses in an answer of others take turns, where that is wanted.
    pub(crate) fn balance(&self, query: &Query<'_>, answer: &mut [u8]) {
        if self.block.loadbalance {
            crate::balance::rotate(answer, usize::from(query.id));
        }
    }

    /// Counts and logs a question that was answered.
    pub(crate) fn note(&self, query: &Query<'_>, asked: &Asked, client: Option<SocketAddr>, told: Told<'_>) {
        if let Some(counters) = &self.counters {
            let plugin = PLUGINS.iter().position(|name| *name == told.plugin).unwrap_or_default();
            counters.answered(asked, told.reply, plugin, told.took);
        }
        if let Some(log) = &self.block.log
            && log.takes(query.name(), told.reply)
        {
            tracing::info!("{}", line(query, asked, client, &told));
        }
    }
}

/// What was answered.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Told<'a> {
    pub(crate) reply: &'a [u8],
    pub(crate) plugin: &'static str,
    pub(crate) took: Duration,
}

impl Log {
    fn takes(&self, name: &[u8], reply: &[u8]) -> bool {
        let code = reply.get(3).copied().unwrap_or_default() & 0x0f;
        let has_answers = reply.get(6..8).is_some_and(|count| count != [0, 0]);
        let wanted = match (code, has_answers) {
            (0, true) => self.success,
            (0, false) | (3, _) => self.denial,
            _ => self.error,
        };
        wanted && is_in(name, &self.zones)
    }
}

/// A line of the plugin `log`, in its common format.
fn line(query: &Query<'_>, asked: &Asked, client: Option<SocketAddr>, told: &Told<'_>) -> String {
    let client = client.map_or_else(|| "-".to_owned(), |client| client.to_string());
    let (id, kind, name, proto) = (query.id, type_text(query.kind), query.text(), asked.way.text());
    let class = if query.class == crate::wire::INTERNET { "IN".to_owned() } else { format!("CLASS{}", query.class) };
    let (bufsize, dnssec) = query.edns.unwrap_or((512, false));
    let flags = told.reply.get(2..4).map(|it| [it[0], it[1]]).unwrap_or_default();
    let of = [(0, 0x80, "qr"), (0, 0x04, "aa"), (0, 0x02, "tc"), (0, 0x01, "rd"), (1, 0x80, "ra"), (1, 0x20, "ad")];
    let set: Vec<&str> = of.iter().filter(|(at, bit, _)| flags[*at] & bit != 0).map(|(_, _, name)| *name).collect();
    let (code, size, flags) = (code_text(flags[1] & 0x0f), told.reply.len(), set.join(","));
    let (asked, took) = (asked.bytes, told.took.as_secs_f64());
    format!(
        "{client} - {id} \"{kind} {class} {name} {proto} {asked} {dnssec} {bufsize}\" {code} {flags} {size} {took:.9}s"
    )
}

impl Block {
    /// The names of the plugins that it has.
    fn plugins(&self) -> Vec<&'static str> {
        let all = [
            ("errors", self.errors),
            ("log", self.log.is_some()),
            ("prometheus", self.prometheus),
            ("bufsize", self.bufsize.is_some()),
            ("loop", self.detects_loops),
            ("loadbalance", self.loadbalance),
            ("cache", self.cache.is_some()),
            ("hosts", self.hosts.is_some()),
            ("kubernetes", self.kubernetes.is_some()),
            ("forward", !self.forwards.is_empty()),
        ];
        all.into_iter().filter(|(_, has)| *has).map(|(name, _)| name).collect()
    }
}
