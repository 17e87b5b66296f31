//! `componentstatuses`: how the parts of the control plane are, asked anew for every answer.
//!
//! Rules: `pkg/registry/core/componentstatus`; a component that cannot be reached is unhealthy, and its message says why.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use env::task::{Fate, spawn};
use futures::future::{BoxFuture, join_all};
use http::header::HOST;
use http::{Request, Response};
use hyper_util::rt::TokioIo;
use object::Value;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use serving::{Body, Door};
use store::Store;

use crate::computed::Source;

/// Who has not answered by now does not (upstream: the same).
const ASK_MAX: Duration = Duration::from_secs(20);
/// A health text is at most this long; of a longer one nothing is told.
const TEXT_BYTES_MAX: u64 = 10 << 10;
const PATH: &str = "/healthz";
/// The name of the store.
const STORE: &str = "etcd-0";

/// A component, and how it is asked.
#[derive(Debug, Clone)]
pub struct Component {
    /// Its name.
    pub name: String,
    /// How it is asked.
    pub way: Way,
}

/// How a component is asked.
#[derive(Debug, Clone)]
pub enum Way {
    /// It is part of this process: through a door, which is there once it has started.
    Within(Arc<OnceLock<Door>>),
    /// Over TLS on a port of this machine. Who answers there is not asked.
    At(SocketAddr),
    /// It cannot be asked, for this reason.
    Unknown(String),
}

/// Everything that is asked.
pub(crate) struct Components {
    pub(crate) rows: Vec<Component>,
    pub(crate) store: Arc<dyn Store>,
    /// Believes anybody.
    pub(crate) tls: Arc<ClientConfig>,
}

/// What was heard: the message of somebody healthy, or why somebody is not.
type Heard = Result<String, String>;

impl Components {
    async fn status(&self, name: &str) -> Option<Value> {
        let heard = match self.rows.iter().find(|row| row.name == name) {
            _ if name == STORE => self.ask_store().await,
            Some(row) => self.ask(&row.way).await,
            None => return None,
        };
        let (status, message) = match heard {
            Ok(message) => ("True", message),
            Err(message) => ("False", message),
        };
        let condition = [("type", "Healthy"), ("status", status), ("message", &message)];
        let mut tree = Value::map();
        tree.set(&["metadata", "name"], name);
        tree.set(&["conditions"], vec![Value::from_pairs(condition)]);
        Some(tree)
    }

    async fn ask_store(&self) -> Heard {
        match env::time::timeout(ASK_MAX, self.store.status()).await {
            Ok(Ok(_status)) => Ok("ok".to_owned()),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_elapsed) => Err("context deadline exceeded".to_owned()),
        }
    }

    async fn ask(&self, way: &Way) -> Heard {
        let asking = async {
            match way {
                Way::Unknown(why) => Err(why.clone()),
                Way::Within(door) => {
                    let door = door.get().ok_or("it has not started yet")?;
                    let request = Request::get(PATH).body(Body::empty()).map_err(|error| error.to_string())?;
                    heard(door.call(request).await).await
                }
                Way::At(address) => {
                    let told = |error: String| format!("Get \"https://{address}{PATH}\": {error}");
                    heard(self.get(*address).await.map_err(told)?).await
                }
            }
        };
        let late = || Err(format!("no answer within {} s", ASK_MAX.as_secs()));
        env::time::timeout(ASK_MAX, asking).await.unwrap_or_else(|_elapsed| late())
    }

    async fn get(&self, address: SocketAddr) -> Result<Response<Body>, String> {
        let dialled = env::net::connect_tcp(address).await;
        let stream = dialled.map_err(|error| env::net::dial_words(address, &error))?;
        let connector = tokio_rustls::TlsConnector::from(Arc::clone(&self.tls));
        let stream =
            connector.connect(ServerName::from(address.ip()), stream).await.map_err(|error| error.to_string())?;
        let broken = |error: hyper::Error| error.to_string();
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
        let _connection = spawn(Fate::Local, "asking a component", async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "the connection to a component broke");
            }
        })
        .abort_on_drop();
        let request = Request::get(PATH).header(HOST, address.to_string()).body(Body::empty());
        let response = sender.send_request(request.map_err(|error| error.to_string())?).await.map_err(broken)?;
        let (parts, body) = response.map(Body::passed_on).into_parts();
        let text = serving::collect(body, TEXT_BYTES_MAX).await.map_err(|error| error.to_string())?;
        Ok(Response::from_parts(parts, Body::from(text)))
    }
}

/// An answer's text, if it says that all is well.
async fn heard(response: Response<Body>) -> Heard {
    let status = response.status();
    if !status.is_success() && !status.is_redirection() {
        return Err(format!("HTTP probe failed with statuscode: {}", status.as_u16()));
    }
    let text = serving::collect(response.into_body(), TEXT_BYTES_MAX).await.map_err(|error| error.to_string())?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

impl Source for Components {
    fn all(&self) -> BoxFuture<'_, Vec<Value>> {
        Box::pin(async move {
            let mut names: Vec<&str> = self.rows.iter().map(|row| row.name.as_str()).chain([STORE]).collect();
            names.sort_unstable();
            join_all(names.into_iter().map(|name| self.status(name))).await.into_iter().flatten().collect()
        })
    }

    fn one<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Option<Value>> {
        Box::pin(self.status(name))
    }
}
