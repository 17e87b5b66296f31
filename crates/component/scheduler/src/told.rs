//! What the scheduler says of itself: its checks, what it counts, its settings.

use std::sync::Arc;
use std::time::Duration;

use env::time::Instant;
use object::Value;
use observe::metrics::{Counter, DEFAULT_BUCKETS, Family, Gauge, Histogram};
use observe::pulse::Pulse;
use scheduling::{Output, Pending};
use vitals::{Sight, Vitals};

/// A turn takes milliseconds. One that takes this long does not end.
const TURN_MAX: Duration = Duration::from_secs(60);

/// What others see of a scheduler, and what the scheduler tells them.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) vitals: Arc<Vitals>,
    pub(crate) pulse: Pulse,
    pub(crate) sight: Sight,
    counted: Counted,
}

/// What is counted, under upstream's names. Decisions do not tell their profile, so no series does.
#[derive(Debug)]
struct Counted {
    attempts: Family<Counter>,
    algorithm: Arc<Histogram>,
    tries: Arc<Histogram>,
    pending: [Arc<Gauge>; 4],
}

impl Told {
    /// The vitals of a scheduler that has not begun.
    pub(crate) fn new() -> Told {
        let vitals = Vitals::new();
        let pulse = Pulse::default();
        let beat = pulse.clone();
        vitals.alive_while("scheduling-loop", move || beat.check(TURN_MAX));
        Told { counted: Counted::new(&vitals), pulse, sight: Sight::told_to(&vitals), vitals }
    }

    /// A pod was decided, which began at `began`.
    pub(crate) fn decided(&self, began: Instant) {
        self.counted.algorithm.observe(began.elapsed().as_secs_f64());
    }

    /// Something follows from a decision.
    pub(crate) fn acts(&self, output: &Output) {
        let result = match output {
            Output::Bind { attempts, .. } => {
                self.counted.tries.observe(f64::from(*attempts));
                "scheduled"
            }
            Output::Refuse { reason: "Unschedulable", .. } => "unschedulable",
            Output::Refuse { reason: "SchedulerError", .. } => "error",
            _ => return,
        };
        self.counted.attempts.with(&[result]).inc();
    }

    /// So many pods wait.
    pub(crate) fn wait(&self, pending: &Pending) {
        let counts = [pending.active, pending.backoff, pending.unschedulable, pending.gated];
        for (gauge, count) in self.counted.pending.iter().zip(counts) {
            gauge.set(count as f64);
        }
    }

    /// The settings that hold.
    pub(crate) fn settings(&self, config: &scheduling::Config, elects: bool) {
        let profile = |profile: &scheduling::config::Profile| {
            let mut tree = Value::from_pairs([("schedulerName", profile.scheduler_name.as_str())]);
            if let Some(percentage) = profile.percentage_of_nodes_to_score {
                tree.set(&["percentageOfNodesToScore"], percentage);
            }
            tree
        };
        let seconds = |wait: Duration| i64::try_from(wait.as_secs()).unwrap_or(i64::MAX);
        let mut tree = Value::from_pairs([
            ("apiVersion", Value::from("kubescheduler.config.k8s.io/v1")),
            ("kind", Value::from("KubeSchedulerConfiguration")),
            ("percentageOfNodesToScore", Value::from(config.percentage_of_nodes_to_score)),
            ("podInitialBackoffSeconds", Value::from(seconds(config.pod_initial_backoff))),
            ("podMaxBackoffSeconds", Value::from(seconds(config.pod_backoff_max))),
            ("profiles", Value::from(config.profiles.iter().map(profile).collect::<Vec<Value>>())),
        ]);
        tree.set(&["leaderElection", "leaderElect"], elects);
        self.vitals.settings_are("componentconfig", tree);
    }
}

impl Counted {
    fn new(vitals: &Vitals) -> Counted {
        let registry = vitals.metrics();
        let pending = registry.gauge(
            "scheduler_pending_pods",
            "[STABLE] Number of pending pods, by the queue type. 'active' means number of pods in activeQ; 'backoff' means \
             number of pods in backoffQ; 'unschedulable' means number of pods in unschedulablePods that the scheduler \
             attempted to schedule and failed; 'gated' is the number of unschedulable pods that the scheduler never \
             attempted to schedule because they are gated.",
            &["queue"],
        );
        Counted {
            attempts: registry.counter(
                "scheduler_schedule_attempts_total",
                "[STABLE] Number of attempts to schedule pods, by the result. 'unschedulable' means a pod could not be \
                 scheduled, while 'error' means an internal scheduler problem.",
                &["result"],
            ),
            algorithm: registry
                .histogram(
                    "scheduler_scheduling_algorithm_duration_seconds",
                    "[ALPHA] Scheduling algorithm latency in seconds",
                    &[],
                    DEFAULT_BUCKETS,
                )
                .with(&[]),
            tries: registry
                .histogram(
                    "scheduler_pod_scheduling_attempts",
                    "[STABLE] Number of attempts to successfully schedule a pod.",
                    &[],
                    &[1.0, 2.0, 4.0, 8.0, 16.0],
                )
                .with(&[]),
            pending: ["active", "backoff", "unschedulable", "gated"].map(|queue| pending.with(&[queue])),
        }
    }
}
