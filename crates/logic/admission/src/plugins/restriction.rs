//! NodeRestriction: a kubelet writes its own node, its own lease and the pods that run on it, and nothing else.

mod audiences;

use authz::Attributes;
use kind::{Operation, Refusal};
use object::Meta;
use object::Value;

use crate::request::{Fact, Facts, Request, not_found};
use crate::tree::{self, MIRROR};

const LEASES: &str = "kube-node-lease";
const RESTRICTED: &str = "node-restriction.kubernetes.io";
/// Labels of Kubernetes' own namespaces that a kubelet may set on its node.
const OWN_LABELS: [&str; 11] = [
    "kubernetes.io/hostname",
    "topology.kubernetes.io/zone",
    "topology.kubernetes.io/region",
    "failure-domain.beta.kubernetes.io/zone",
    "failure-domain.beta.kubernetes.io/region",
    "beta.kubernetes.io/instance-type",
    "node.kubernetes.io/instance-type",
    "kubernetes.io/os",
    "kubernetes.io/arch",
    "beta.kubernetes.io/os",
    "beta.kubernetes.io/arch",
];

pub(super) fn judge(request: &Request<'_>, facts: &dyn Facts, object: Option<&Value>) -> Result<(), Refusal> {
    let node = match authz::node_of(request.user) {
        None => return Ok(()),
        Some("") => {
            let text = format!("could not determine node from user {:?}", request.user.name);
            return Err(request.forbidden(object, text));
        }
        Some(node) => node,
    };
    let asked = Asked { request, facts, object, node };
    match (request.resource.group.as_str(), request.resource.plural.as_str(), request.subresource) {
        ("", "pods", "") => asked.pod(),
        ("", "pods", "status") => asked.pod_status(),
        ("", "pods", "eviction") => asked.eviction(),
        ("", "pods", other) => {
            asked.refuse(format!("unexpected pod subresource {other:?}, only 'status' and 'eviction' are allowed"))
        }
        ("", "nodes", _) => asked.node(),
        ("", "persistentvolumeclaims", "status") => asked.claim_status(),
        ("", "persistentvolumeclaims", _) => asked.refuse("may only update PVC status"),
        ("", "serviceaccounts", "token") => asked.token(),
        ("coordination.k8s.io", "leases", _) => asked.lease(),
        ("storage.k8s.io", "csinodes", _) => asked.own("CSINode"),
        ("resource.k8s.io", "resourceslices", _) => asked.slice(),
        _ => Ok(()),
    }
}

/// A write by a node.
struct Asked<'a> {
    request: &'a Request<'a>,
    facts: &'a dyn Facts,
    object: Option<&'a Value>,
    node: &'a str,
}

impl Asked<'_> {
    fn refuse(&self, text: impl Into<String>) -> Result<(), Refusal> {
        Err(self.request.forbidden(self.object, text))
    }

    /// The object that comes in. Deletions bring none and are judged by what is stored.
    fn incoming(&self) -> Result<&Value, Refusal> {
        self.object.or(self.request.old).ok_or_else(|| self.request.forbidden(None, "unexpected type <nil>"))
    }

    fn unexpected(&self) -> Result<(), Refusal> {
        self.refuse(format!("unexpected operation {:?}", self.request.operation.name()))
    }

    fn pod(&self) -> Result<(), Refusal> {
        let node = self.node;
        match self.request.operation {
            Operation::Create => self.mirror_pod(self.incoming()?),
            Operation::Delete => {
                let Some(pod) = self.stored_pod(self.request.name) else {
                    return Err(not_found(Fact::Pod, self.request.name));
                };
                self.on_this_node(&pod, format!("node {node:?} can only delete pods with spec.nodeName set to itself"))
            }
            other => {
                let name = other.name();
                self.refuse(format!(
                    "unexpected operation {name:?}, node {node:?} can only create and delete mirror pods"
                ))
            }
        }
    }

    fn stored_pod(&self, name: &str) -> Option<std::sync::Arc<Value>> {
        self.facts.get(Fact::Pod, self.request.namespace, name)
    }

    fn on_this_node(&self, pod: &Value, text: String) -> Result<(), Refusal> {
        if tree::text(pod, &["spec", "nodeName"]) == self.node { Ok(()) } else { self.refuse(text) }
    }

    fn mirror_pod(&self, pod: &Value) -> Result<(), Refusal> {
        let node = self.node;
        if !tree::is_mirror(pod) {
            let text = format!("pod does not have {MIRROR:?} annotation, node {node:?} can only create mirror pods");
            return self.refuse(text);
        }
        self.on_this_node(pod, format!("node {node:?} can only create pods with spec.nodeName set to itself"))?;
        self.owned_by_node(pod)?;
        let Some(spec) = pod.get("spec") else { return Ok(()) };
        let volumes = spec.list_at(&["volumes"]);
        let projects_bundle =
            |volume: &Value| tree::projections(volume).any(|source| tree::is_set(source, &["clusterTrustBundle"]));
        let what = if !tree::text(spec, &["serviceAccountName"]).is_empty() {
            "a service account"
        } else if !tree::secrets(spec).is_empty() {
            "secrets"
        } else if tree::has_config_map(spec) {
            "configmaps"
        } else if volumes.iter().any(projects_bundle) {
            "clustertrustbundles"
        } else if volumes.iter().any(|volume| tree::is_set(volume, &["persistentVolumeClaim"])) {
            "persistentvolumeclaims"
        } else if !spec.list_at(&["resourceClaims"]).is_empty() {
            "resourceclaims"
        } else {
            return Ok(());
        };
        self.refuse(format!("node {node:?} can not create pods that reference {what}"))
    }

    fn owned_by_node(&self, pod: &Value) -> Result<(), Refusal> {
        let node = self.node;
        let owners: Vec<_> = Meta::of(pod).owner_references().collect();
        let owner = match owners.as_slice() {
            [one] => one,
            [] => {
                return self
                    .refuse(format!("node {node:?} can only create pods with an owner reference set to itself"));
            }
            _ => {
                return self
                    .refuse(format!("node {node:?} can only create pods with a single owner reference set to itself"));
            }
        };
        if (owner.api_version, owner.kind, owner.name) != ("v1", "Node", node) {
            return self.refuse(format!("node {node:?} can only create pods with an owner reference set to itself"));
        }
        if !owner.controller {
            let text = format!("node {node:?} can only create pods with a controller owner reference set to itself");
            return self.refuse(text);
        }
        if owner.block_owner_deletion {
            return self.refuse(format!("node {node:?} must not set blockOwnerDeletion on an owner reference"));
        }
        let Some(stored) = self.facts.get(Fact::Node, "", node) else { return Err(not_found(Fact::Node, node)) };
        let uid = Meta::of(&stored).uid();
        if owner.uid != uid {
            return self.refuse(format!("node {node} UID mismatch: expected {} got {uid}", owner.uid));
        }
        Ok(())
    }

    fn pod_status(&self) -> Result<(), Refusal> {
        let (Operation::Update, Some(old)) = (self.request.operation, self.request.old) else {
            return self.unexpected();
        };
        let (node, new) = (self.node, self.incoming()?);
        let text = format!("node {node:?} can only update pod status for pods with spec.nodeName set to itself");
        self.on_this_node(old, text)?;
        if !same(old, new, &["metadata", "labels"]) {
            return self.refuse(format!("node {node:?} cannot update labels through pod status"));
        }
        if !same(old, new, &["status", "resourceClaimStatuses"]) {
            return self.refuse(format!("node {node:?} cannot update resource claim statues"));
        }
        if !same(old, new, &["status", "extendedResourceClaimStatus"]) {
            return self.refuse(format!("node {node:?} cannot update extended resource claim status"));
        }
        Ok(())
    }

    fn eviction(&self) -> Result<(), Refusal> {
        if self.request.operation != Operation::Create {
            return self.refuse(format!("unexpected operation {}", self.request.operation.name()));
        }
        let name = match self.request.name {
            "" => Meta::of(self.incoming()?).name(),
            name => name,
        };
        if name.is_empty() {
            return self.refuse("could not determine pod from request data");
        }
        let Some(pod) = self.stored_pod(name) else { return Err(not_found(Fact::Pod, name)) };
        self.on_this_node(&pod, format!("node {} can only evict pods with spec.nodeName set to itself", self.node))
    }

    fn claim_status(&self) -> Result<(), Refusal> {
        let (Operation::Update, Some(old)) = (self.request.operation, self.request.old) else {
            return self.unexpected();
        };
        let stripped = |claim: &Value| {
            let mut claim = claim.clone();
            for path in [["metadata", "resourceVersion"], ["metadata", "managedFields"]] {
                claim.remove(&path);
            }
            for field in ["capacity", "conditions", "allocatedResources", "allocatedResourceStatuses"] {
                claim.remove(&["status", field]);
            }
            claim
        };
        if stripped(old) != stripped(self.incoming()?) {
            let text = "is not allowed to update fields other than status.capacity and status.conditions";
            return self.refuse(format!("node {:?} {text}", self.node));
        }
        Ok(())
    }

    fn node(&self) -> Result<(), Refusal> {
        let node = self.node;
        let requested = match self.request.name {
            "" => self.object.map(|object| Meta::of(object).name()).unwrap_or_default(),
            name => name,
        };
        if requested != node {
            return self.refuse(format!("node {node:?} is not allowed to modify node {requested:?}"));
        }
        match (self.request.operation, self.request.old) {
            (Operation::Create, _) => {
                let new = self.incoming()?;
                if tree::is_set(new, &["spec", "configSource"]) {
                    return self
                        .refuse(format!("node {node:?} is not allowed to create pods with a non-nil configSource"));
                }
                match forbidden_labels(new, None).as_slice() {
                    [] => Ok(()),
                    labels => {
                        let labels = labels.join(", ");
                        self.refuse(format!("node {node:?} is not allowed to set the following labels: {labels}"))
                    }
                }
            }
            (Operation::Update, Some(old)) => self.node_update(old, self.incoming()?),
            _ => Ok(()),
        }
    }

    fn node_update(&self, old: &Value, new: &Value) -> Result<(), Refusal> {
        let node = self.node;
        if tree::is_set(new, &["spec", "configSource"]) && !same(old, new, &["spec", "configSource"]) {
            return self
                .refuse(format!("node {node:?} is not allowed to update configSource to a new non-nil configSource"));
        }
        if !same(old, new, &["spec", "taints"]) {
            return self.refuse(format!("node {node:?} is not allowed to modify taints"));
        }
        if !same(old, new, &["metadata", "ownerReferences"]) {
            return self.refuse(format!("node {node:?} is not allowed to modify ownerReferences"));
        }
        match forbidden_labels(new, Some(old)).as_slice() {
            [] => Ok(()),
            labels => self.refuse(format!("is not allowed to modify labels: {}", labels.join(", "))),
        }
    }

    fn token(&self) -> Result<(), Refusal> {
        if self.request.operation != Operation::Create {
            return Ok(());
        }
        let reference = self.incoming()?.at(&["spec", "boundObjectRef"]);
        let field = |key| reference.map(|reference| tree::text(reference, &[key])).unwrap_or_default();
        let (name, uid) = (field("name"), field("uid"));
        if (field("apiVersion"), field("kind")) != ("v1", "Pod") || name.is_empty() {
            return self.refuse("node requested token not bound to a pod");
        }
        if uid.is_empty() {
            return self.refuse("node requested token with a pod binding without a uid");
        }
        let Some(pod) = self.stored_pod(name) else { return Err(not_found(Fact::Pod, name)) };
        if Meta::of(&pod).uid() != uid {
            return self.refuse(format!(
                "the UID in the bound object reference ({uid}) does not match the UID in record. The object might have been \
                 deleted and then recreated"
            ));
        }
        self.on_this_node(&pod, "node requested token bound to a pod scheduled on a different node".to_owned())?;
        self.audience(&pod)
    }

    /// A node asks for tokens of the audiences that its pod's volumes name, or that its user may ask for.
    fn audience(&self, pod: &Value) -> Result<(), Refusal> {
        let audience = match self.incoming()?.list_at(&["spec", "audiences"]) {
            [] => "",
            [one] => one.as_str().unwrap_or_default(),
            _ => return self.refuse("node may only request 0 or 1 audiences"),
        };
        let Request { user, namespace, name, .. } = *self.request;
        let asked = Attributes {
            verb: "request-serviceaccounts-token-audience",
            version: "v1",
            namespace,
            resource: audience,
            name,
            ..Attributes::default()
        };
        let named = audiences::named(self.facts, namespace, pod, audience);
        if named || (!audience.is_empty() && self.facts.allows(user, &asked)) {
            return Ok(());
        }
        self.refuse(format!(
            "audience {audience:?} not found in pod spec volume, {} is not authorized to request tokens for this audience",
            user.name
        ))
    }

    fn lease(&self) -> Result<(), Refusal> {
        if self.request.namespace != LEASES {
            return self.refuse(format!("can only access leases in the {LEASES:?} system namespace"));
        }
        self.own("node lease")
    }

    /// On creation the path names no object: the object does.
    fn own(&self, what: &str) -> Result<(), Refusal> {
        let name = match self.request.operation {
            Operation::Create => Meta::of(self.incoming()?).name(),
            _ => self.request.name,
        };
        if name == self.node {
            return Ok(());
        }
        self.refuse(format!("can only access {what} with the same name as the requesting node"))
    }

    fn slice(&self) -> Result<(), Refusal> {
        let (slice, verb) = match (self.request.operation, self.request.old) {
            (Operation::Create, _) => (self.incoming()?, "create"),
            (Operation::Delete, Some(old)) => (old, "delete"),
            _ => return Ok(()),
        };
        if tree::text(slice, &["spec", "nodeName"]) == self.node {
            return Ok(());
        }
        self.refuse(format!("can only {verb} ResourceSlice with the same NodeName as the requesting node"))
    }
}

/// Whether the same stands at `keys`; nothing and something empty are the same.
fn same(old: &Value, new: &Value, keys: &[&str]) -> bool {
    let found = |value: &Value| {
        value.at(keys).cloned().filter(|found| match found {
            Value::Null => false,
            Value::Map(map) => !map.is_empty(),
            Value::List(items) => !items.is_empty(),
            _ => true,
        })
    };
    found(old) == found(new)
}

/// The changed labels that a node may not change, sorted.
fn forbidden_labels(new: &Value, old: Option<&Value>) -> Vec<String> {
    let labels =
        |object: Option<&Value>| object.and_then(|object| object.at(&["metadata", "labels"])?.as_map().cloned());
    let (new, old) = (labels(Some(new)).unwrap_or_default(), labels(old).unwrap_or_default());
    let mut keys: Vec<String> = new.keys().chain(old.keys()).map(str::to_owned).collect();
    keys.sort_unstable();
    keys.dedup();
    keys.retain(|key| new.get(key) != old.get(key) && is_forbidden_label(key));
    keys
}

fn is_forbidden_label(key: &str) -> bool {
    let namespace = key.split_once('/').map(|(namespace, _)| namespace).unwrap_or_default();
    let within =
        |parent: &str| namespace == parent || namespace.strip_suffix(parent).is_some_and(|head| head.ends_with('.'));
    let of_kubernetes = within("kubernetes.io") || within("k8s.io");
    let own = OWN_LABELS.contains(&key) || within("kubelet.kubernetes.io") || within("node.kubernetes.io");
    within(RESTRICTED) || (of_kubernetes && !own)
}
