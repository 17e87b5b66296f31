//! Where a request goes: which address, and which path there.

use gate::Query;
use kind::Refusal;
use object::Value;
use registry::Freshness;

use super::super::Asked;
use crate::routes::Routes;

/// Kubelets listen here unless their node says otherwise.
const KUBELET_PORT: u16 = 10250;

/// A receiver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) link: Link,
    /// The name that the receiver's certificate must have.
    pub(super) server_name: String,
    pub(super) path_and_query: String,
    /// Whether the receiver wants GET whatever the client sent (logs).
    pub(super) as_get: bool,
}

/// How a receiver is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Link {
    /// Without TLS.
    Plain,
    /// By TLS, and it must be the kubelet that its node says it is.
    Kubelet,
    /// By TLS, whoever it is.
    Anybody,
}

impl Link {
    fn of(scheme: &str) -> Link {
        if scheme == "https" { Link::Anybody } else { Link::Plain }
    }
}

/// Finds the receiver of a request for a subresource.
pub(super) async fn find(asked: &Asked<'_>, routes: &Routes) -> Result<Place, Refusal> {
    let target = asked.target;
    // Proxied names may carry a scheme and a port: `https:web:8443`.
    let (scheme, name, port) = split(&target.name);
    let query = &asked.by.info().query;
    match (target.resource.as_str(), target.subresource.as_str()) {
        ("nodes", "proxy") => {
            let node = look_up(routes, "nodes", "", &name).await?;
            let mut place = kubelet(&node, &path_below(asked))?;
            if let Some(port) = port.and_then(|port| port.parse().ok()) {
                place.port = port;
            }
            Ok(place)
        }
        ("pods", "proxy") => {
            let pod = look_up(routes, "pods", &target.namespace, &name).await?;
            pod_place(&pod, &scheme, port.as_deref(), path_below(asked))
        }
        ("services", "proxy") => service_place(asked, routes, &scheme, &name, port.as_deref()).await,
        ("pods", subresource) => {
            let cached = asked.registry.get(&target.namespace, &target.name, Freshness::Consistent).await?;
            let pod = asked.registry.tree(&cached)?;
            let node = pod.str_at(&["spec", "nodeName"]).unwrap_or_default();
            if node.is_empty() {
                return Err(Refusal::BadRequest(format!("pod {} does not have a host assigned", target.name)));
            }
            let path = kubelet_path(subresource, &pod, query)?;
            let node = look_up(routes, "nodes", "", node).await?;
            let mut place = kubelet(&node, &path)?;
            place.as_get = subresource == "log";
            Ok(place)
        }
        (resource, subresource) => Err(Refusal::NotImplemented(format!("{resource}/{subresource} is not built"))),
    }
}

async fn look_up(routes: &Routes, plural: &str, namespace: &str, name: &str) -> Result<Value, Refusal> {
    let missing = || Refusal::NotFound {
        resource: kind::GroupKind { group: object::Text::default(), name: plural.into() },
        name: name.to_owned(),
    };
    routes.look_up("", plural, namespace, name).await.ok_or_else(missing)
}

/// The kubelet of a node: its preferred address, and the port it says.
fn kubelet(node: &Value, path: &str) -> Result<Place, Refusal> {
    let addresses = node.list_at(&["status", "addresses"]);
    let of_kind = |kind: &str| addresses.iter().find(|address| address.str_at(&["type"]) == Some(kind));
    let preferred = ["Hostname", "InternalDNS", "InternalIP", "ExternalDNS", "ExternalIP"];
    // Names may not resolve on a machine of one's own: addresses come first among what is known to be reachable.
    let order = ["InternalIP", "ExternalIP"].iter().chain(preferred.iter());
    let found = order.filter_map(|kind| of_kind(kind)?.str_at(&["address"])).next();
    let name = object::Meta::of(node).name();
    let host = found.ok_or_else(|| {
        Refusal::Unavailable(format!("no preferred addresses found for node {name}; known addresses: []"))
    })?;
    let port = node.int_at(&["status", "daemonEndpoints", "kubeletEndpoint", "Port"]);
    Ok(Place {
        host: host.to_owned(),
        port: port.and_then(|port| u16::try_from(port).ok()).filter(|port| *port != 0).unwrap_or(KUBELET_PORT),
        link: Link::Kubelet,
        server_name: host.to_owned(),
        path_and_query: path.to_owned(),
        as_get: false,
    })
}

/// The kubelet's path for a pod's subresource.
fn kubelet_path(subresource: &str, pod: &Value, query: &Query) -> Result<String, Refusal> {
    let meta = object::Meta::of(pod);
    let address = format!("{}/{}", meta.namespace(), meta.name());
    match subresource {
        "log" => {
            let container = container(pod, query)?;
            Ok(format!("/containerLogs/{address}/{container}{}", log_query(query)))
        }
        "exec" => {
            let container = container(pod, query)?;
            Ok(format!("/exec/{address}/{container}{}", streams_query(query, true)))
        }
        "attach" => {
            let container = container(pod, query)?;
            Ok(format!("/attach/{address}/{container}{}", streams_query(query, false)))
        }
        "portforward" => {
            let ports: Vec<String> = query.all("ports").map(|port| format!("port={port}")).collect();
            let query = if ports.is_empty() { String::new() } else { format!("?{}", ports.join("&")) };
            Ok(format!("/portForward/{address}{query}"))
        }
        other => Err(Refusal::NotImplemented(format!("pods/{other} is not built"))),
    }
}

/// The container that the request means; one may be left out only where there is no choice.
fn container(pod: &Value, query: &Query) -> Result<String, Refusal> {
    let name = object::Meta::of(pod).name();
    let names = |key: &str| -> Vec<&str> {
        pod.list_at(&["spec", key]).iter().filter_map(|container| container.str_at(&["name"])).collect()
    };
    let (regular, init, ephemeral) = (names("containers"), names("initContainers"), names("ephemeralContainers"));
    match query.get("container").unwrap_or_default() {
        "" => match regular.as_slice() {
            [one] => Ok((*one).to_owned()),
            [] => Err(Refusal::BadRequest(format!("a container name must be specified for pod {name}"))),
            many => {
                let default = object::Meta::of(pod).annotation("kubectl.kubernetes.io/default-container");
                if let Some(default) = default.filter(|default| many.contains(default)) {
                    return Ok(default.to_owned());
                }
                let mut text =
                    format!("a container name must be specified for pod {name}, choose one of: [{}]", many.join(" "));
                if !init.is_empty() {
                    text.push_str(&format!(" or one of the init containers: [{}]", init.join(" ")));
                }
                if !ephemeral.is_empty() {
                    text.push_str(&format!(" or one of the ephemeral containers: [{}]", ephemeral.join(" ")));
                }
                Err(Refusal::BadRequest(text))
            }
        },
        wanted if regular.iter().chain(&init).chain(&ephemeral).any(|known| *known == wanted) => Ok(wanted.to_owned()),
        wanted => Err(Refusal::BadRequest(format!("container {wanted} is not valid for pod {name}"))),
    }
}

fn log_query(query: &Query) -> String {
    const PASSED: [&str; 8] =
        ["follow", "previous", "sinceSeconds", "sinceTime", "timestamps", "tailLines", "limitBytes", "stream"];
    let pairs = query.iter().filter(|(key, _)| PASSED.contains(key));
    joined(pairs.map(|(key, value)| (key.to_owned(), value.to_owned())))
}

/// `command` as it is; the streams under the names that kubelets use.
fn streams_query(query: &Query, with_command: bool) -> String {
    let mut pairs: Vec<(String, String)> = Vec::new();
    for (ours, theirs) in [("stdin", "input"), ("stdout", "output"), ("stderr", "error"), ("tty", "tty")] {
        if query.flag(ours) {
            pairs.push((theirs.to_owned(), "1".to_owned()));
        }
    }
    if with_command {
        pairs.extend(query.all("command").map(|word| ("command".to_owned(), word.to_owned())));
    }
    joined(pairs)
}

fn joined(pairs: impl IntoIterator<Item = (String, String)>) -> String {
    let pairs: Vec<String> = pairs.into_iter().map(|(key, value)| format!("{key}={}", escape(&value))).collect();
    if pairs.is_empty() { String::new() } else { format!("?{}", pairs.join("&")) }
}

fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// The path and query behind `/proxy`, undecoded.
fn path_below(asked: &Asked<'_>) -> String {
    let uri = &asked.by.parts().uri;
    let below = below(uri.path(), !asked.target.namespace.is_empty());
    let path = if below.is_empty() { "/" } else { below };
    match uri.query() {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    }
}

/// The path behind the subresource: `/api/v1/nodes/NAME/proxy`, `/api/v1/namespaces/NAMESPACE/pods/NAME/proxy`. It is found by
/// its place, since every name before it may be `proxy` as well.
pub(super) fn below(path: &str, namespaced: bool) -> &str {
    let segments_before = if namespaced { 7 } else { 5 };
    let mut rest = path;
    for _segment in 0..segments_before {
        rest = rest.trim_start_matches('/');
        rest = rest.find('/').map_or("", |at| &rest[at..]);
    }
    rest
}

/// `name`, `name:port`, `scheme:name:port`, `scheme:name:`.
fn split(text: &str) -> (String, String, Option<String>) {
    let parts: Vec<&str> = text.split(':').collect();
    let some = |port: &str| (!port.is_empty()).then(|| port.to_owned());
    match parts.as_slice() {
        [name] => (String::new(), (*name).to_owned(), None),
        [name, port] => (String::new(), (*name).to_owned(), some(port)),
        [scheme, name, port] => ((*scheme).to_owned(), (*name).to_owned(), some(port)),
        _ => (String::new(), text.to_owned(), None),
    }
}

fn pod_place(pod: &Value, scheme: &str, port: Option<&str>, path_and_query: String) -> Result<Place, Refusal> {
    let ip = pod.str_at(&["status", "podIP"]).unwrap_or_default();
    if ip.is_empty() {
        return Err(Refusal::BadRequest("address not allowed".to_owned()));
    }
    let containers = pod.list_at(&["spec", "containers"]);
    let mut ports = containers.iter().flat_map(|container| container.list_at(&["ports"]));
    let number = match port {
        None => ports.find_map(|port| port.int_at(&["containerPort"])),
        Some(port) => port.parse().ok().or_else(|| {
            ports.find(|known| known.str_at(&["name"]) == Some(port)).and_then(|known| known.int_at(&["containerPort"]))
        }),
    };
    let default = if scheme == "https" { 443 } else { 80 };
    let port = number.and_then(|number| u16::try_from(number).ok()).unwrap_or(default);
    Ok(Place {
        host: ip.to_owned(),
        port,
        link: Link::of(scheme),
        server_name: ip.to_owned(),
        path_and_query,
        as_get: false,
    })
}

/// One of the service's ready endpoints, at random.
async fn service_place(
    asked: &Asked<'_>,
    routes: &Routes,
    scheme: &str,
    name: &str,
    port: Option<&str>,
) -> Result<Place, Refusal> {
    let namespace = asked.target.namespace.as_str();
    let service = look_up(routes, "services", namespace, name).await?;
    let endpoints = look_up(routes, "endpoints", namespace, name).await?;
    let ports = service.list_at(&["spec", "ports"]);
    let wanted = match port {
        None if ports.len() == 1 => ports.first(),
        None => None,
        Some(port) => ports.iter().find(|known| {
            known.str_at(&["name"]) == Some(port)
                || known.int_at(&["port"]).is_some_and(|number| number.to_string() == port)
        }),
    };
    let unavailable = || Refusal::Unavailable(format!("no endpoints available for service {:?}", asked.target.name));
    let port_name = wanted.and_then(|port| port.str_at(&["name"])).unwrap_or_default();
    let mut candidates = Vec::new();
    for subset in endpoints.list_at(&["subsets"]) {
        let port = subset
            .list_at(&["ports"])
            .iter()
            .find(|port| wanted.is_some() && port.str_at(&["name"]).unwrap_or_default() == port_name);
        let Some(port) = port.and_then(|port| port.int_at(&["port"])).and_then(|port| u16::try_from(port).ok()) else {
            continue;
        };
        let addresses = subset.list_at(&["addresses"]).iter().filter_map(|address| address.str_at(&["ip"]));
        candidates.extend(addresses.map(|ip| (ip.to_owned(), port)));
    }
    let chosen = usize::try_from(env::rand::below(candidates.len() as u64)).unwrap_or(0);
    let (host, port) = candidates.into_iter().nth(chosen).ok_or_else(unavailable)?;
    Ok(Place {
        server_name: host.clone(),
        host,
        port,
        link: Link::of(scheme),
        path_and_query: path_below(asked),
        as_get: false,
    })
}

#[cfg(test)]
mod tests;
