//! Carrying out one probe or hook: run a command, fetch a page, open a port, ask by gRPC.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cri::{Failure, Runtime};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::rt::{TokioExecutor, TokioIo};
use pki::tls::ServerTrust;
use rustls_pki_types::ServerName;
use typed::api::core::v1::{Container, GRPCAction, HTTPGetAction, Probe};
use typed::intstr::IntOrString;

/// How much of an answer is read.
const ANSWER_BYTES_MAX: usize = 10 << 10;

/// How many redirections are followed.
const REDIRECTS_MAX: usize = 10;

/// How somebody is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Health {
    /// Well.
    Well,
    /// Well, as far as could be seen.
    Warning,
    /// Not well.
    Unwell,
}

impl Health {
    fn of(well: bool) -> Health {
        if well { Health::Well } else { Health::Unwell }
    }
}

/// What a check found, and in which words. `Err` when it could not be made.
pub(crate) type Outcome = Result<(Health, String), String>;

/// Whom a check is of.
#[derive(Debug, Clone)]
pub(crate) struct Subject {
    pub(crate) runtime: Arc<dyn Runtime>,
    pub(crate) container: Container,
    pub(crate) id: String,
    /// The pod's address.
    pub(crate) ip: String,
}

/// Carries out a probe within `limit`.
pub(crate) async fn probe(subject: &Subject, probe: &Probe, limit: Duration) -> Outcome {
    if let Some(action) = &probe.exec {
        let command = action.command.clone().unwrap_or_default();
        return exec(subject, command, limit).await;
    }
    let checked = async {
        if let Some(action) = &probe.http_get {
            http(subject, action).await
        } else if let Some(action) = &probe.tcp_socket {
            let host = action.host.clone().filter(|host| !host.is_empty()).unwrap_or_else(|| subject.ip.clone());
            let port = port(&subject.container, &action.port)?;
            Ok(match env::net::connect_tcp((host.as_str(), port)).await {
                Ok(_stream) => (Health::Well, String::new()),
                Err(error) => (Health::Unwell, env::net::dial_words(format_args!("{host}:{port}"), &error)),
            })
        } else if let Some(action) = &probe.grpc {
            grpc(subject, action).await
        } else {
            Err("missing probe handler".to_owned())
        }
    };
    match env::time::timeout(limit, checked).await {
        Ok(outcome) => outcome,
        Err(_elapsed) => Ok((Health::Unwell, "context deadline exceeded".to_owned())),
    }
}

/// Runs a command in the container.
pub(crate) async fn exec(subject: &Subject, command: Vec<String>, limit: Duration) -> Outcome {
    match subject.runtime.container_exec_sync(subject.id.clone(), command, limit).await {
        Ok(answer) => {
            let mut output = answer.stdout;
            output.extend(answer.stderr);
            output.truncate(ANSWER_BYTES_MAX);
            Ok((Health::of(answer.exit_code == 0), String::from_utf8_lossy(&output).into_owned()))
        }
        Err(Failure::Refused { message, .. }) if message.contains("timeout") || message.contains("deadline") => {
            Ok((Health::Unwell, format!("command timed out after {}s", limit.as_secs())))
        }
        Err(failure) => Err(failure.to_string()),
    }
}

/// Fetches a page: 200 to 299 is well, and so is, with a warning, a redirection that leads elsewhere.
async fn http(subject: &Subject, action: &HTTPGetAction) -> Outcome {
    let (status, text) = match fetch(subject, action).await? {
        Ok(page) => page,
        Err(words) => return Ok((Health::Unwell, words)),
    };
    Ok(match status {
        200..300 => (Health::Well, text),
        300..400 => (Health::Warning, format!("Probe terminated redirects, Response body: {text}")),
        _ => (Health::Unwell, format!("HTTP probe failed with statuscode: {status}")),
    })
}

/// Fetches a page: its status and the beginning of its text, or in words why there is none. Redirections to the same host
/// are followed.
pub(crate) async fn fetch(subject: &Subject, action: &HTTPGetAction) -> Result<Result<(u16, String), String>, String> {
    let mut target = Target::of(subject, action)?;
    let headers: Vec<(String, String)> =
        action.http_headers.iter().flatten().map(|header| (header.name.clone(), header.value.clone())).collect();
    for _ in 0..REDIRECTS_MAX {
        let page = match get(&target, &headers).await? {
            Ok(page) => page,
            Err(words) => return Ok(Err(words)),
        };
        match page.location.and_then(|location| target.redirected(&location)) {
            Some(next) if next.host == target.host => target = next,
            _ => return Ok(Ok((page.status, page.text))),
        }
    }
    Ok(Err(format!("Get \"{}\": stopped after {REDIRECTS_MAX} redirects", target.url())))
}

/// A page, and where it sends whoever asks for it.
struct Page {
    status: u16,
    text: String,
    location: Option<String>,
}

async fn get(target: &Target, headers: &[(String, String)]) -> Result<Result<Page, String>, String> {
    let Target { https, host, port, path } = target;
    let stream = match dial(host, *port, *https).await {
        Ok(stream) => stream,
        Err(words) => return Ok(Err(format!("Get \"{}\": {words}", target.url()))),
    };
    let mut request = http::Request::get(path).header("User-Agent", "kube-probe/1.36").header("Accept", "*/*");
    let is_host = |(name, _): &&(String, String)| name.eq_ignore_ascii_case("host");
    let named = headers.iter().find(is_host).map(|(_, value)| value.clone());
    request = request.header("Host", named.unwrap_or_else(|| format!("{host}:{port}")));
    for (name, value) in headers.iter().filter(|header| !is_host(header)) {
        request = request.header(name, value);
    }
    let request = request.body(Full::new(Bytes::new())).map_err(|error| error.to_string())?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|error| error.to_string())?;
    let _connection = env::task::spawn(env::task::Fate::Local, "check-http", connection).abort_on_drop();
    let response = match sender.send_request(request).await {
        Ok(response) => response,
        Err(error) => return Ok(Err(error.to_string())),
    };
    let status = response.status().as_u16();
    let location = response.headers().get(http::header::LOCATION).and_then(|value| value.to_str().ok());
    let location = location.filter(|_| matches!(status, 301 | 302 | 303 | 307 | 308)).map(str::to_owned);
    let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await;
    let text = body.map(|body| String::from_utf8_lossy(&body.to_bytes()).into_owned()).unwrap_or_default();
    Ok(Ok(Page { status, text, location }))
}

/// What is fetched, and from whom.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Target {
    https: bool,
    host: String,
    port: u16,
    path: String,
}

impl Target {
    fn of(subject: &Subject, action: &HTTPGetAction) -> Result<Target, String> {
        let path = action.path.clone().filter(|path| !path.is_empty()).unwrap_or_else(|| "/".to_owned());
        Ok(Target {
            https: action.scheme.as_deref() == Some("HTTPS"),
            host: action.host.clone().filter(|host| !host.is_empty()).unwrap_or_else(|| subject.ip.clone()),
            port: port(&subject.container, &action.port)?,
            path: if path.starts_with('/') { path } else { format!("/{path}") },
        })
    }

    fn url(&self) -> String {
        let Target { https, host, port, path } = self;
        format!("{}://{host}:{port}{path}", if *https { "https" } else { "http" })
    }

    /// Where a `Location` leads from here; `None` when it is none.
    fn redirected(&self, location: &str) -> Option<Target> {
        let whole = match location.strip_prefix("//") {
            Some(rest) => format!("{}://{rest}", if self.https { "https" } else { "http" }),
            None => location.to_owned(),
        };
        if !whole.contains("://") {
            let folder = self.path.split(['?', '#']).next().unwrap_or_default();
            let folder = folder.rsplit_once('/').map_or("", |(folder, _)| folder);
            let path = if location.starts_with('/') { location.to_owned() } else { format!("{folder}/{location}") };
            return Some(Target { path, ..self.clone() });
        }
        let uri: http::Uri = whole.parse().ok()?;
        let https = match uri.scheme_str()? {
            "http" => false,
            "https" => true,
            _ => return None,
        };
        let host = uri.host()?.trim_matches(['[', ']']).to_owned();
        let port = uri.port_u16().unwrap_or(if https { 443 } else { 80 });
        Some(Target {
            https,
            host,
            port,
            path: uri.path_and_query().map_or_else(|| "/".to_owned(), ToString::to_string),
        })
    }
}

/// Connects; by TLS without asking who answers, since a check is about being well and not about being who one says.
async fn dial(host: &str, port: u16, tls: bool) -> Result<streaming::Io, String> {
    let tcp = env::net::connect_tcp((host, port));
    let tcp = tcp.await.map_err(|error| env::net::dial_words(format_args!("{host}:{port}"), &error))?;
    if !tls {
        return Ok(Box::new(tcp));
    }
    let name = ServerName::try_from(host.to_owned()).map_err(|error| error.to_string())?;
    let config = pki::tls::client_config(ServerTrust::anybody(), None, &[]).map_err(|error| error.to_string())?;
    let connected = tokio_rustls::TlsConnector::from(config).connect(name, tcp).await;
    Ok(Box::new(connected.map_err(|error| format!("tls: {error}"))?))
}

/// Asks `grpc.health.v1.Health/Check`: status 1 (`SERVING`) is well.
async fn grpc(subject: &Subject, action: &GRPCAction) -> Outcome {
    let port = u16::try_from(action.port).map_err(|error| error.to_string())?;
    let stream = match dial(&subject.ip, port, false).await {
        Ok(stream) => stream,
        Err(words) => return Ok((Health::Unwell, format!("error: {words}"))),
    };
    let (mut sender, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
        .await
        .map_err(|error| error.to_string())?;
    let _connection = env::task::spawn(env::task::Fate::Local, "check-grpc", connection).abort_on_drop();
    let request = http::Request::post(format!("http://{}:{port}/grpc.health.v1.Health/Check", subject.ip))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header("user-agent", "kube-probe/1.36")
        .body(Full::new(health_request(action.service.as_deref().unwrap_or_default())))
        .map_err(|error| error.to_string())?;
    let response = match sender.send_request(request).await {
        Ok(response) => response,
        Err(error) => return Ok((Health::Unwell, error.to_string())),
    };
    let in_header = response.headers().get("grpc-status").cloned();
    let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await;
    let body = body.map_err(|error| error.to_string())?;
    let status = body.trailers().and_then(|trailers| trailers.get("grpc-status").cloned()).or(in_header);
    if status.as_ref().is_some_and(|status| status != "0") {
        return Ok((Health::Unwell, format!("error: health rpc probe failed with status {status:?}")));
    }
    match serving(&body.to_bytes()) {
        Some(1) => Ok((Health::Well, "service healthy".to_owned())),
        other => Ok((Health::Unwell, format!("service unhealthy (responded with {:?})", other.unwrap_or_default()))),
    }
}

/// A `HealthCheckRequest` in gRPC's framing: no compression, length, then field 1 with the service's name.
fn health_request(service: &str) -> Bytes {
    let mut message = Vec::new();
    if !service.is_empty() {
        message.push(0x0a);
        let mut length = service.len();
        while length >= 0x80 {
            message.push(u8::try_from(length & 0x7f).expect("seven bits fit") | 0x80);
            length >>= 7;
        }
        message.push(u8::try_from(length).expect("seven bits fit"));
        message.extend(service.as_bytes());
    }
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
    let mut framed = vec![0];
    framed.extend(length.to_be_bytes());
    framed.extend(message);
    framed.into()
}

/// The `status` of a framed `HealthCheckResponse`.
fn serving(framed: &[u8]) -> Option<u8> {
    match framed.get(5..)? {
        [0x08, status, ..] => Some(*status),
        _ => Some(0),
    }
}

/// A port by number or by the name that the container gives it.
fn port(container: &Container, port: &IntOrString) -> Result<u16, String> {
    let number = match port {
        IntOrString::Int(number) => Some(*number),
        IntOrString::String(name) => {
            let named = container.ports.iter().flatten().find(|port| port.name.as_deref() == Some(name));
            named.map(|port| port.container_port).or_else(|| name.parse().ok())
        }
    };
    let number = number.and_then(|number| u16::try_from(number).ok()).filter(|number| *number > 0);
    number.ok_or_else(|| format!("invalid port: {port:?}"))
}

#[cfg(test)]
mod tests;
