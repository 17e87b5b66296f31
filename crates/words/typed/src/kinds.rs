//! Every kind that logic works with, as a row.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use k8s_openapi::Metadata;
use kind::Resource;
use object::Value;

use crate::meta::ObjectMeta;
use crate::{Mismatch, api, apiextensions, apiregistration};

/// A kind as a Rust struct.
pub trait Kind: Clone + fmt::Debug + PartialEq + Send + Sync + Sized + 'static {
    /// `apiVersion`.
    const API_VERSION: &'static str;
    /// `kind`.
    const KIND: &'static str;
    /// Plural resource name.
    const PLURAL: &'static str;

    /// Reads a tree of this kind.
    fn from_tree(tree: &Value) -> Result<Self, Mismatch>;

    /// The tree of this object; absent fields are left out.
    fn to_tree(&self) -> Value;

    /// The object's metadata.
    fn meta(&self) -> &ObjectMeta;

    /// The object's metadata, for changing.
    fn meta_mut(&mut self) -> &mut ObjectMeta;

    /// The row of this kind.
    ///
    /// # Panics
    /// Never for the kinds of this crate: each has its row, which a test checks.
    fn resource() -> &'static Arc<Resource> {
        let row = kind::builtin().iter().find(|row| row.kind == Self::KIND && row.api_version() == Self::API_VERSION);
        row.expect("every typed kind has a row")
    }

    /// `metadata.name`; empty when unset.
    fn name(&self) -> &str {
        self.meta().name.as_deref().unwrap_or_default()
    }

    /// `metadata.namespace`; empty when unset.
    fn namespace(&self) -> &str {
        self.meta().namespace.as_deref().unwrap_or_default()
    }

    /// `metadata.uid`; empty when unset.
    fn uid(&self) -> &str {
        self.meta().uid.as_deref().unwrap_or_default()
    }
}

/// A [`Kind`] behind a pointer, for lists of objects of several kinds.
pub trait Object: fmt::Debug + Send + Sync + 'static {
    /// The row of the kind.
    fn resource(&self) -> &'static Arc<Resource>;

    /// The tree of the object.
    fn to_tree(&self) -> Value;

    /// The object's metadata.
    fn meta(&self) -> &ObjectMeta;

    /// The object itself, for those who know its type.
    fn as_any(&self) -> &dyn Any;
}

impl<K: Kind> Object for K {
    fn resource(&self) -> &'static Arc<Resource> {
        K::resource()
    }

    fn to_tree(&self) -> Value {
        Kind::to_tree(self)
    }

    fn meta(&self) -> &ObjectMeta {
        Kind::meta(self)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// One row per kind; the bodies are what instantiates serde's code, here and nowhere else.
macro_rules! kinds {
    ($($path:path),+ $(,)?) => {
        $(
            impl Kind for $path {
                const API_VERSION: &'static str = <$path as k8s_openapi::Resource>::API_VERSION;
                const KIND: &'static str = <$path as k8s_openapi::Resource>::KIND;
                const PLURAL: &'static str = <$path as k8s_openapi::Resource>::URL_PATH_SEGMENT;

                fn from_tree(tree: &Value) -> Result<Self, Mismatch> {
                    crate::read(tree)
                }

                fn to_tree(&self) -> Value {
                    crate::write(self)
                }

                fn meta(&self) -> &ObjectMeta {
                    Metadata::metadata(self)
                }

                fn meta_mut(&mut self) -> &mut ObjectMeta {
                    Metadata::metadata_mut(self)
                }
            }
        )+

        #[cfg(test)]
        const ROWS: &[(&str, &str, &str)] = &[
            $((<$path as Kind>::API_VERSION, <$path as Kind>::KIND, <$path as Kind>::PLURAL)),+
        ];
    };
}

kinds! {
    api::admissionregistration::v1::MutatingAdmissionPolicy,
    api::admissionregistration::v1::MutatingAdmissionPolicyBinding,
    api::admissionregistration::v1::MutatingWebhookConfiguration,
    api::admissionregistration::v1::ValidatingAdmissionPolicy,
    api::admissionregistration::v1::ValidatingAdmissionPolicyBinding,
    api::admissionregistration::v1::ValidatingWebhookConfiguration,
    api::apps::v1::ControllerRevision,
    api::apps::v1::DaemonSet,
    api::apps::v1::Deployment,
    api::apps::v1::ReplicaSet,
    api::apps::v1::StatefulSet,
    api::authentication::v1::SelfSubjectReview,
    api::authentication::v1::TokenReview,
    api::authorization::v1::LocalSubjectAccessReview,
    api::authorization::v1::SelfSubjectAccessReview,
    api::authorization::v1::SelfSubjectRulesReview,
    api::authorization::v1::SubjectAccessReview,
    api::autoscaling::v1::Scale,
    api::autoscaling::v2::HorizontalPodAutoscaler,
    api::batch::v1::CronJob,
    api::batch::v1::Job,
    api::certificates::v1::CertificateSigningRequest,
    api::coordination::v1::Lease,
    api::core::v1::ConfigMap,
    api::core::v1::Endpoints,
    api::core::v1::Event,
    api::core::v1::LimitRange,
    api::core::v1::Namespace,
    api::core::v1::Node,
    api::core::v1::PersistentVolume,
    api::core::v1::PersistentVolumeClaim,
    api::core::v1::Pod,
    api::core::v1::PodTemplate,
    api::core::v1::ReplicationController,
    api::core::v1::ResourceQuota,
    api::core::v1::Secret,
    api::core::v1::Service,
    api::core::v1::ServiceAccount,
    api::discovery::v1::EndpointSlice,
    api::flowcontrol::v1::FlowSchema,
    api::flowcontrol::v1::PriorityLevelConfiguration,
    api::networking::v1::IPAddress,
    api::networking::v1::Ingress,
    api::networking::v1::IngressClass,
    api::networking::v1::NetworkPolicy,
    api::networking::v1::ServiceCIDR,
    api::node::v1::RuntimeClass,
    api::policy::v1::PodDisruptionBudget,
    api::rbac::v1::ClusterRole,
    api::rbac::v1::ClusterRoleBinding,
    api::rbac::v1::Role,
    api::rbac::v1::RoleBinding,
    api::resource::v1::DeviceClass,
    api::resource::v1::ResourceClaim,
    api::resource::v1::ResourceClaimTemplate,
    api::resource::v1::ResourceSlice,
    api::scheduling::v1::PriorityClass,
    api::storage::v1::CSIDriver,
    api::storage::v1::CSINode,
    api::storage::v1::CSIStorageCapacity,
    api::storage::v1::StorageClass,
    api::storage::v1::VolumeAttachment,
    api::storage::v1::VolumeAttributesClass,
    apiextensions::CustomResourceDefinition,
    apiregistration::APIService,
}

#[cfg(test)]
mod tests;
