//! What upstream's declarations say to OpenAPI alone: facts that nothing but these documents needs, and that the table
//! of types therefore leaves out.

use object::Value;

/// Struct fields that upstream's declaration says nothing else about, neither a default nor a sentence: in OpenAPI 3 a
/// bare `$ref` has no need of `allOf`.
const BARE: [(&str, &str); 7] = [
    ("io.k8s.api.networking.v1.IngressRule", "http"),
    (SCHEMA_PROPS, "additionalItems"),
    (SCHEMA_PROPS, "additionalProperties"),
    (SCHEMA_PROPS, "example"),
    (SCHEMA_PROPS, "externalDocs"),
    (SCHEMA_PROPS, "items"),
    (SCHEMA_PROPS, "not"),
];
const SCHEMA_PROPS: &str = "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaProps";

/// Types declared as unions: name, the field that tells which member is set (`""`: none does), the members.
const UNIONS: [(&str, &str, &[&str]); 8] = [
    ("io.k8s.api.core.v1.AppArmorProfile", "type", &["localhostProfile"]),
    ("io.k8s.api.core.v1.PodSchedulingGroup", "", &["podGroupName"]),
    ("io.k8s.api.core.v1.SeccompProfile", "type", &["localhostProfile"]),
    ("io.k8s.api.flowcontrol.v1.LimitResponse", "type", &["queuing"]),
    ("io.k8s.api.flowcontrol.v1.PriorityLevelConfigurationSpec", "type", &["exempt", "limited"]),
    ("io.k8s.api.flowcontrol.v1.Subject", "kind", &["group", "serviceAccount", "user"]),
    ("io.k8s.api.scheduling.v1alpha2.PodGroupSchedulingPolicy", "", &["basic", "gang"]),
    ("io.k8s.api.scheduling.v1alpha2.PodGroupTemplateReference", "", &["workload"]),
];

/// Defaults that equal what is read when nothing is there, or that defaulting sets by code of its own.
const DEFAULTS: [(&str, &str, Default); 15] = [
    ("io.k8s.api.autoscaling.v1.ScaleSpec", "replicas", Default::Zero),
    ("io.k8s.api.core.v1.AzureDiskVolumeSource", "cachingMode", Default::Text("ReadWrite")),
    ("io.k8s.api.core.v1.AzureDiskVolumeSource", "kind", Default::Text("Shared")),
    ("io.k8s.api.core.v1.AzureDiskVolumeSource", "readOnly", Default::No),
    ("io.k8s.api.core.v1.ConfigMapEnvSource", "name", Default::Text("")),
    ("io.k8s.api.core.v1.ConfigMapKeySelector", "name", Default::Text("")),
    ("io.k8s.api.core.v1.ConfigMapProjection", "name", Default::Text("")),
    ("io.k8s.api.core.v1.ConfigMapVolumeSource", "name", Default::Text("")),
    ("io.k8s.api.core.v1.FileKeySelector", "optional", Default::No),
    ("io.k8s.api.core.v1.GRPCAction", "service", Default::Text("")),
    ("io.k8s.api.core.v1.LocalObjectReference", "name", Default::Text("")),
    ("io.k8s.api.core.v1.ReplicationControllerSpec", "minReadySeconds", Default::Zero),
    ("io.k8s.api.core.v1.SecretEnvSource", "name", Default::Text("")),
    ("io.k8s.api.core.v1.SecretKeySelector", "name", Default::Text("")),
    ("io.k8s.api.core.v1.SecretProjection", "name", Default::Text("")),
];

#[derive(Debug, Clone, Copy)]
enum Default {
    Zero,
    No,
    Text(&'static str),
}

/// Maps and structs that are called granular, which is what all of them are unless they are called atomic.
const GRANULAR: [(&str, &str); 2] = [
    ("io.k8s.api.core.v1.PersistentVolumeClaimStatus", "allocatedResourceStatuses"),
    ("io.k8s.api.core.v1.PersistentVolumeSpec", "claimRef"),
];
/// Bytes, which Go declares as a list and OpenAPI shows as a text.
const ATOMIC_BYTES: [(&str, &str); 1] =
    [("io.k8s.kube-aggregator.pkg.apis.apiregistration.v1.APIServiceSpec", "caBundle")];
/// Fields that are required although the struct they are inlined from does not say so.
const REQUIRED: [(&str, &str); 1] = [("io.k8s.api.core.v1.EphemeralContainer", "name")];

pub(crate) fn is_bare(owner: &str, field: &str) -> bool {
    BARE.contains(&(owner, field))
}

pub(crate) fn is_granular(owner: &str, field: &str) -> bool {
    GRANULAR.contains(&(owner, field))
}

pub(crate) fn is_atomic_bytes(owner: &str, field: &str) -> bool {
    ATOMIC_BYTES.contains(&(owner, field))
}

pub(crate) fn is_required(owner: &str, field: &str) -> bool {
    REQUIRED.contains(&(owner, field))
}

/// The field that discriminates the union `owner`, and its members.
pub(crate) fn union(owner: &str) -> Option<(&'static str, &'static [&'static str])> {
    UNIONS.iter().find(|(name, ..)| *name == owner).map(|(_, discriminator, members)| (*discriminator, *members))
}

pub(crate) fn default(owner: &str, field: &str) -> Option<Value> {
    let (.., default) = DEFAULTS.iter().find(|(name, of, _)| (*name, *of) == (owner, field))?;
    Some(match default {
        Default::Zero => Value::from(0),
        Default::No => Value::from(false),
        Default::Text(text) => Value::from(*text),
    })
}
