//! What a kubelet may do: read what the pods on its node need, and write what is its own.
//!
//! Rules: `k8s.io/kubernetes/plugin/pkg/auth/authorizer/node`. Reads of secrets, config maps, claims and volumes are
//! decided by [`NodeGraph`]; the rest by the rules of the cluster role `system:node`. What a create may contain is for
//! the admission plugin NodeRestriction.

mod graph;
mod references;

use std::sync::LazyLock;

use kind::User;
use typed::Kind;

use crate::policy::compiled::{Compiled, Question};
use crate::{Attributes, Decision, bootstrap};

pub use graph::NodeGraph;
use graph::Thing;

const LEASES: &str = "kube-node-lease";

/// The node that `user` speaks for: `None` when the user is no node, empty when it does not say which.
pub fn node_of(user: &User) -> Option<&str> {
    user.name.strip_prefix("system:node:").filter(|_| user.in_group("system:nodes"))
}

impl NodeGraph {
    /// The decision, with upstream's words for its reason.
    pub fn decide(&self, user: &User, attributes: &Attributes<'_>) -> Decision {
        let node = match node_of(user) {
            None => return no(""),
            Some("") => return no(format!("unknown node for user {:?}", user.name)),
            Some(node) => node,
        };
        let asked = Asked { graph: self, node, attributes };
        match (attributes.group, attributes.resource) {
            ("", "secrets") => asked.read_namespaced(Thing::Secret),
            ("", "configmaps") => asked.read_namespaced(Thing::ConfigMap),
            ("", "persistentvolumeclaims") if attributes.subresource == "status" => asked.update_claim_status(),
            ("", "persistentvolumeclaims") => asked.get(Thing::Claim),
            ("", "persistentvolumes") => asked.get(Thing::Volume),
            ("resource.k8s.io", "resourceclaims") => asked.get(Thing::ResourceClaim),
            ("storage.k8s.io", "volumeattachments") => asked.get(Thing::Attachment),
            ("", "serviceaccounts") => asked.service_account(),
            ("coordination.k8s.io", "leases") => asked.lease(),
            ("storage.k8s.io", "csinodes") => asked.csi_node(),
            ("resource.k8s.io", "resourceslices") => asked.resource_slice(),
            ("", "nodes") => asked.node(),
            ("", "pods") => asked.pod(),
            _ if node_role().allows(&Question::new(attributes)) => yes(),
            _ => no(""),
        }
    }
}

/// The rules that hold for all nodes alike.
fn node_role() -> &'static Compiled {
    static ROLE: LazyLock<Compiled> = LazyLock::new(|| {
        let role = bootstrap::bootstrap().cluster_roles.iter().find(|role| role.name() == "system:node");
        Compiled::new(role.and_then(|role| role.rules.as_deref()).unwrap_or_default())
    });
    &ROLE
}

fn yes() -> Decision {
    Decision::Allow(String::new())
}

fn no(reason: impl Into<String>) -> Decision {
    Decision::NoOpinion(reason.into())
}

/// A question by a node.
struct Asked<'a> {
    graph: &'a NodeGraph,
    node: &'a str,
    attributes: &'a Attributes<'a>,
}

impl Asked<'_> {
    fn related(&self, thing: Thing) -> Decision {
        let Attributes { namespace, name, .. } = *self.attributes;
        if name.is_empty() {
            return no("No Object name found");
        }
        if self.graph.reaches(self.node, thing, namespace, name) {
            return yes();
        }
        no(format!("no relationship found between node '{}' and this object", self.node))
    }

    fn read_namespaced(&self, thing: Thing) -> Decision {
        match self.attributes {
            asked if !asked.is_read_only() => no("can only read resources of this type"),
            asked if !asked.subresource.is_empty() => no("cannot read subresource"),
            asked if asked.namespace.is_empty() => no("can only read namespaced object of this type"),
            _ => self.related(thing),
        }
    }

    fn get(&self, thing: Thing) -> Decision {
        match self.attributes {
            asked if asked.verb != "get" => no("can only get individual resources of this type"),
            asked if !asked.subresource.is_empty() => no("cannot get subresource"),
            _ => self.related(thing),
        }
    }

    fn update_claim_status(&self) -> Decision {
        match self.attributes.verb {
            "update" | "patch" => self.related(Thing::Claim),
            _ => no("can only get/update/patch this type"),
        }
    }

    fn service_account(&self) -> Decision {
        match self.attributes {
            asked if asked.verb == "get" && asked.subresource.is_empty() => self.related(Thing::ServiceAccount),
            asked if asked.verb != "create" || asked.name.is_empty() => {
                no("can only create tokens for individual service accounts")
            }
            asked if asked.subresource != "token" => no("can only create token subresource of serviceaccount"),
            _ => self.related(Thing::ServiceAccount),
        }
    }

    /// On creation the name is not known yet; admission compares it.
    fn is_own_or_new(&self) -> bool {
        self.attributes.verb == "create" || self.attributes.name == self.node
    }

    fn writes_one(&self) -> bool {
        matches!(self.attributes.verb, "get" | "create" | "update" | "patch" | "delete")
    }

    fn lease(&self) -> Decision {
        if !self.writes_one() {
            no("can only get, create, update, patch, or delete a node lease")
        } else if self.attributes.namespace != LEASES {
            no(format!("can only access leases in the {LEASES:?} system namespace"))
        } else if !self.is_own_or_new() {
            no("can only access node lease with the same name as the requesting node")
        } else {
            yes()
        }
    }

    fn csi_node(&self) -> Decision {
        if !self.writes_one() {
            no("can only get, create, update, patch, or delete a CSINode")
        } else if !self.attributes.subresource.is_empty() {
            no("cannot authorize CSINode subresources")
        } else if !self.is_own_or_new() {
            no("can only access CSINode with the same name as the requesting node")
        } else {
            yes()
        }
    }

    fn selects_own(&self, field: &str) -> bool {
        self.attributes.fields.is_some_and(|fields| fields.exact(field) == Some(self.node))
    }

    fn resource_slice(&self) -> Decision {
        if !self.attributes.subresource.is_empty() {
            return no("cannot authorize ResourceSlice subresources");
        }
        match self.attributes.verb {
            "create" => yes(),
            "get" | "update" | "patch" | "delete" => self.related(Thing::Slice),
            "watch" | "list" | "deletecollection" if self.selects_own("nodeName") => yes(),
            "watch" | "list" | "deletecollection" => {
                no("can only list/watch/deletecollection resourceslices with nodeName field selector")
            }
            _ => no(
                "only the following verbs are allowed for a ResourceSlice: get, watch, list, create, update, patch, delete, \
                 deletecollection",
            ),
        }
    }

    fn node(&self) -> Decision {
        match (self.attributes.subresource, self.attributes.verb) {
            ("", "create" | "update" | "patch") | ("status", "update" | "patch") => yes(),
            ("", "get" | "list" | "watch") => match self.attributes.name {
                name if name == self.node => yes(),
                "" => no(format!("node '{}' cannot read all nodes, only its own Node object", self.node)),
                name => no(format!("node '{}' cannot read '{name}', only its own Node object", self.node)),
            },
            _ => no(""),
        }
    }

    fn pod(&self) -> Decision {
        match (self.attributes.subresource, self.attributes.verb) {
            ("", "get") => self.related(Thing::Pod),
            ("", "list" | "watch") if self.selects_own("spec.nodeName") => yes(),
            ("", "list" | "watch") if !self.attributes.name.is_empty() => self.related(Thing::Pod),
            ("", "list" | "watch") => no("can only list/watch pods with spec.nodeName field selector"),
            ("", "create" | "delete") | ("status", "update" | "patch") | ("eviction", "create") => yes(),
            _ => no(""),
        }
    }
}
