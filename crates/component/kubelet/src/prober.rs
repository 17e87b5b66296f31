//! The probes of one running container, each a task with a timer.

use std::sync::Arc;
use std::time::Duration;

use podplan::probe::{Findings, KINDS, Kind, Machine, Settings};
use tokio::sync::watch;
use typed::api::core::v1::{Pod, Probe};

use crate::checks::{self, Health, Subject};
use crate::events::Notice;
use crate::shared::Shared;

/// Running probes; they end when this is dropped.
#[derive(Debug)]
pub(crate) struct Probes {
    _tasks: Vec<env::task::Owned<()>>,
}

/// What a probe needs besides its subject.
#[derive(Debug, Clone)]
pub(crate) struct Context {
    pub(crate) pod: Arc<Pod>,
    pub(crate) findings: watch::Sender<Findings>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) started_at: jiff::Timestamp,
}

/// Starts the probes of a container.
pub(crate) fn start(subject: &Subject, context: &Context) -> Probes {
    let tasks = KINDS.iter().filter_map(|kind| {
        let probe = kind.of(&subject.container)?.clone();
        let machine = Machine::new(*kind, Settings::of(&probe), context.started_at);
        let known = context.findings.borrow().get(&subject.id, *kind);
        let machine = match known {
            Some(verdict) => machine.resume(verdict),
            None => machine,
        };
        let task = run(subject.clone(), context.clone(), probe, machine);
        Some(env::task::spawn(env::task::Fate::Local, "probe", task).abort_on_drop())
    });
    Probes { _tasks: tasks.collect() }
}

/// Shows what is counted of a probe for as long as it runs.
struct Shown {
    context: Context,
    container: String,
    kind: Kind,
}

impl Drop for Shown {
    fn drop(&mut self) {
        self.context.shared.metrics.forget_probes(&self.context.pod, &self.container, self.kind);
    }
}

async fn run(subject: Subject, context: Context, probe: Probe, mut machine: Machine) {
    let mut findings = context.findings.subscribe();
    let container = subject.container.name.clone();
    let _shown = Shown { context: context.clone(), container, kind: machine.kind() };
    loop {
        let started = findings.borrow_and_update().started(&subject.id, &subject.container);
        let Some(due) = machine.due(started) else {
            if machine.kind() == Kind::Startup && started {
                return;
            }
            // It rests until the container has started, or for good.
            if findings.changed().await.is_err() {
                return;
            }
            continue;
        };
        let wait = Duration::try_from(due.duration_since(env::time::now())).unwrap_or_default();
        env::time::sleep(wait).await;
        let at = env::time::now();
        let limit = Duration::try_from(machine.settings().timeout).unwrap_or(Duration::from_secs(1));
        let outcome = checks::probe(&subject, &probe, limit).await;
        context.shared.metrics.probed(&context.pod, &subject.container.name, machine.kind(), &outcome);
        tell(&subject, &context, machine.kind(), &outcome);
        if let Some(verdict) = machine.step(at, outcome.ok().map(|(health, _)| health != Health::Unwell)) {
            context.findings.send_modify(|findings| findings.set(&subject.id, machine.kind(), verdict));
        }
    }
}

fn tell(subject: &Subject, context: &Context, kind: Kind, outcome: &checks::Outcome) {
    let message = match outcome {
        Ok((Health::Well, _)) => return,
        Ok((Health::Warning, message)) => {
            let message = format!("{} probe warning: {message}", kind.text());
            let notice = Notice::warning("ProbeWarning", &message);
            return context.shared.recorder.tell(&context.pod, Some(&subject.container.name), notice);
        }
        Ok((Health::Unwell, message)) => format!("{} probe failed: {message}", kind.text()),
        Err(problem) => format!("{} probe errored and resulted in unknown state: {problem}", kind.text()),
    };
    context.shared.recorder.tell(&context.pod, Some(&subject.container.name), Notice::warning("Unhealthy", &message));
}
