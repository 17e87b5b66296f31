//! The built-in resources of v1.36 that are served by default, one row each.
//!
//! Facts of upstream's discovery documents; `pkg/controlplane/storageversionhashdata` and
//! `pkg/kubeapiserver/default_storage_factory_builder.go` for what is stored where and as what.

use std::sync::{Arc, LazyLock};

use object::Text;

use crate::resource::{Resource, Stored, Subresource, Verbs};

const NAMESPACED: bool = true;
const CLUSTER: bool = false;
const ALL: Verbs = Verbs::ALL;

/// The rows, groups in the order in which discovery lists them.
pub fn builtin() -> &'static [Arc<Resource>] {
    static ROWS: LazyLock<Vec<Arc<Resource>>> = LazyLock::new(|| rows().into_iter().map(Arc::new).collect());
    &ROWS
}

fn verbs(names: &[&str]) -> Verbs {
    Verbs::of(names)
}

fn row(api_version: &str, plural: &str, kind: &str, namespaced: bool, verbs: Verbs) -> Resource {
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    Resource {
        group: group.into(),
        version: version.into(),
        plural: plural.into(),
        singular: kind.to_lowercase().into(),
        kind: kind.into(),
        namespaced,
        short_names: Vec::new(),
        categories: Vec::new(),
        verbs,
        subresources: Vec::new(),
        stored: Stored { prefix: plural.into(), api_version: api_version.into() },
    }
}

fn texts(words: &[&str]) -> Vec<Text> {
    words.iter().map(|word| Text::from(*word)).collect()
}

impl Resource {
    fn short(mut self, names: &[&str]) -> Resource {
        self.short_names = texts(names);
        self
    }

    fn categories(mut self, names: &[&str]) -> Resource {
        self.categories = texts(names);
        self
    }

    fn sub(mut self, name: &str, api_version: &str, kind: &str, verbs: Verbs) -> Resource {
        let (name, api_version, kind) = (name.into(), api_version.into(), kind.into());
        self.subresources.push(Subresource { name, api_version, kind, verbs });
        self
    }

    fn status(self) -> Resource {
        let (api_version, kind) = (self.api_version(), self.kind.clone());
        self.sub("status", &api_version, &kind, Verbs::of(&["get", "patch", "update"]))
    }

    fn scale(self) -> Resource {
        self.sub("scale", "autoscaling/v1", "Scale", Verbs::of(&["get", "patch", "update"]))
    }

    /// Stored below another path than its plural name.
    fn at(mut self, prefix: &str) -> Resource {
        self.stored.prefix = prefix.into();
        self
    }

    /// Stored in the form of another version.
    fn stored_as(mut self, api_version: &str) -> Resource {
        self.stored.api_version = api_version.into();
        self
    }
}

#[expect(clippy::too_many_lines, reason = "a table: one row a resource")]
fn rows() -> Vec<Resource> {
    vec![
        row("v1", "bindings", "Binding", NAMESPACED, verbs(&["create"])),
        row("v1", "componentstatuses", "ComponentStatus", CLUSTER, verbs(&["get", "list"])).short(&["cs"]),
        row("v1", "configmaps", "ConfigMap", NAMESPACED, ALL).short(&["cm"]),
        row("v1", "endpoints", "Endpoints", NAMESPACED, ALL).short(&["ep"]).at("services/endpoints"),
        row("v1", "events", "Event", NAMESPACED, ALL).short(&["ev"]),
        row("v1", "limitranges", "LimitRange", NAMESPACED, ALL).short(&["limits"]),
        row(
            "v1",
            "namespaces",
            "Namespace",
            CLUSTER,
            verbs(&["create", "delete", "get", "list", "patch", "update", "watch"]),
        )
        .short(&["ns"])
        .sub("finalize", "v1", "Namespace", verbs(&["update"]))
        .status(),
        row("v1", "nodes", "Node", CLUSTER, ALL)
            .short(&["no"])
            .sub("proxy", "v1", "NodeProxyOptions", verbs(&["create", "delete", "get", "patch", "update"]))
            .status()
            .at("minions"),
        row("v1", "persistentvolumeclaims", "PersistentVolumeClaim", NAMESPACED, ALL).short(&["pvc"]).status(),
        row("v1", "persistentvolumes", "PersistentVolume", CLUSTER, ALL).short(&["pv"]).status(),
        row("v1", "pods", "Pod", NAMESPACED, ALL)
            .short(&["po"])
            .categories(&["all"])
            .sub("attach", "v1", "PodAttachOptions", verbs(&["create", "get"]))
            .sub("binding", "v1", "Binding", verbs(&["create"]))
            .sub("ephemeralcontainers", "v1", "Pod", verbs(&["get", "patch", "update"]))
            .sub("eviction", "policy/v1", "Eviction", verbs(&["create"]))
            .sub("exec", "v1", "PodExecOptions", verbs(&["create", "get"]))
            .sub("log", "v1", "Pod", verbs(&["get"]))
            .sub("portforward", "v1", "PodPortForwardOptions", verbs(&["create", "get"]))
            .sub("proxy", "v1", "PodProxyOptions", verbs(&["create", "delete", "get", "patch", "update"]))
            .sub("resize", "v1", "Pod", verbs(&["get", "patch", "update"]))
            .status(),
        row("v1", "podtemplates", "PodTemplate", NAMESPACED, ALL),
        row("v1", "replicationcontrollers", "ReplicationController", NAMESPACED, ALL)
            .short(&["rc"])
            .categories(&["all"])
            .scale()
            .status()
            .at("controllers"),
        row("v1", "resourcequotas", "ResourceQuota", NAMESPACED, ALL).short(&["quota"]).status(),
        row("v1", "secrets", "Secret", NAMESPACED, ALL),
        row("v1", "serviceaccounts", "ServiceAccount", NAMESPACED, ALL).short(&["sa"]).sub(
            "token",
            "authentication.k8s.io/v1",
            "TokenRequest",
            verbs(&["create"]),
        ),
        row("v1", "services", "Service", NAMESPACED, ALL)
            .short(&["svc"])
            .categories(&["all"])
            .sub("proxy", "v1", "ServiceProxyOptions", verbs(&["create", "delete", "get", "patch", "update"]))
            .status()
            .at("services/specs"),
        row("apiregistration.k8s.io/v1", "apiservices", "APIService", CLUSTER, ALL)
            .categories(&["api-extensions"])
            .status()
            .at("apiregistration.k8s.io/apiservices"),
        row("apps/v1", "controllerrevisions", "ControllerRevision", NAMESPACED, ALL),
        row("apps/v1", "daemonsets", "DaemonSet", NAMESPACED, ALL).short(&["ds"]).categories(&["all"]).status(),
        row("apps/v1", "deployments", "Deployment", NAMESPACED, ALL)
            .short(&["deploy"])
            .categories(&["all"])
            .scale()
            .status(),
        row("apps/v1", "replicasets", "ReplicaSet", NAMESPACED, ALL)
            .short(&["rs"])
            .categories(&["all"])
            .scale()
            .status(),
        row("apps/v1", "statefulsets", "StatefulSet", NAMESPACED, ALL)
            .short(&["sts"])
            .categories(&["all"])
            .scale()
            .status(),
        row("events.k8s.io/v1", "events", "Event", NAMESPACED, ALL).short(&["ev"]).stored_as("v1"),
        row("authentication.k8s.io/v1", "selfsubjectreviews", "SelfSubjectReview", CLUSTER, verbs(&["create"])),
        row("authentication.k8s.io/v1", "tokenreviews", "TokenReview", CLUSTER, verbs(&["create"])),
        row(
            "authorization.k8s.io/v1",
            "localsubjectaccessreviews",
            "LocalSubjectAccessReview",
            NAMESPACED,
            verbs(&["create"]),
        ),
        row(
            "authorization.k8s.io/v1",
            "selfsubjectaccessreviews",
            "SelfSubjectAccessReview",
            CLUSTER,
            verbs(&["create"]),
        ),
        row(
            "authorization.k8s.io/v1",
            "selfsubjectrulesreviews",
            "SelfSubjectRulesReview",
            CLUSTER,
            verbs(&["create"]),
        ),
        row("authorization.k8s.io/v1", "subjectaccessreviews", "SubjectAccessReview", CLUSTER, verbs(&["create"])),
        row("autoscaling/v2", "horizontalpodautoscalers", "HorizontalPodAutoscaler", NAMESPACED, ALL)
            .short(&["hpa"])
            .categories(&["all"])
            .status(),
        row("autoscaling/v1", "horizontalpodautoscalers", "HorizontalPodAutoscaler", NAMESPACED, ALL)
            .short(&["hpa"])
            .categories(&["all"])
            .status()
            .stored_as("autoscaling/v2"),
        row("batch/v1", "cronjobs", "CronJob", NAMESPACED, ALL).short(&["cj"]).categories(&["all"]).status(),
        row("batch/v1", "jobs", "Job", NAMESPACED, ALL).categories(&["all"]).status(),
        row("certificates.k8s.io/v1", "certificatesigningrequests", "CertificateSigningRequest", CLUSTER, ALL)
            .short(&["csr"])
            .sub("approval", "certificates.k8s.io/v1", "CertificateSigningRequest", verbs(&["get", "patch", "update"]))
            .status(),
        row("networking.k8s.io/v1", "ingressclasses", "IngressClass", CLUSTER, ALL),
        row("networking.k8s.io/v1", "ingresses", "Ingress", NAMESPACED, ALL).short(&["ing"]).status().at("ingress"),
        row("networking.k8s.io/v1", "ipaddresses", "IPAddress", CLUSTER, ALL).short(&["ip"]),
        row("networking.k8s.io/v1", "networkpolicies", "NetworkPolicy", NAMESPACED, ALL).short(&["netpol"]),
        row("networking.k8s.io/v1", "servicecidrs", "ServiceCIDR", CLUSTER, ALL).status(),
        row("policy/v1", "poddisruptionbudgets", "PodDisruptionBudget", NAMESPACED, ALL).short(&["pdb"]).status(),
        row("rbac.authorization.k8s.io/v1", "clusterrolebindings", "ClusterRoleBinding", CLUSTER, ALL),
        row("rbac.authorization.k8s.io/v1", "clusterroles", "ClusterRole", CLUSTER, ALL),
        row("rbac.authorization.k8s.io/v1", "rolebindings", "RoleBinding", NAMESPACED, ALL),
        row("rbac.authorization.k8s.io/v1", "roles", "Role", NAMESPACED, ALL),
        row("storage.k8s.io/v1", "csidrivers", "CSIDriver", CLUSTER, ALL),
        row("storage.k8s.io/v1", "csinodes", "CSINode", CLUSTER, ALL),
        row("storage.k8s.io/v1", "csistoragecapacities", "CSIStorageCapacity", NAMESPACED, ALL),
        row("storage.k8s.io/v1", "storageclasses", "StorageClass", CLUSTER, ALL).short(&["sc"]),
        row("storage.k8s.io/v1", "volumeattachments", "VolumeAttachment", CLUSTER, ALL).status(),
        row("storage.k8s.io/v1", "volumeattributesclasses", "VolumeAttributesClass", CLUSTER, ALL).short(&["vac"]),
        row("admissionregistration.k8s.io/v1", "mutatingadmissionpolicies", "MutatingAdmissionPolicy", CLUSTER, ALL)
            .categories(&["api-extensions"]),
        row(
            "admissionregistration.k8s.io/v1",
            "mutatingadmissionpolicybindings",
            "MutatingAdmissionPolicyBinding",
            CLUSTER,
            ALL,
        )
        .categories(&["api-extensions"]),
        row(
            "admissionregistration.k8s.io/v1",
            "mutatingwebhookconfigurations",
            "MutatingWebhookConfiguration",
            CLUSTER,
            ALL,
        )
        .categories(&["api-extensions"]),
        row(
            "admissionregistration.k8s.io/v1",
            "validatingadmissionpolicies",
            "ValidatingAdmissionPolicy",
            CLUSTER,
            ALL,
        )
        .categories(&["api-extensions"])
        .status(),
        row(
            "admissionregistration.k8s.io/v1",
            "validatingadmissionpolicybindings",
            "ValidatingAdmissionPolicyBinding",
            CLUSTER,
            ALL,
        )
        .categories(&["api-extensions"]),
        row(
            "admissionregistration.k8s.io/v1",
            "validatingwebhookconfigurations",
            "ValidatingWebhookConfiguration",
            CLUSTER,
            ALL,
        )
        .categories(&["api-extensions"]),
        row("apiextensions.k8s.io/v1", "customresourcedefinitions", "CustomResourceDefinition", CLUSTER, ALL)
            .short(&["crd", "crds"])
            .categories(&["api-extensions"])
            .status()
            .at("apiextensions.k8s.io/customresourcedefinitions"),
        row("scheduling.k8s.io/v1", "priorityclasses", "PriorityClass", CLUSTER, ALL).short(&["pc"]),
        row("coordination.k8s.io/v1", "leases", "Lease", NAMESPACED, ALL),
        row("node.k8s.io/v1", "runtimeclasses", "RuntimeClass", CLUSTER, ALL),
        row("discovery.k8s.io/v1", "endpointslices", "EndpointSlice", NAMESPACED, ALL),
        row("resource.k8s.io/v1", "deviceclasses", "DeviceClass", CLUSTER, ALL),
        row("resource.k8s.io/v1", "resourceclaims", "ResourceClaim", NAMESPACED, ALL).status(),
        row("resource.k8s.io/v1", "resourceclaimtemplates", "ResourceClaimTemplate", NAMESPACED, ALL),
        row("resource.k8s.io/v1", "resourceslices", "ResourceSlice", CLUSTER, ALL),
        row("flowcontrol.apiserver.k8s.io/v1", "flowschemas", "FlowSchema", CLUSTER, ALL).status(),
        row(
            "flowcontrol.apiserver.k8s.io/v1",
            "prioritylevelconfigurations",
            "PriorityLevelConfiguration",
            CLUSTER,
            ALL,
        )
        .status(),
    ]
}
