//! `ferrokube up`: lock, credentials, container runtime, components, one step after the other.
//!
//! Every step finds out what is there already and completes it, so that the first start, the next one, and the one
//! after a crash are the same.

use std::fs::OpenOptions;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, OnceLock};

use anyhow::{Context as _, bail};
use env::process::Stdio;
use env::task::{Fate, Owned, Shutdown, Task};
use env::time::Instant;
use netlink::route::Network;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::signal::unix::{SignalKind, signal};

use crate::access::Access;
use crate::cli::UpOptions;
use crate::components::{self, Component, Context, Role, Seat, port};
use crate::containerd::Containerd;
use crate::credentials::{self, Wanted};
use crate::place::Place;
use crate::progress::{Outcome, print_line, skip, step};
use crate::record::{Instance, Record};

/// Opens the last line of a start that went well.
const READY: &str = "The cluster is up";
/// Opens the last line of one that did not get as far.
const NOT_READY: &str = "The cluster is not ready";
/// Programs that an own containerd needs.
const PROGRAMS: [&str; 3] = ["containerd", "ctr", "runc"];

/// Starts what was chosen and keeps it running until it is asked to end.
pub(crate) async fn run(options: UpOptions) -> anyhow::Result<ExitCode> {
    let began = Instant::now();
    let chosen = components::choose(&options.components)?;
    let plan = Plan::of(&options, &chosen)?;
    let place = &plan.place;
    let _instance = step("instance", async {
        env::fs::create_dir_all(&place.data_dir)
            .with_context(|| format!("cannot make {}", place.data_dir.display()))?;
        let instance = Instance::begin(place)?;
        plan.record(&options, &chosen).store(place)?;
        Ok((instance, format!("node {} at {}", plan.wanted.node_name, place.data_dir.display())))
    })
    .await?;
    prepare_credentials(&plan).await?;
    let supervisor = runtime(&options, &plan).await?;
    let context = Arc::new(plan.context(&options, &chosen));
    let tasks = start_all(&context, &chosen).await?;
    if chosen.iter().any(|row| row.name == "kubelet" && row.start.is_some()) {
        let client = crate::access::administrator(&place.kubeconfig)?;
        let leads = chosen.iter().any(|row| row.name == "apiserver" && row.start.is_some());
        step("node", async {
            let ready = crate::readiness::node(client.clone(), &plan.wanted.node_name).await?;
            if leads {
                crate::readiness::mark_as_control_plane(&client, &plan.wanted.node_name).await?;
            }
            Ok(((), ready))
        })
        .await?;
    }
    let missing: Vec<&str> = chosen.iter().filter(|row| row.start.is_none()).map(|row| row.name).collect();
    if missing.is_empty() {
        print_line(&format!("{READY} after {:.1} s: {}", began.elapsed().as_secs_f64(), context.wanted.server()));
    } else {
        print_line(&format!("{NOT_READY}: not built: {}", missing.join(", ")));
    }
    if options.in_background {
        nix::unistd::dup2_stdout(std::io::stderr()).context("cannot let go of the starting process")?;
    }
    wait_for_end(&context.shutdown, tasks).await?;
    drop(supervisor);
    print_line(if plan.is_node {
        "Stopped. Containers go on; `ferrokube up` takes them over again, `ferrokube down` ends them."
    } else {
        "Stopped; `ferrokube up` resumes the cluster."
    });
    Ok(ExitCode::SUCCESS)
}

/// Everything that follows from the options and the machine.
struct Plan {
    place: Place,
    wanted: Wanted,
    listen: SocketAddr,
    pod_range: Network,
    service_range: Network,
    is_node: bool,
    has_runtime: bool,
}

impl Plan {
    fn of(options: &UpOptions, chosen: &[&Component]) -> anyhow::Result<Plan> {
        let place = Place::of(&options.place);
        let is_node = chosen.iter().any(|row| row.role != Role::ControlPlane);
        let has_runtime = chosen.iter().any(|row| row.role == Role::Node);
        if is_node && !nix::unistd::geteuid().is_root() {
            bail!("a node changes the machine and needs root; a control plane alone does not: --components apiserver");
        }
        let range = |text: &str| podnet::config::range(text).with_context(|| format!("{text:?} is not a range"));
        let (pod_range, service_range) = (range(&options.pod_network_cidr)?, range(&options.service_cidr)?);
        let bind = options.bind_address.unwrap_or(IpAddr::V6(Ipv6Addr::UNSPECIFIED));
        let advertise = if bind.is_unspecified() { primary_address() } else { bind };
        let host = nix::unistd::gethostname()?.to_string_lossy().to_lowercase();
        let wanted = Wanted {
            node_name: options.node_name.clone().unwrap_or(host),
            advertise,
            port: options.secure_port,
            service_address: podnet::config::nth(service_range, 1),
        };
        let listen = SocketAddr::new(bind, options.secure_port);
        Ok(Plan { place, wanted, listen, pod_range, service_range, is_node, has_runtime })
    }

    fn record(&self, options: &UpOptions, chosen: &[&Component]) -> Record {
        Record {
            components: chosen.iter().map(|row| row.name.to_owned()).collect(),
            server: self.wanted.server(),
            kubeconfig: self.place.kubeconfig.clone(),
            node_name: self.wanted.node_name.clone(),
            is_node: self.is_node,
            foreign_runtime: foreign_socket(options),
        }
    }

    fn context(&self, options: &UpOptions, chosen: &[&Component]) -> Context {
        let seat = |row: &'static port::Watched| Seat {
            row,
            is_chosen: chosen.iter().any(|component| component.name == row.component),
            port: row.port(options, &self.place),
            door: Arc::new(OnceLock::new()),
        };
        let is_foreign = options.container_runtime_endpoint.is_some();
        let folder = |own: PathBuf, usual: &str| if is_foreign { PathBuf::from(usual) } else { own };
        Context {
            place: self.place.clone(),
            wanted: self.wanted.clone(),
            listen: self.listen,
            access: Access::default(),
            pod_range: self.pod_range,
            service_range: self.service_range,
            runtime: foreign_socket(options).unwrap_or_else(|| self.place.containerd_socket()),
            cni_conf: folder(self.place.cni_conf(), "/etc/cni/net.d"),
            cni_bin: folder(self.place.cni_bin(), "/opt/cni/bin"),
            watched: port::WATCHED.iter().map(seat).collect(),
            shutdown: Shutdown::new(),
        }
    }
}

fn foreign_socket(options: &UpOptions) -> Option<PathBuf> {
    let endpoint = options.container_runtime_endpoint.as_deref()?;
    Some(PathBuf::from(endpoint.strip_prefix("unix://").unwrap_or(endpoint)))
}

/// The address by which this machine would speak to others; nothing is sent.
fn primary_address() -> IpAddr {
    let elsewhere = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 9);
    let ask = || -> std::io::Result<IpAddr> {
        let socket = std::net::UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
        socket.connect(elsewhere)?;
        Ok(socket.local_addr()?.ip())
    };
    ask().unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST))
}

async fn prepare_credentials(plan: &Plan) -> anyhow::Result<()> {
    let now = env::time::now();
    let (place, wanted) = (plan.place.clone(), plan.wanted.clone());
    let made = env::task::blocking(move || credentials::certificates(&place, &wanted, now));
    step("certificates", async { Ok(((), made.await?)) }).await?;
    let (place, wanted) = (plan.place.clone(), plan.wanted.clone());
    let made = env::task::blocking(move || credentials::kubeconfigs(&place, &wanted, now));
    step("kubeconfigs", async { Ok(((), made.await?)) }).await
}

/// Sees to the container runtime with our images, for a node; the answer is its supervisor, when it is our own.
async fn runtime(options: &UpOptions, plan: &Plan) -> anyhow::Result<Option<Owned<()>>> {
    if !plan.has_runtime {
        return Ok(None);
    }
    let (socket, supervisor) = match foreign_socket(options) {
        Some(socket) => (step("container runtime", found(socket)).await?, None),
        None => {
            let (socket, supervisor) = step("container runtime", own(&plan.place)).await?;
            (socket, Some(supervisor))
        }
    };
    step("images", async {
        let bundle = env::task::blocking(crate::images::own).await?;
        Ok(((), crate::images::ensure(&bundle, &socket).await?))
    })
    .await?;
    Ok(supervisor)
}

async fn found(socket: PathBuf) -> anyhow::Result<(PathBuf, String)> {
    let (name, _) = crate::containerd::health(&socket)
        .await
        .with_context(|| format!("{} serves no container runtime", socket.display()))?;
    let detail = format!("{name} at {}", socket.display());
    Ok((socket, detail))
}

async fn own(place: &Place) -> anyhow::Result<((PathBuf, Owned<()>), String)> {
    let missing: Vec<&str> = PROGRAMS.into_iter().filter(|name| !is_installed(name)).collect();
    if !missing.is_empty() {
        bail!("not installed: {} (Debian: apt install containerd runc)", missing.join(", "));
    }
    let containerd = Containerd::at(place)?;
    let running = containerd.ensure().await?;
    let (name, _) = crate::containerd::health(&running.socket).await?;
    let how = if running.is_adopted { "adopted" } else { "started" };
    let detail = format!("{name}, {how} as process {}", running.pid);
    let socket = running.socket.clone();
    let supervisor = env::task::spawn(Fate::Vital, "containerd", containerd.supervise(running)).abort_on_drop();
    Ok(((socket, supervisor), detail))
}

fn is_installed(program: &str) -> bool {
    let path = env::process::variable("PATH").unwrap_or_default();
    path.split(':').any(|folder| Path::new(folder).join(program).is_file())
}

async fn start_all(context: &Arc<Context>, chosen: &[&Component]) -> anyhow::Result<Vec<(&'static str, Task<()>)>> {
    let mut tasks = Vec::new();
    for row in chosen {
        let Some(start) = row.start else {
            skip(row.name, Outcome::NotBuilt, "");
            continue;
        };
        let started = step(row.name, async {
            let started = start(context.clone()).await?;
            Ok((started.task, started.detail))
        })
        .await;
        match started {
            Ok(task) => tasks.extend(task.map(|task| (row.name, task))),
            Err(error) => {
                // What runs already ends in order, so that nothing acknowledged is lost.
                context.shutdown.cancel();
                for (_, task) in tasks {
                    task.await;
                }
                return Err(error);
            }
        }
    }
    Ok(tasks)
}

/// Waits until this process is asked to end or a component ends by itself; then ends the others, the last first.
async fn wait_for_end(shutdown: &Shutdown, mut tasks: Vec<(&'static str, Task<()>)>) -> anyhow::Result<()> {
    let ended_early = {
        let mut waiting: futures::stream::FuturesUnordered<_> =
            tasks.iter_mut().map(|(name, task)| async move { (task.await, *name).1 }).collect();
        tokio::select! {
            asked = asked_to_end() => { asked?; None }
            Some(name) = futures::StreamExt::next(&mut waiting) => Some(name),
        }
    };
    shutdown.cancel();
    for (name, task) in tasks.into_iter().rev().filter(|(name, _)| Some(*name) != ended_early) {
        tracing::info!(component = name, "stopping");
        task.await;
    }
    match ended_early {
        Some(name) => bail!("the component {name} ended by itself"),
        None => Ok(()),
    }
}

/// Waits for an interrupt or a request to terminate.
pub(crate) async fn asked_to_end() -> std::io::Result<()> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    Ok(())
}

/// Starts the same command as a process of its own, shows its steps, and returns when they are done.
pub(crate) async fn detached(options: UpOptions) -> anyhow::Result<ExitCode> {
    let place = Place::of(&options.place);
    env::fs::create_dir_all(&place.data_dir).with_context(|| format!("cannot make {}", place.data_dir.display()))?;
    let log = place.log();
    let file = OpenOptions::new().create(true).append(true).open(&log);
    let file = file.with_context(|| format!("cannot open {}", log.display()))?;
    let arguments = std::env::args_os().skip(1).filter(|argument| argument != "--detach");
    let mut child = env::process::command(env::process::executable()?)
        .args(arguments)
        .arg("--in-background")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(file)
        .kill_on_drop(false)
        .spawn()?;
    let out = child.stdout.take().expect("its output was asked for");
    let mut lines = BufReader::new(out).lines();
    let mut last = String::new();
    while let Some(line) = lines.next_line().await? {
        print_line(&line);
        last = line;
    }
    // It lets go of its output when it is up, or ends.
    if last.starts_with(READY) || last.starts_with(NOT_READY) {
        print_line(&format!("It runs on as process {}; log: {}", child.id().unwrap_or_default(), log.display()));
        return Ok(if last.starts_with(READY) { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }
    let status = child.wait().await?;
    bail!("it ended with {status}; see {}", log.display())
}

/// Becomes independent of the terminal that it was started from.
pub(crate) fn leave_terminal() -> anyhow::Result<()> {
    nix::unistd::setsid().context("cannot leave the terminal")?;
    Ok(())
}
