//! Who may ask the kubelet: certificates and tokens say who it is, the API server says what they may.
//!
//! Nobody is anonymous here.

use std::sync::Arc;

use client::Client;
use futures::future::BoxFuture;
use http::{Response, StatusCode};
use pki::trust::{ClientTrust, Roots};
use serving::Body;
use typed::api::authorization::v1::ResourceAttributes;
use vitals::{Asked, Delegated, Doubt, Lives};

use crate::server::{Access, Gatekeeper, text};

/// Lets in whom the cluster's authority vouches for or the API server knows, for what the API server allows them.
#[derive(Debug)]
pub struct Guard {
    judge: Delegated,
    node_name: String,
}

impl Guard {
    /// A guard of the node `node_name` that asks through `client`; without `roots` certificates are worth nothing.
    pub fn new(client: Client, node_name: &str, roots: Option<Roots>) -> Guard {
        Guard { judge: Delegated::new(client, roots, Lives::KUBELET), node_name: node_name.to_owned() }
    }

    /// The roots that certificates lead to, to be replaced when they change.
    pub fn trust(&self) -> Option<&Arc<ClientTrust>> {
        self.judge.trust()
    }

    fn asked(&self, verb: &str, subresource: &str) -> Asked {
        Asked::Resource(Box::new(ResourceAttributes {
            verb: Some(verb.to_owned()),
            version: Some("v1".to_owned()),
            resource: Some("nodes".to_owned()),
            subresource: Some(subresource.to_owned()),
            name: Some(self.node_name.clone()),
            ..Default::default()
        }))
    }
}

impl Gatekeeper for Guard {
    fn admit<'a>(
        &'a self,
        request: &'a http::request::Parts,
        access: Access,
    ) -> BoxFuture<'a, Result<(), Response<Body>>> {
        // What is asked of the request is read before anything is waited for.
        Box::pin(async move {
            let user = self.judge.who(request).await.map_err(refusal)?.ok_or_else(|| refusal(Doubt::Stranger))?;
            for subresource in &access.subresources {
                if self.judge.may(&user, &self.asked(access.verb, subresource)).await.map_err(refusal)? {
                    return Ok(());
                }
            }
            let message = format!(
                "Forbidden (user={}, verb={}, resource=nodes, subresource(s)=[{}])",
                user.name,
                access.verb,
                access.subresources.join(" ")
            );
            Err(text(StatusCode::FORBIDDEN, &message))
        })
    }
}

fn refusal(doubt: Doubt) -> Response<Body> {
    match doubt {
        Doubt::Stranger => text(StatusCode::UNAUTHORIZED, "Unauthorized"),
        Doubt::Unanswered => text(StatusCode::INTERNAL_SERVER_ERROR, "Internal Error"),
    }
}
