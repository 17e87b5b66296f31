//! What is measured about queues, under upstream's names.

use std::sync::Arc;

use observe::metrics::{Counter, Family, Gauge, Histogram, Registry};

/// Upstream's `ExponentialBuckets(10e-9, 10, 12)`, in seconds.
const BUCKETS: &[f64] = &[1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 0.01, 0.1, 1.0, 10.0, 100.0, 1000.0];
const LABELS: &[&str] = &["name"];

/// The families of all queues of a component. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Metrics {
    depth: Family<Gauge>,
    adds: Family<Counter>,
    retries: Family<Counter>,
    waited: Family<Histogram>,
    worked: Family<Histogram>,
}

/// The series of one queue.
#[derive(Debug)]
pub(crate) struct Measured {
    pub(crate) depth: Arc<Gauge>,
    pub(crate) adds: Arc<Counter>,
    pub(crate) retries: Arc<Counter>,
    pub(crate) waited: Arc<Histogram>,
    pub(crate) worked: Arc<Histogram>,
}

impl Metrics {
    /// Registers the families; once per registry.
    pub fn new(registry: &Registry) -> Self {
        Metrics {
            depth: registry.gauge("workqueue_depth", "Current depth of workqueue", LABELS),
            adds: registry.counter("workqueue_adds_total", "Total number of adds handled by workqueue", LABELS),
            retries: registry.counter(
                "workqueue_retries_total",
                "Total number of retries handled by workqueue",
                LABELS,
            ),
            waited: registry.histogram(
                "workqueue_queue_duration_seconds",
                "How long in seconds an item stays in workqueue before being requested.",
                LABELS,
                BUCKETS,
            ),
            worked: registry.histogram(
                "workqueue_work_duration_seconds",
                "How long in seconds processing an item from workqueue takes.",
                LABELS,
                BUCKETS,
            ),
        }
    }

    pub(crate) fn of(&self, name: &str) -> Measured {
        let labels = &[name];
        Measured {
            depth: self.depth.with(labels),
            adds: self.adds.with(labels),
            retries: self.retries.with(labels),
            waited: self.waited.with(labels),
            worked: self.worked.with(labels),
        }
    }
}
