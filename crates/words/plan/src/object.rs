//! The kinds that controllers write, as rows.

use std::borrow::Cow;
use std::sync::Arc;

use typed::api::{apps, batch, certificates, coordination, core, discovery, policy, rbac, storage};
use typed::meta::ObjectMeta;

/// Where a kind lives in the API. Built-in kinds are constants; the garbage collector makes rows from discovery.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Resource {
    /// API group; empty for the core group.
    pub group: Cow<'static, str>,
    /// Version, such as `v1`.
    pub version: Cow<'static, str>,
    /// Kind, such as `Pod`.
    pub kind: Cow<'static, str>,
    /// Plural in paths, such as `pods`.
    pub plural: Cow<'static, str>,
    /// Whether objects live in namespaces.
    pub namespaced: bool,
}

impl Resource {
    /// `v1` or `apps/v1`.
    #[must_use]
    pub fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.to_string() } else { format!("{}/{}", self.group, self.version) }
    }
}

/// A typed kind that can stand in a plan.
pub trait Kind: Clone + PartialEq + std::fmt::Debug + Send + Sync + 'static {
    /// Its row.
    const RESOURCE: Resource;
    /// Its metadata.
    fn meta(&self) -> &ObjectMeta;
    /// Its metadata, to change.
    fn meta_mut(&mut self) -> &mut ObjectMeta;
    /// Erases the type.
    fn erase(self: Arc<Self>) -> Object;
    /// The typed value, if the object is of this kind.
    fn of(object: &Object) -> Option<&Arc<Self>>;
    /// Takes the status of another revision of the same object (kinds without a status: nothing).
    fn take_status(&mut self, from: &Self);
}

macro_rules! kinds {
    ($($kind:ident: $path:path, $group:literal, $plural:literal, $namespaced:literal, [$($status:ident)?];)*) => {
        /// A typed object of any kind that controllers write.
        #[derive(Debug, Clone, PartialEq)]
        pub enum Object {
            $(#[doc = stringify!($kind)] $kind(Arc<$path>),)*
        }

        $(impl Kind for $path {
            const RESOURCE: Resource = Resource {
                group: Cow::Borrowed($group),
                version: Cow::Borrowed("v1"),
                kind: Cow::Borrowed(stringify!($kind)),
                plural: Cow::Borrowed($plural),
                namespaced: $namespaced,
            };
            fn meta(&self) -> &ObjectMeta { &self.metadata }
            fn meta_mut(&mut self) -> &mut ObjectMeta { &mut self.metadata }
            fn erase(self: Arc<Self>) -> Object { Object::$kind(self) }
            fn of(object: &Object) -> Option<&Arc<Self>> {
                if let Object::$kind(found) = object { Some(found) } else { None }
            }
            fn take_status(&mut self, from: &Self) {
                $(self.$status.clone_from(&from.$status);)?
                let _nothing_more = from;
            }
        })*

        impl Object {
            /// The rows of all kinds that planners write.
            pub const RESOURCES: &'static [Resource] = &[$(<$path as Kind>::RESOURCE,)*];

            /// The row of the kind.
            #[must_use]
            pub fn resource(&self) -> Resource {
                match self { $(Self::$kind(_) => <$path as Kind>::RESOURCE,)* }
            }

            /// The object as a tree, to be encoded.
            #[must_use]
            pub fn to_tree(&self) -> object::Value {
                match self { $(Self::$kind(object) => typed::Kind::to_tree(object.as_ref()),)* }
            }

            /// The object in a tree that says its kind; none if it is of no kind that planners know.
            #[must_use]
            pub fn from_tree(tree: &object::Value) -> Option<Self> {
                match tree.str_at(&["kind"])? {
                    $(stringify!($kind) => Some(Self::$kind(Arc::new(typed::Kind::from_tree(tree).ok()?))),)*
                    _ => None,
                }
            }

            /// The metadata.
            #[must_use]
            pub fn meta(&self) -> &ObjectMeta {
                match self { $(Self::$kind(object) => &object.metadata,)* }
            }

            /// The metadata, to change; copies the object if it is shared.
            pub fn meta_mut(&mut self) -> &mut ObjectMeta {
                match self { $(Self::$kind(object) => &mut Arc::make_mut(object).metadata,)* }
            }

            /// Takes the status of another revision of the same kind.
            pub fn take_status(&mut self, from: &Self) {
                match (self, from) {
                    $((Self::$kind(object), Self::$kind(from)) => Arc::make_mut(object).take_status(from),)*
                    _ => {}
                }
            }
        }
    };
}

kinds! {
    CertificateSigningRequest: certificates::v1::CertificateSigningRequest, "certificates.k8s.io", "certificatesigningrequests", false, [status];
    ClusterRole: rbac::v1::ClusterRole, "rbac.authorization.k8s.io", "clusterroles", false, [];
    ConfigMap: core::v1::ConfigMap, "", "configmaps", true, [];
    ControllerRevision: apps::v1::ControllerRevision, "apps", "controllerrevisions", true, [];
    CronJob: batch::v1::CronJob, "batch", "cronjobs", true, [status];
    DaemonSet: apps::v1::DaemonSet, "apps", "daemonsets", true, [status];
    Deployment: apps::v1::Deployment, "apps", "deployments", true, [status];
    EndpointSlice: discovery::v1::EndpointSlice, "discovery.k8s.io", "endpointslices", true, [];
    Endpoints: core::v1::Endpoints, "", "endpoints", true, [];
    Job: batch::v1::Job, "batch", "jobs", true, [status];
    Lease: coordination::v1::Lease, "coordination.k8s.io", "leases", true, [];
    Namespace: core::v1::Namespace, "", "namespaces", false, [status];
    Node: core::v1::Node, "", "nodes", false, [status];
    PersistentVolume: core::v1::PersistentVolume, "", "persistentvolumes", false, [status];
    PersistentVolumeClaim: core::v1::PersistentVolumeClaim, "", "persistentvolumeclaims", true, [status];
    Pod: core::v1::Pod, "", "pods", true, [status];
    PodDisruptionBudget: policy::v1::PodDisruptionBudget, "policy", "poddisruptionbudgets", true, [status];
    ReplicaSet: apps::v1::ReplicaSet, "apps", "replicasets", true, [status];
    ReplicationController: core::v1::ReplicationController, "", "replicationcontrollers", true, [status];
    ResourceQuota: core::v1::ResourceQuota, "", "resourcequotas", true, [status];
    Secret: core::v1::Secret, "", "secrets", true, [];
    Service: core::v1::Service, "", "services", true, [status];
    ServiceAccount: core::v1::ServiceAccount, "", "serviceaccounts", true, [];
    StatefulSet: apps::v1::StatefulSet, "apps", "statefulsets", true, [status];
    VolumeAttributesClass: storage::v1::VolumeAttributesClass, "storage.k8s.io", "volumeattributesclasses", false, [];
}
