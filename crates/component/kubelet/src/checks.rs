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

/// What a check found: well or not, and in which words. `Err` when it could not be made.
pub(crate) type Outcome = Result<(bool, String), String>;

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
                Ok(_stream) => (true, String::new()),
                Err(error) => (false, env::net::dial_words(format_args!("{host}:{port}"), &error)),
            })
        } else if let Some(action) = &probe.grpc {
            grpc(subject, action).await
        } else {
            Err("missing probe handler".to_owned())
        }
    };
    match env::time::timeout(limit, checked).await {
        Ok(outcome) => outcome,
        Err(_elapsed) => Ok((false, "context deadline exceeded".to_owned())),
    }
}

/// Runs a command in the container.
pub(crate) async fn exec(subject: &Subject, command: Vec<String>, limit: Duration) -> Outcome {
    match subject.runtime.container_exec_sync(subject.id.clone(), command, limit).await {
        Ok(answer) => {
            let mut output = answer.stdout;
            output.extend(answer.stderr);
            output.truncate(ANSWER_BYTES_MAX);
            Ok((answer.exit_code == 0, String::from_utf8_lossy(&output).into_owned()))
        }
        Err(Failure::Refused { message, .. }) if message.contains("timeout") || message.contains("deadline") => {
            Ok((false, format!("command timed out after {}s", limit.as_secs())))
        }
        Err(failure) => Err(failure.to_string()),
    }
}

/// Fetches a page: 200 to 399 is well.
pub(crate) async fn http(subject: &Subject, action: &HTTPGetAction) -> Outcome {
    let port = port(&subject.container, &action.port)?;
    let host = action.host.clone().filter(|host| !host.is_empty()).unwrap_or_else(|| subject.ip.clone());
    let path = action.path.clone().filter(|path| !path.is_empty()).unwrap_or_else(|| "/".to_owned());
    let path = if path.starts_with('/') { path } else { format!("/{path}") };
    let https = action.scheme.as_deref() == Some("HTTPS");
    let stream = match dial(&host, port, https).await {
        Ok(stream) => stream,
        Err(words) => {
            let scheme = if https { "https" } else { "http" };
            return Ok((false, format!("Get \"{scheme}://{host}:{port}{path}\": {words}")));
        }
    };
    let mut request = http::Request::get(path).header("User-Agent", "kube-probe/1.36").header("Accept", "*/*");
    let headers = action.http_headers.iter().flatten();
    let named = headers.clone().find(|header| header.name.eq_ignore_ascii_case("host"));
    request = request.header("Host", named.map_or_else(|| format!("{host}:{port}"), |header| header.value.clone()));
    for header in headers.filter(|header| !header.name.eq_ignore_ascii_case("host")) {
        request = request.header(&header.name, &header.value);
    }
    let request = request.body(Full::new(Bytes::new())).map_err(|error| error.to_string())?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|error| error.to_string())?;
    let _connection = env::task::spawn(env::task::Fate::Local, "check-http", connection).abort_on_drop();
    let response = match sender.send_request(request).await {
        Ok(response) => response,
        Err(error) => return Ok((false, error.to_string())),
    };
    let status = response.status().as_u16();
    let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await;
    let text = body.map(|body| String::from_utf8_lossy(&body.to_bytes()).into_owned()).unwrap_or_default();
    if (200..400).contains(&status) {
        return Ok((true, text));
    }
    Ok((false, format!("HTTP probe failed with statuscode: {status}")))
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
        Err(words) => return Ok((false, format!("error: {words}"))),
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
        Err(error) => return Ok((false, error.to_string())),
    };
    let in_header = response.headers().get("grpc-status").cloned();
    let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await;
    let body = body.map_err(|error| error.to_string())?;
    let status = body.trailers().and_then(|trailers| trailers.get("grpc-status").cloned()).or(in_header);
    if status.as_ref().is_some_and(|status| status != "0") {
        return Ok((false, format!("error: health rpc probe failed with status {status:?}")));
    }
    match serving(&body.to_bytes()) {
        Some(1) => Ok((true, "service healthy".to_owned())),
        other => Ok((false, format!("service unhealthy (responded with {:?})", other.unwrap_or_default()))),
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
