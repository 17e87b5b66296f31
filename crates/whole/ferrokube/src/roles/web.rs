//! A web server that tells who answers: the demo's, and a target for probes.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::process::ExitCode;
use std::sync::Arc;

use env::task::{Fate, Shutdown};
use http::{Request, Response, StatusCode};
use serving::{Body, Server, from_fn};

use crate::cli::WebOptions;

/// Serves until it is asked to end, then lets running requests finish.
pub(crate) async fn run(options: WebOptions) -> anyhow::Result<ExitCode> {
    let listener = crate::listen::on(SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), options.port)).await?;
    let shutdown = Shutdown::new();
    let asked = shutdown.clone();
    env::task::spawn(Fate::Vital, "signals", async move {
        if let Err(error) = crate::up::asked_to_end().await {
            tracing::error!(%error, "cannot wait for signals");
        }
        asked.cancel();
    });
    let host: Arc<str> = nix::unistd::gethostname()?.to_string_lossy().into();
    let service = from_fn(move |request: Request<Body>| {
        let host = host.clone();
        Box::pin(async move { answer(request.uri().path(), &host) })
    });
    tracing::info!(port = options.port, "serving");
    Server::new(Arc::new(service)).run(listener, shutdown).await;
    Ok(ExitCode::SUCCESS)
}

/// `/` tells version and host name, `/healthz` that all is well.
fn answer(path: &str, host: &str) -> Response<Body> {
    let (status, text) = match path {
        "/" => (StatusCode::OK, format!("Ferrokube {} on {host}\n", observe::version().git_version)),
        "/hostname" => (StatusCode::OK, format!("{host}\n")),
        "/healthz" | "/readyz" => (StatusCode::OK, "ok\n".to_owned()),
        _ => (StatusCode::NOT_FOUND, "404 page not found\n".to_owned()),
    };
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    let kind = http::HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(http::header::CONTENT_TYPE, kind);
    response
}
