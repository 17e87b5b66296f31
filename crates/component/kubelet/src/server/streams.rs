//! `/exec`, `/attach`, `/run` and `/portForward`: streams between a client and a pod.
//!
//! Clients speak SPDY or WebSocket; the runtime's streaming server speaks SPDY, and a bridge joins the two. Ports are
//! reached from here: by a socket made in the pod's network namespace.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use cri::v1::{
    AttachRequest, ContainerFilter, ContainerState, ContainerStateValue, ExecRequest, PodSandboxFilter,
    PodSandboxState, PodSandboxStateValue,
};
use futures::future::BoxFuture;
use http::{Request, Response, StatusCode, Uri};
use netlink::Namespace;
use podplan::identity::label;
use serving::Body;
use streaming::forward::{self, Dialer, Target};
use streaming::remote::{self, ClientSession, Outcome, Streams, client};
use streaming::upgrade::Refusal;
use streaming::{Error, Io, Limits};
use typed::api::core::v1::Pod;

use super::{Asked, query, text};
use crate::node::View;
use crate::observe;

/// How long a command of `/run` may take.
const RUN_LIMIT: Duration = Duration::from_secs(10 * 60);

/// Answers `/exec`: runs a command in a container and joins the client to its streams.
pub(super) async fn exec(view: &View, asked: &Asked<'_>, request: Request<Body>) -> Response<Body> {
    let command: Vec<String> = query::values(request.uri().query().unwrap_or_default(), "command").collect();
    let streams = match Streams::from_kubelet_query(&request) {
        Ok(streams) => streams,
        Err(refusal) => return refused(refusal),
    };
    let missing = || format!("container not found (\"{}\")", asked.container);
    let container_id = match running(view, asked, missing).await {
        Ok((_, id)) => id,
        Err(answer) => return answer,
    };
    let Streams { stdin, stdout, stderr, tty } = streams;
    let url = view.runtime().exec_url(ExecRequest { container_id, cmd: command, tty, stdin, stdout, stderr }).await;
    join(url, streams, request)
}

/// Answers `/attach`: joins the client to the streams of a running container.
pub(super) async fn attach(view: &View, asked: &Asked<'_>, request: Request<Body>) -> Response<Body> {
    let mut streams = match Streams::from_kubelet_query(&request) {
        Ok(streams) => streams,
        Err(refusal) => return refused(refusal),
    };
    let missing = || format!("container {} not found in pod {}_{}", asked.container, asked.pod, asked.namespace);
    let (pod, container_id) = match running(view, asked, missing).await {
        Ok(found) => found,
        Err(answer) => return answer,
    };
    // The terminal is the container's, made when it started: what the client thinks of it does not matter.
    let container = podplan::container(&pod, asked.container);
    streams.tty = container.is_some_and(|(_, container)| container.tty.unwrap_or_default());
    streams.stderr &= !streams.tty;
    let Streams { stdin, stdout, stderr, tty } = streams;
    let url = view.runtime().attach_url(AttachRequest { container_id, stdin, tty, stdout, stderr }).await;
    join(url, streams, request)
}

/// Answers `/run`: runs a command in a container and answers what it says.
pub(super) async fn run(view: &View, asked: &Asked<'_>, query: &str) -> Response<Body> {
    let words = query::values(query, "cmd").next().unwrap_or_default();
    let command: Vec<String> = words.split(' ').map(str::to_owned).collect();
    let missing = || format!("container not found (\"{}\")", asked.container);
    let (_, id) = match running(view, asked, missing).await {
        Ok(found) => found,
        Err(answer) => return answer,
    };
    match view.runtime().container_exec_sync(id, command, RUN_LIMIT).await {
        Ok(said) => {
            let mut output = said.stdout;
            output.extend(said.stderr);
            if said.exit_code == 0 {
                return Response::new(Body::from(output));
            }
            let output = String::from_utf8_lossy(&output);
            failed(&format!("command '{words}' exited with {}: {output}", said.exit_code))
        }
        Err(failure) => failed(&failure.to_string()),
    }
}

/// Answers `/portForward`: joins the client to ports of a pod.
pub(super) async fn port_forward(view: &View, asked: &Asked<'_>, mut request: Request<Body>) -> Response<Body> {
    let Some(pod) = asked.find(view) else { return absent() };
    let dialer = match dialer(view, &pod).await {
        Ok(dialer) => dialer,
        Err(problem) => return failed(&problem),
    };
    let (response, opening) = match forward::serve(&mut request, &Limits::default()) {
        Ok(granted) => granted,
        Err(refusal) => return refused(refusal),
    };
    let uid = pod.metadata.uid.clone().unwrap_or_default();
    let target = Target { pod: format!("{}_{}", asked.pod, asked.namespace), uid };
    env::task::spawn(env::task::Fate::Local, "port-forward", async move {
        if let Err(error) = opening.run(&dialer, &target).await {
            tracing::debug!(%error, "a port forward was granted and not taken");
        }
    });
    response.map(|()| Body::empty())
}

/// Sets the client's session up, and the runtime's at `url` behind it.
fn join(url: Result<String, cri::Failure>, streams: Streams, mut request: Request<Body>) -> Response<Body> {
    let url = match url.map_err(|failure| failure.to_string()).and_then(|url| address(&url)) {
        Ok(url) => url,
        Err(problem) => return failed(&problem),
    };
    let limits = Limits::default();
    let (response, opening) = match remote::serve(&mut request, streams, &limits) {
        Ok(granted) => granted,
        Err(refusal) => return refused(refusal),
    };
    env::task::spawn(env::task::Fate::Local, "remote-command", async move {
        let session = match opening.session().await {
            Ok(session) => session,
            Err(error) => return tracing::debug!(%error, "a remote command was granted and not taken"),
        };
        let ended = match connect(&url, streams, &limits).await {
            Ok(onward) => remote::bridge(session, onward).await.map(drop),
            Err(error) => session.ending.finish(&Outcome::of(&error)).await,
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "the client of a remote command went away");
        }
    });
    response.map(|()| Body::empty())
}

fn address(url: &str) -> Result<Uri, String> {
    let uri: Uri = url.parse().map_err(|error| format!("the runtime's streaming address {url:?}: {error}"))?;
    match uri.scheme_str() {
        Some("http") => Ok(uri),
        _ => Err(format!("streams of a runtime at {url:?} are not built: only http is")),
    }
}

async fn connect(url: &Uri, streams: Streams, limits: &Limits) -> Result<ClientSession, Error> {
    let host = url.host().unwrap_or("127.0.0.1").trim_matches(['[', ']']).to_owned();
    let io = env::net::connect_tcp((host, url.port_u16().unwrap_or(80))).await?;
    let path = url.path_and_query().map_or("/", |path| path.as_str());
    let host = url.authority().map(|authority| authority.as_str()).unwrap_or_default();
    let request = Request::post(path).header(http::header::HOST, host).body(());
    let request = request.map_err(|error| Error::Io(io::Error::other(error)))?;
    client::connect_spdy(Box::new(io), request, streams, limits).await
}

/// The pod and the id of its running container.
async fn running(
    view: &View,
    asked: &Asked<'_>,
    missing: impl FnOnce() -> String,
) -> Result<(Pod, String), Response<Body>> {
    let pod = asked.find(view).ok_or_else(absent)?;
    let uid = pod.metadata.uid.clone().unwrap_or_default();
    let labels = [(label::POD_UID.to_owned(), uid), (label::CONTAINER_NAME.to_owned(), asked.container.to_owned())];
    let state = Some(ContainerStateValue { state: ContainerState::ContainerRunning.into() });
    let filter = ContainerFilter { state, label_selector: labels.into(), ..Default::default() };
    let list = view.runtime().container_list(filter).await.map_err(|failure| failed(&failure.to_string()))?;
    let newest = list.into_iter().max_by_key(|container| container.created_at);
    newest.map(|container| (pod, container.id)).ok_or_else(|| failed(&missing()))
}

/// A way to the pod's own localhost.
async fn dialer(view: &View, pod: &Pod) -> Result<Localhost, String> {
    let on_node = pod.spec.as_ref().and_then(|spec| spec.host_network).unwrap_or_default();
    if on_node {
        return Ok(Localhost { namespace: None });
    }
    let (runtime, uid) = (view.runtime(), pod.metadata.uid.clone().unwrap_or_default());
    let state = Some(PodSandboxStateValue { state: PodSandboxState::SandboxReady.into() });
    let label_selector = [(label::POD_UID.to_owned(), uid)].into();
    let filter = PodSandboxFilter { state, label_selector, ..Default::default() };
    let list = runtime.sandbox_list(filter).await.map_err(|failure| failure.to_string())?;
    let newest = list.into_iter().max_by_key(|sandbox| sandbox.created_at);
    let sandbox = newest.ok_or_else(|| "failed to find sandboxID for pod".to_owned())?;
    let status = runtime.sandbox_status(sandbox.id, true).await.map_err(|failure| failure.to_string())?;
    let pid = observe::pid(&status.info).ok_or_else(|| "the runtime does not tell the sandbox's process".to_owned())?;
    let path = PathBuf::from(format!("/proc/{pid}/ns/net"));
    let opened = env::task::blocking(move || Namespace::open(&path)).await;
    Ok(Localhost { namespace: Some(Arc::new(opened.map_err(|error| error.to_string())?)) })
}

/// The localhost of a network namespace, or of the node.
struct Localhost {
    namespace: Option<Arc<Namespace>>,
}

impl Localhost {
    async fn connect(&self, address: SocketAddr) -> io::Result<Io> {
        let socket = match self.namespace.clone() {
            None => env::net::Unconnected::towards(address)?,
            Some(namespace) => {
                let made = env::task::blocking(move || namespace.enter(|| env::net::Unconnected::towards(address)));
                made.await.map_err(io::Error::other)??
            }
        };
        Ok(Box::new(socket.connect(address).await?))
    }
}

impl Dialer for Localhost {
    fn dial(&self, port: u16) -> BoxFuture<'_, io::Result<Io>> {
        Box::pin(async move {
            let at = |ip: IpAddr| SocketAddr::new(ip, port);
            let first = match self.connect(at(Ipv4Addr::LOCALHOST.into())).await {
                Ok(io) => return Ok(io),
                Err(error) => error,
            };
            let explain = |_second| {
                io::Error::new(first.kind(), format!("failed to connect to localhost:{port} inside the pod: {first}"))
            };
            self.connect(at(Ipv6Addr::LOCALHOST.into())).await.map_err(explain)
        })
    }
}

fn absent() -> Response<Body> {
    text(StatusCode::NOT_FOUND, "pod does not exist")
}

fn failed(problem: &str) -> Response<Body> {
    text(StatusCode::INTERNAL_SERVER_ERROR, problem)
}

fn refused(refusal: Refusal) -> Response<Body> {
    refusal.into_response().map(Body::from)
}
