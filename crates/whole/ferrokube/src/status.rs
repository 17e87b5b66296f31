//! `ferrokube status`: a table of findings, each healthy or with its reason.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use jiff::Timestamp;

use crate::cli::PlaceOptions;
use crate::components::{COMPONENTS, need_runtime};
use crate::place::Place;
use crate::progress::print_line;
use crate::record::{Instance, Record};

/// An API that does not answer within this is as good as none.
const ASK_TIMEOUT: Duration = Duration::from_secs(5);
/// Below this share of the disk, the kubelet takes no pods and evicts some (its default for `imagefs.available`).
const DISK_FREE_PERCENT_MIN: u64 = 15;

/// How something is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Health {
    /// As it should be.
    Healthy(String),
    /// Not as it should be, and why.
    Ill(String),
}

/// Something and how it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) what: &'static str,
    pub(crate) health: Health,
}

impl Finding {
    fn of(what: &'static str, result: anyhow::Result<String>) -> Finding {
        let health = match result {
            Ok(text) => Health::Healthy(text),
            Err(error) => Health::Ill(format!("{error:#}")),
        };
        Finding { what, health }
    }

    fn line(&self) -> String {
        let (word, text) = match &self.health {
            Health::Healthy(text) => ("healthy", text),
            Health::Ill(text) => ("NOT", text),
        };
        format!("{:<20} {word:<9} {text}", self.what).trim_end().to_owned()
    }
}

/// Prints the table; fails unless everything is healthy.
pub(crate) async fn run(options: PlaceOptions) -> anyhow::Result<ExitCode> {
    let place = Place::of(&options);
    let Some(record) = Record::load(&place)? else {
        print_line(&format!("There is no cluster at {}.", place.data_dir.display()));
        return Ok(ExitCode::FAILURE);
    };
    let findings = look(&place, &record).await;
    for finding in &findings {
        print_line(&finding.line());
    }
    let is_ill = findings.iter().any(|finding| matches!(finding.health, Health::Ill(_)));
    Ok(if is_ill { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

async fn look(place: &Place, record: &Record) -> Vec<Finding> {
    let instance = Instance::running(place).and_then(|pid| pid.context("it is not running; `ferrokube up` starts it"));
    let mut findings = vec![Finding::of("instance", instance.map(|pid| format!("process {pid}, {}", record.server)))];
    findings.extend(components(record, findings[0].health.clone()));
    if record.components.iter().any(|name| name == "apiserver") {
        findings.extend(api(record).await);
    }
    findings.push(Finding::of("certificates", certificates(place, env::time::now())));
    if need_runtime(&record.components) {
        let own = place.containerd_socket();
        let socket = record.foreign_runtime.as_deref().unwrap_or(&own);
        findings.push(Finding::of("container runtime", runtime(socket).await));
    }
    findings.push(Finding::of("disk", disk(&place.data_dir)));
    findings
}

/// What was asked for and is not built cannot be healthy.
fn components(record: &Record, instance: Health) -> Vec<Finding> {
    let chosen = COMPONENTS.iter().filter(|row| record.components.iter().any(|name| name == row.name));
    let finding = |row: &crate::components::Component| {
        let health = match (&instance, row.start) {
            (_, None) => Health::Ill("not built".to_owned()),
            // A component whose task ends takes the instance with it.
            (Health::Healthy(_), Some(_)) => Health::Healthy(String::new()),
            (_, Some(_)) => Health::Ill("the instance is not running".to_owned()),
        };
        Finding { what: row.name, health }
    };
    chosen.map(finding).collect()
}

/// What the API says of itself and of the node.
async fn api(record: &Record) -> Vec<Finding> {
    let client = match crate::access::administrator(&record.kubeconfig) {
        Ok(client) => client,
        Err(error) => return vec![Finding::of("api", Err(error))],
    };
    let ready = crate::access::health(&client, "/readyz?verbose").await;
    let checks = |text: String| format!("{} checks pass", text.lines().filter(|line| line.starts_with("[+]")).count());
    let mut findings = vec![Finding::of("api", ready.map(checks))];
    if need_runtime(&record.components) {
        findings.push(Finding::of("node", node(&client, &record.node_name).await));
    }
    findings
}

async fn node(client: &client::Client, name: &str) -> anyhow::Result<String> {
    let get = client.get::<typed::api::core::v1::Node>("", name);
    let node = env::time::timeout(ASK_TIMEOUT, get).await.context("the API does not answer")?;
    let node = node.with_context(|| format!("{name} has not registered"))?;
    if let Err(why) = crate::readiness::is_ready(&node) {
        bail!("{name} is not Ready: {why}");
    }
    match crate::readiness::takes_pods(&node) {
        Ok(()) => Ok(format!("{name} is Ready")),
        Err(why) => bail!("{name} {why}"),
    }
}

/// The certificate that ends first.
fn certificates(place: &Place, now: Timestamp) -> anyhow::Result<String> {
    let mut first: Option<(Timestamp, &str)> = None;
    for row in &pki::layout::LEAVES {
        let pair =
            pki::files::load_pair(&place.pki(), row.file)?.with_context(|| format!("{} is missing", row.file))?;
        let ends = pair.leaf().not_after;
        if first.is_none_or(|(earliest, _)| ends < earliest) {
            first = Some((ends, row.file));
        }
    }
    let (ends, file) = first.context("there are none")?;
    let days = ends.duration_since(now).as_hours() / 24;
    if ends <= now {
        bail!("{file} ended on {ends}; the next `ferrokube up` renews it");
    }
    Ok(format!("the first ends in {days} days ({file})"))
}

async fn runtime(socket: &Path) -> anyhow::Result<String> {
    let (name, reasons) =
        crate::containerd::health(socket).await.with_context(|| format!("{} does not answer", socket.display()))?;
    if reasons.is_empty() { Ok(name) } else { Err(anyhow::anyhow!("{name}: {}", reasons.join("; "))) }
}

fn disk(folder: &Path) -> anyhow::Result<String> {
    let space = mounts::filesystem::space(folder)?;
    let percent = space.available_bytes * 100 / space.capacity_bytes.max(1);
    let text = format!("{percent} % free ({} GiB)", space.available_bytes >> 30);
    if percent < DISK_FREE_PERCENT_MIN { Err(anyhow::anyhow!(text)) } else { Ok(text) }
}
