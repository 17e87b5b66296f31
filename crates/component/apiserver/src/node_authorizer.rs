//! The authorizer of kubelets, kept up to date by the objects that tie things to nodes.

use std::sync::Arc;

use authz::NodeGraph;
use env::task::Shutdown;
use futures::future::BoxFuture;
use gate::{Authorizer, Decision, RequestInfo};
use kind::{Refusal, User};
use object::selector::FieldSelector;
use parking_lot::RwLock;
use typed::Kind;
use typed::api::core::v1::{PersistentVolume, Pod};
use typed::api::resource::v1::ResourceSlice;
use typed::api::storage::v1::VolumeAttachment;

use crate::authz::{Judge, attributes};
use crate::routes::Routes;

/// The authorizer.
struct Nodes {
    graph: Arc<RwLock<NodeGraph>>,
}

/// Makes the authorizer; it has heard of all objects that exist now.
pub(crate) async fn follow(routes: &Routes, shutdown: &Shutdown) -> Result<Arc<dyn Authorizer>, Refusal> {
    let graph: Arc<RwLock<NodeGraph>> = Arc::default();
    let judge = Judge { state: Arc::clone(&graph), routes, shutdown };
    // A pod that has no node yet gives none of them a right.
    let bound = FieldSelector::parse("spec.nodeName!=").map_err(|error| Refusal::Internal(error.to_string()))?;
    judge
        .hears_of(("", "pods", bound), NodeGraph::upsert_pod, |graph, pod: &Pod| {
            graph.remove_pod(pod.namespace(), pod.name());
        })
        .await?;
    judge
        .hears("", "persistentvolumes", NodeGraph::upsert_volume, |graph, volume: &PersistentVolume| {
            graph.remove_volume(volume.name());
        })
        .await?;
    judge
        .hears("storage.k8s.io", "volumeattachments", NodeGraph::upsert_attachment, |graph, one: &VolumeAttachment| {
            graph.remove_attachment(one.name());
        })
        .await?;
    judge
        .hears("resource.k8s.io", "resourceslices", NodeGraph::upsert_slice, |graph, slice: &ResourceSlice| {
            graph.remove_slice(slice.name());
        })
        .await?;
    Ok(Arc::new(Nodes { graph }))
}

impl Authorizer for Nodes {
    fn authorize<'a>(&'a self, user: &'a User, info: &'a RequestInfo) -> BoxFuture<'a, Decision> {
        let fields = info.query.get("fieldSelector").and_then(|text| FieldSelector::parse(text).ok());
        let decision = match self.graph.read().decide(user, &attributes(info, fields.as_ref())) {
            authz::Decision::Allow(_) => Decision::Allow,
            authz::Decision::Deny(reason) => Decision::Deny(reason),
            authz::Decision::NoOpinion(reason) => Decision::NoOpinion(reason),
        };
        Box::pin(std::future::ready(decision))
    }
}
