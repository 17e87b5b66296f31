//! Credentials of controllers: each acts as its ServiceAccount in `kube-system`, by tokens that the manager asks for
//! (flag `--use-service-account-credentials`).

use std::sync::Arc;
use std::time::Duration;

use client::{Carried, Client, Error, Transport, TransportError};
use env::time::Instant;
use http::Request;
use http::header::{AUTHORIZATION, HeaderValue};
use object::Value;
use serving::Body;
use tokio::sync::Mutex;
use typed::api::core::v1::ServiceAccount;

use crate::Clients;

const NAMESPACE: &str = "kube-system";
/// How long a token is asked for; the server may give a shorter one.
const TOKEN_SECONDS: u32 = 3600;
/// After this part of its hour a token is replaced.
const TOKEN_SECONDS_USED_MAX: u64 = 2880;

/// Clients that act as accounts. `manager` may ask for their tokens; `door` is a way to the server that itself says nothing
/// of who asks.
pub fn accounts(manager: Client, door: Arc<dyn Transport>) -> Clients {
    Arc::new(move |account: &str| {
        let (manager, door) = (manager.clone(), Arc::clone(&door));
        let acting = Acting { manager, door, account: account.to_owned(), token: Mutex::new(None) };
        Client::new(Arc::new(acting), account)
    })
}

/// A way to the server as one account.
struct Acting {
    manager: Client,
    door: Arc<dyn Transport>,
    account: String,
    /// The header, and when it is to be replaced.
    token: Mutex<Option<(HeaderValue, Instant)>>,
}

impl std::fmt::Debug for Acting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Acting").field("account", &self.account).finish_non_exhaustive()
    }
}

impl Transport for Acting {
    fn send(&self, mut request: Request<Body>) -> Carried<'_> {
        Box::pin(async move {
            let header = self.header().await.map_err(|error| TransportError::Broken(Box::new(error)))?;
            request.headers_mut().insert(AUTHORIZATION, header);
            self.door.send(request).await
        })
    }
}

impl Acting {
    async fn header(&self) -> Result<HeaderValue, Error> {
        let mut token = self.token.lock().await;
        if let Some((header, _)) = token.as_ref().filter(|(_, until)| Instant::now() < *until) {
            return Ok(header.clone());
        }
        let until = Instant::now() + Duration::from_secs(TOKEN_SECONDS_USED_MAX);
        let text = match self.ask().await {
            Err(error) if error.is_not_found() => {
                self.ensure_account().await?;
                self.ask().await?
            }
            asked => asked?,
        };
        let unfit = |_| Error::Decode("the server's token is not fit for a header".to_owned());
        let mut header = HeaderValue::from_str(&format!("Bearer {text}")).map_err(unfit)?;
        header.set_sensitive(true);
        *token = Some((header.clone(), until));
        Ok(header)
    }

    async fn ask(&self) -> Result<String, Error> {
        let mut request = Value::from_pairs([("apiVersion", "authentication.k8s.io/v1"), ("kind", "TokenRequest")]);
        request.set(&["metadata"], Value::map());
        request.set(&["spec", "expirationSeconds"], i64::from(TOKEN_SECONDS));
        request.set(&["spec", "audiences"], Value::List(Vec::new()));
        let answer =
            self.manager.create_subresource::<ServiceAccount>(NAMESPACE, &self.account, "token", &request).await?;
        let token = answer.str_at(&["status", "token"]).filter(|token| !token.is_empty());
        token.map(str::to_owned).ok_or_else(|| Error::Decode("the server's answer has no token".to_owned()))
    }

    async fn ensure_account(&self) -> Result<(), Error> {
        let mut account = ServiceAccount::default();
        account.metadata.name = Some(self.account.clone());
        account.metadata.namespace = Some(NAMESPACE.to_owned());
        match self.manager.create(&account).await {
            Err(error) if !error.is_already_exists() => Err(error),
            _ => Ok(()),
        }
    }
}
