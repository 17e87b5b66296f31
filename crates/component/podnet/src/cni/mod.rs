//! The CNI plugin: what container runtimes call for each pod, CNI specification 1.1.
//!
//! One invocation does one verb and ends. Everything goes over netlink, so an addition takes a millisecond or two.

mod answer;
mod attach;
mod loopback;

use std::io::{Read, Write};
use std::path::PathBuf;

use crate::config::{Attachment, Config, range};
use crate::ipam;
use answer::{Code, Failure};
use netlink::route::Network;

/// The versions of the specification we answer in.
const VERSIONS: [&str; 5] = ["0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"];
/// The version for answers to configurations that name none.
const VERSION_DEFAULT: &str = "1.0.0";
/// A configuration is at most this long.
const CONFIG_BYTES_MAX: u64 = 1 << 20;

/// The variables by which the runtime says what it wants.
#[derive(Debug, Clone, Default)]
pub struct Environment {
    /// `CNI_COMMAND`: ADD, DEL, CHECK, GC, STATUS or VERSION.
    pub command: String,
    /// `CNI_CONTAINERID`.
    pub container: String,
    /// `CNI_NETNS`: the file of the container's network namespace; may be empty for DEL.
    pub namespace: String,
    /// `CNI_IFNAME`: the interface's name inside.
    pub interface: String,
}

impl Environment {
    /// From the process environment; `None` when nobody calls us as a plugin.
    pub fn of_process() -> Option<Self> {
        let variable = |name| env::process::variable(name).unwrap_or_default();
        Some(Self {
            command: env::process::variable("CNI_COMMAND")?,
            container: variable("CNI_CONTAINERID"),
            namespace: variable("CNI_NETNS"),
            interface: variable("CNI_IFNAME"),
        })
    }
}

/// The answer to one invocation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The process's exit code.
    pub code: u8,
    /// What goes to standard output.
    pub text: String,
}

/// Serves one invocation: configuration in, result out, exit code returned.
pub fn main(stdin: impl Read, environment: &Environment) -> u8 {
    let mut text = String::new();
    let outcome = match stdin.take(CONFIG_BYTES_MAX).read_to_string(&mut text) {
        Ok(_) => run(&text, environment),
        Err(error) => Failure::new(Code::Io, "cannot read the configuration", &error).outcome(VERSION_DEFAULT),
    };
    match std::io::stdout().write_all(outcome.text.as_bytes()) {
        Ok(()) => outcome.code,
        Err(_) => 1,
    }
}

/// Serves one invocation, given as text.
pub fn run(stdin: &str, environment: &Environment) -> Outcome {
    let config: Config = match serde_json::from_str(stdin) {
        Ok(config) => config,
        Err(error) => {
            return Failure::new(Code::Undecodable, "the configuration is not what CNI says", &error)
                .outcome(VERSION_DEFAULT);
        }
    };
    if environment.command == "VERSION" {
        return Outcome { code: 0, text: answer::versions(&config.cni_version, &VERSIONS) };
    }
    let version = config.cni_version.clone();
    match serve(config, environment) {
        Ok(text) => Outcome { code: 0, text },
        Err(failure) => failure.outcome(&version),
    }
}

/// Reads and checks a configuration as for an addition.
pub(crate) fn check(stdin: &str) {
    let Ok(config) = serde_json::from_str::<Config>(stdin) else { return };
    let environment = Environment {
        command: "ADD".to_owned(),
        container: config.name.clone(),
        namespace: String::new(),
        interface: config.bridge.clone(),
    };
    if let Ok(call) = Call::new(config, &environment) {
        assert!(!call.ranges.is_empty(), "a pod gets an address");
    }
}

fn serve(config: Config, environment: &Environment) -> Result<String, Failure> {
    if !VERSIONS.contains(&config.cni_version.as_str()) {
        let text = format!("version {:?} is not supported", config.cni_version);
        return Err(Failure::plain(Code::IncompatibleVersion, text));
    }
    if config.kind == crate::LOOPBACK {
        return loopback::serve(&config, environment);
    }
    match environment.command.as_str() {
        "ADD" => attach::add(&Call::new(config, environment)?),
        "DEL" => attach::delete(&Call::new(config, environment)?).map(|()| String::new()),
        "CHECK" => attach::check(&Call::new(config, environment)?).map(|()| String::new()),
        "GC" => attach::collect(&config).map(|()| String::new()),
        "STATUS" => attach::status(&config).map(|()| String::new()),
        other => Err(Failure::plain(Code::Environment, format!("CNI_COMMAND {other:?} is unknown"))),
    }
}

/// One attachment that is to be made, checked or ended.
#[derive(Debug)]
struct Call {
    config: Config,
    owner: Attachment,
    /// `None` when the namespace is gone already.
    namespace: Option<PathBuf>,
    ranges: Vec<Network>,
}

impl Call {
    fn new(config: Config, environment: &Environment) -> Result<Self, Failure> {
        let (container, interface) = (&environment.container, &environment.interface);
        if !is_container(container) {
            return Err(Failure::plain(Code::Environment, format!("CNI_CONTAINERID {container:?} is invalid")));
        }
        if !is_interface(interface) {
            return Err(Failure::plain(Code::Environment, format!("CNI_IFNAME {interface:?} is invalid")));
        }
        let ranges: Option<Vec<Network>> = config.ranges.iter().map(|text| range(text)).collect();
        // What was added under another configuration can still be deleted: its owner is all that counts.
        let deleting = environment.command == "DEL";
        let ranges = ranges.filter(|ranges| !ranges.is_empty()).or_else(|| deleting.then(Vec::new));
        let ranges = ranges.filter(|_| !config.name.is_empty() && !config.name.contains('/'));
        let ranges = ranges.ok_or_else(|| {
            Failure::plain(Code::InvalidConfig, "the configuration needs a name and valid ranges".to_owned())
        })?;
        let owner = Attachment { container: container.clone(), interface: interface.clone() };
        let namespace = Some(PathBuf::from(&environment.namespace)).filter(|path| !path.as_os_str().is_empty());
        Ok(Self { config, owner, namespace, ranges })
    }

    fn reservations(&self) -> Result<ipam::Reservations, Failure> {
        reservations(&self.config)
    }
}

fn reservations(config: &Config) -> Result<ipam::Reservations, Failure> {
    ipam::Reservations::open(&config.data_dir, &config.name)
        .map_err(|error| Failure::new(Code::Io, "cannot reserve addresses", &error))
}

/// As the specification says: an alphanumeric character, then those, `_`, `.` and `-`.
fn is_container(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphanumeric())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-'))
}

fn is_interface(text: &str) -> bool {
    let forbidden = |c: char| c == '/' || c == ':' || c.is_whitespace();
    !text.is_empty() && text.len() <= 15 && !matches!(text, "." | "..") && !text.contains(forbidden)
}
