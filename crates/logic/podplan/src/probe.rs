//! Probes: thresholds, delays, and the gate that a startup probe is.
//!
//! Until a container with a startup probe has started, its other probes rest; a liveness or startup probe that has
//! failed rests until the container is another.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use typed::api::core::v1::{Container, Probe};

/// What a probe decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Whether the container has come up.
    Startup,
    /// Whether it must be killed.
    Liveness,
    /// Whether it may receive traffic.
    Readiness,
}

impl Kind {
    /// `Startup`, `Liveness`, `Readiness`, as in events and metrics.
    pub fn text(self) -> &'static str {
        match self {
            Kind::Startup => "Startup",
            Kind::Liveness => "Liveness",
            Kind::Readiness => "Readiness",
        }
    }

    /// The probe of this kind that a container has.
    pub fn of(self, container: &Container) -> Option<&Probe> {
        match self {
            Kind::Startup => container.startup_probe.as_ref(),
            Kind::Liveness => container.liveness_probe.as_ref(),
            Kind::Readiness => container.readiness_probe.as_ref(),
        }
    }

    /// What counts before the first verdict.
    fn at_first(self) -> Option<bool> {
        match self {
            Kind::Startup => None,
            Kind::Liveness => Some(true),
            Kind::Readiness => Some(false),
        }
    }
}

/// All kinds, in the order in which they are looked at.
pub const KINDS: [Kind; 3] = [Kind::Startup, Kind::Liveness, Kind::Readiness];

/// The times and thresholds of a probe, with the API's defaults where they are unset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// From the container's start to the first probe.
    pub initial_delay: SignedDuration,
    /// From one probe to the next.
    pub period: SignedDuration,
    /// How long one may take.
    pub timeout: SignedDuration,
    /// How many successes in a row count.
    pub success_threshold: u32,
    /// How many failures in a row count.
    pub failure_threshold: u32,
}

impl Settings {
    /// The settings of `probe`.
    pub fn of(probe: &Probe) -> Settings {
        let seconds = |value: Option<i32>, default| {
            SignedDuration::from_secs(value.filter(|value| *value > 0).map_or(default, i64::from))
        };
        let times = |value: Option<i32>, default| {
            value.and_then(|value| u32::try_from(value).ok()).filter(|value| *value > 0).unwrap_or(default)
        };
        Settings {
            initial_delay: seconds(probe.initial_delay_seconds, 0),
            period: seconds(probe.period_seconds, 10),
            timeout: seconds(probe.timeout_seconds, 1),
            success_threshold: times(probe.success_threshold, 1),
            failure_threshold: times(probe.failure_threshold, 3),
        }
    }
}

/// One probe of one container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Machine {
    kind: Kind,
    settings: Settings,
    started_at: Timestamp,
    last_run: Option<Timestamp>,
    last_outcome: Option<bool>,
    in_a_row: u32,
    verdict: Option<bool>,
    resting: bool,
}

impl Machine {
    /// The probe of a container that started at `started_at`.
    pub fn new(kind: Kind, settings: Settings, started_at: Timestamp) -> Machine {
        let verdict = kind.at_first();
        Machine { kind, settings, started_at, last_run: None, last_outcome: None, in_a_row: 0, verdict, resting: false }
    }

    /// A probe of a container that another kubelet may have found well: a readiness that stood in the last status
    /// stands until a probe says otherwise.
    pub fn resume(mut self, verdict: bool) -> Machine {
        self.verdict = Some(verdict);
        self
    }

    /// What the probe decides.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Its settings.
    pub fn settings(&self) -> Settings {
        self.settings
    }

    /// The present verdict; `None` before a startup probe has one.
    pub fn verdict(&self) -> Option<bool> {
        self.verdict
    }

    /// When to probe next, given whether the container has started; `None` while the probe rests.
    pub fn due(&self, started: bool) -> Option<Timestamp> {
        let wanted = if self.kind == Kind::Startup { !started } else { started };
        if self.resting || !wanted {
            return None;
        }
        let first = self.started_at.saturating_add(self.settings.initial_delay).ok()?;
        let next = self.last_run.and_then(|last| last.saturating_add(self.settings.period).ok());
        Some(next.map_or(first, |next| next.max(first)))
    }

    /// Notes the outcome of a probe begun at `at`; `Some` when the verdict changed.
    ///
    /// A probe that could not be made (`None`) decides nothing.
    pub fn step(&mut self, at: Timestamp, outcome: Option<bool>) -> Option<bool> {
        self.last_run = Some(at);
        let outcome = outcome?;
        self.in_a_row = if self.last_outcome == Some(outcome) { self.in_a_row.saturating_add(1) } else { 1 };
        self.last_outcome = Some(outcome);
        let threshold = if outcome { self.settings.success_threshold } else { self.settings.failure_threshold };
        if self.in_a_row < threshold {
            return None;
        }
        if !outcome && self.kind != Kind::Readiness {
            self.resting = true;
        }
        (self.verdict.replace(outcome) != Some(outcome)).then_some(outcome)
    }
}

/// Verdicts by container id and kind.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Findings {
    verdicts: BTreeMap<(String, Kind), bool>,
}

impl Findings {
    /// Notes a verdict.
    pub fn set(&mut self, id: &str, kind: Kind, verdict: bool) {
        self.verdicts.insert((id.to_owned(), kind), verdict);
    }

    /// Forgets a container.
    pub fn forget(&mut self, id: &str) {
        self.verdicts.retain(|(known, _), _| known != id);
    }

    /// The verdict, if there is one.
    pub fn get(&self, id: &str, kind: Kind) -> Option<bool> {
        self.verdicts.get(&(id.to_owned(), kind)).copied()
    }

    pub(crate) fn liveness_failed(&self, id: &str) -> bool {
        self.get(id, Kind::Liveness) == Some(false)
    }

    pub(crate) fn startup_failed(&self, id: &str) -> bool {
        self.get(id, Kind::Startup) == Some(false)
    }

    pub(crate) fn startup_succeeded(&self, id: &str) -> bool {
        self.get(id, Kind::Startup) == Some(true)
    }

    /// Whether a running container has started: it has no startup probe, or that succeeded.
    pub fn started(&self, id: &str, container: &Container) -> bool {
        container.startup_probe.is_none() || self.startup_succeeded(id)
    }

    /// Whether a running container is ready: it started, and it has no readiness probe or that succeeded.
    pub fn ready(&self, id: &str, container: &Container) -> bool {
        let probed = container.readiness_probe.is_none() || self.get(id, Kind::Readiness) == Some(true);
        self.started(id, container) && probed
    }
}
