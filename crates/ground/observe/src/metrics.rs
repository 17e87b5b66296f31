//! Metrics: counters, gauges and histograms with labels, in Prometheus' text format 0.0.4.
//!
//! Own and small, because scrapers of Kubernetes expect that format with upstream's exact names, also for counters
//! that do not end in `_total`; the usual crate writes OpenMetrics and renames.
//!
//! On hot paths keep the handle that `with` returns; finding it by labels takes a lock.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::{Mutex, RwLock};

use crate::process;

/// The content type of [`Registry::encode`].
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";
/// A family never has more series; further label values are measured by nobody.
const SERIES_MAX: usize = 20_000;
/// Separates label values in keys.
const SEPARATOR: char = '\u{1f}';

/// Prometheus' default buckets, in seconds.
pub const DEFAULT_BUCKETS: &[f64] = &[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// All metrics of a component.
#[derive(Debug, Default)]
pub struct Registry {
    families: RwLock<BTreeMap<&'static str, Arc<dyn Exposed>>>,
}

trait Exposed: Send + Sync + std::fmt::Debug {
    fn expose(&self, out: &mut String);
}

/// Something that is measured.
pub trait Metric: Send + Sync + std::fmt::Debug + 'static {
    #[doc(hidden)]
    const KIND: &'static str;
    #[doc(hidden)]
    fn expose(&self, name: &str, labels: &str, out: &mut String);
}

/// The series of one metric, by label values. Cheap to clone.
#[derive(Debug)]
pub struct Family<M: Metric>(Arc<Series<M>>);

#[derive(Debug)]
struct Series<M> {
    name: &'static str,
    help: &'static str,
    labels: &'static [&'static str],
    make: Make<M>,
    members: RwLock<BTreeMap<String, Arc<M>>>,
}

#[derive(Debug)]
enum Make<M> {
    Plain(fn() -> M),
    Buckets(&'static [f64], fn(&'static [f64]) -> M),
}

impl<M: Metric> Clone for Family<M> {
    fn clone(&self) -> Self {
        Family(Arc::clone(&self.0))
    }
}

impl Registry {
    /// An empty registry.
    pub fn new() -> Self {
        Registry::default()
    }

    /// A counter. `name` is written as given.
    ///
    /// # Panics
    /// When the name is taken: two owners of one metric are a programmer's error.
    pub fn counter(&self, name: &'static str, help: &'static str, labels: &'static [&'static str]) -> Family<Counter> {
        self.add(Series { name, help, labels, make: Make::Plain(Counter::default), members: RwLock::default() })
    }

    /// A gauge. Panics like [`Registry::counter`].
    pub fn gauge(&self, name: &'static str, help: &'static str, labels: &'static [&'static str]) -> Family<Gauge> {
        self.add(Series { name, help, labels, make: Make::Plain(Gauge::default), members: RwLock::default() })
    }

    /// A histogram with ascending upper bounds. Panics like [`Registry::counter`].
    pub fn histogram(
        &self,
        name: &'static str,
        help: &'static str,
        labels: &'static [&'static str],
        buckets: &'static [f64],
    ) -> Family<Histogram> {
        assert!(buckets.is_sorted(), "the buckets of {name} ascend");
        let make = Make::Buckets(buckets, Histogram::new);
        self.add(Series { name, help, labels, make, members: RwLock::default() })
    }

    fn add<M: Metric>(&self, series: Series<M>) -> Family<M> {
        let name = series.name;
        let series = Arc::new(series);
        let before = self.families.write().insert(name, Arc::clone(&series) as Arc<dyn Exposed>);
        assert!(before.is_none(), "the metric {name} has one owner");
        Family(series)
    }

    /// All metrics, those of the process and of the build with them.
    pub fn encode(&self) -> String {
        let mut out = String::new();
        for family in self.families.read().values() {
            family.expose(&mut out);
        }
        process::expose(&mut out);
        out
    }
}

impl<M: Metric> Family<M> {
    /// The metric with these label values, in the order of the labels.
    ///
    /// # Panics
    /// When there are more or fewer values than labels.
    pub fn with(&self, values: &[&str]) -> Arc<M> {
        let series = &self.0;
        assert_eq!(values.len(), series.labels.len(), "{} takes a value per label", series.name);
        let key = key(values);
        if let Some(metric) = series.members.read().get(&key) {
            return Arc::clone(metric);
        }
        let make = || match series.make {
            Make::Plain(make) => Arc::new(make()),
            Make::Buckets(buckets, make) => Arc::new(make(buckets)),
        };
        let mut members = series.members.write();
        if members.len() >= SERIES_MAX && !members.contains_key(&key) {
            return make();
        }
        Arc::clone(members.entry(key).or_insert_with(make))
    }

    /// Forgets a series, so that it is no longer exposed: its object is gone.
    pub fn remove(&self, values: &[&str]) {
        self.0.members.write().remove(&key(values));
    }
}

fn key(values: &[&str]) -> String {
    let mut key = String::with_capacity(values.iter().map(|value| value.len() + 1).sum());
    for value in values {
        key.push_str(value);
        key.push(SEPARATOR);
    }
    key
}

impl<M: Metric> Exposed for Series<M> {
    fn expose(&self, out: &mut String) {
        let members = self.members.read();
        if members.is_empty() {
            return;
        }
        heading(out, self.name, self.help, M::KIND);
        for (key, metric) in &*members {
            let mut pairs: Vec<_> = self.labels.iter().zip(key.split(SEPARATOR)).collect();
            pairs.sort_unstable();
            let labels: Vec<String> = pairs.iter().map(|(name, value)| label(name, value)).collect();
            metric.expose(self.name, &labels.join(","), out);
        }
    }
}

pub(crate) fn heading(out: &mut String, name: &str, help: &str, kind: &str) {
    let help = help.replace('\\', "\\\\").replace('\n', "\\n");
    line(out, format_args!("# HELP {name} {help}"));
    line(out, format_args!("# TYPE {name} {kind}"));
}

pub(crate) fn line(out: &mut String, text: std::fmt::Arguments<'_>) {
    writeln!(out, "{text}").expect("writing to a string cannot fail");
}

pub(crate) fn label(name: &str, value: &str) -> String {
    let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    format!("{name}=\"{value}\"")
}

fn braces(labels: &str) -> String {
    if labels.is_empty() { String::new() } else { format!("{{{labels}}}") }
}

/// Only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// One more.
    pub fn inc(&self) {
        self.add(1);
    }

    /// `count` more.
    pub fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    /// What it reads.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Metric for Counter {
    const KIND: &'static str = "counter";

    fn expose(&self, name: &str, labels: &str, out: &mut String) {
        line(out, format_args!("{name}{} {}", braces(labels), self.get()));
    }
}

/// Goes up and down.
#[derive(Debug, Default)]
pub struct Gauge(AtomicU64);

impl Gauge {
    /// Reads `value` from now on.
    pub fn set(&self, value: f64) {
        self.0.store(value.to_bits(), Ordering::Relaxed);
    }

    /// `by` more, or less when it is negative.
    pub fn add(&self, by: f64) {
        let step = |bits| Some((f64::from_bits(bits) + by).to_bits());
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, step).expect("the step always has a value");
    }

    /// What it reads.
    pub fn get(&self) -> f64 {
        f64::from_bits(self.0.load(Ordering::Relaxed))
    }
}

impl Metric for Gauge {
    const KIND: &'static str = "gauge";

    fn expose(&self, name: &str, labels: &str, out: &mut String) {
        line(out, format_args!("{name}{} {}", braces(labels), self.get()));
    }
}

/// Counts observations by size.
#[derive(Debug)]
pub struct Histogram {
    bounds: &'static [f64],
    state: Mutex<Observations>,
}

#[derive(Debug)]
struct Observations {
    buckets: Vec<u64>,
    count: u64,
    sum: f64,
}

impl Histogram {
    fn new(bounds: &'static [f64]) -> Self {
        let state = Observations { buckets: vec![0; bounds.len()], count: 0, sum: 0.0 };
        Histogram { bounds, state: Mutex::new(state) }
    }

    /// Counts `value`.
    pub fn observe(&self, value: f64) {
        let bucket = self.bounds.partition_point(|bound| *bound < value);
        let mut state = self.state.lock();
        state.count += 1;
        state.sum += value;
        if let Some(count) = state.buckets.get_mut(bucket) {
            *count += 1;
        }
    }
}

impl Metric for Histogram {
    const KIND: &'static str = "histogram";

    fn expose(&self, name: &str, labels: &str, out: &mut String) {
        let state = self.state.lock();
        let comma = if labels.is_empty() { "" } else { "," };
        let mut below = 0;
        for (bound, count) in self.bounds.iter().zip(&state.buckets) {
            below += count;
            line(out, format_args!("{name}_bucket{{{labels}{comma}le=\"{bound}\"}} {below}"));
        }
        line(out, format_args!("{name}_bucket{{{labels}{comma}le=\"+Inf\"}} {}", state.count));
        line(out, format_args!("{name}_sum{} {}", braces(labels), state.sum));
        line(out, format_args!("{name}_count{} {}", braces(labels), state.count));
    }
}
