//! Nodes as rows and columns: resources and tallies in flat vectors by slot, the rest in one row per node.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use typed::api::core::v1::{Node, Taint};
use typed::resource::Quantity;

use crate::ids::{Dim, NodeIx, PodIx};
use crate::quantity;
use crate::resources::{CPU, MEMORY, PODS, Usage};

/// Kinds of resources that are told apart; further ones share the last column.
pub(crate) const RESOURCE_KINDS_MAX: usize = 64;

/// A port a pod takes on its node.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct HostPort {
    pub(crate) address: String,
    pub(crate) protocol: String,
    pub(crate) port: i32,
}

impl HostPort {
    /// Whether both cannot be had at once; `0.0.0.0` overlaps every address.
    pub(crate) fn conflicts(&self, other: &Self) -> bool {
        let any = |port: &Self| port.address == "0.0.0.0";
        self.port == other.port
            && self.protocol == other.protocol
            && (any(self) || any(other) || self.address == other.address)
    }
}

/// What is known of one node besides the columns.
#[derive(Debug, Default)]
pub(crate) struct NodeRow {
    pub(crate) name: Arc<str>,
    /// Absent while pods stand on a node that was not seen yet, or no more.
    pub(crate) object: Option<Arc<Node>>,
    pub(crate) pods: Vec<PodIx>,
    pub(crate) ports: Vec<HostPort>,
    pub(crate) taints: Vec<Taint>,
    pub(crate) unschedulable: bool,
    pub(crate) features: Vec<String>,
    /// Images on the node, by normalised name.
    pub(crate) images: Vec<String>,
    /// The lowest priority among the node's pods, which tells at a glance whether preemption can help.
    pub(crate) priorities: BTreeMap<i32, u32>,
}

impl NodeRow {
    /// Whether the node exists and may be scheduled to.
    pub(crate) fn live(&self) -> bool {
        self.object.is_some()
    }
}

/// Node names, rows and resource columns.
#[derive(Debug)]
pub(crate) struct Nodes {
    pub(crate) rows: Vec<NodeRow>,
    by_name: HashMap<Arc<str>, NodeIx>,
    free: Vec<NodeIx>,
    pub(crate) live: usize,
    pub(crate) dims: Dims,
    /// Allocatable by resource and slot.
    pub(crate) allocatable: Vec<Vec<i64>>,
    /// Requested by the pods on the node, by resource and slot.
    pub(crate) requested: Vec<Vec<i64>>,
    /// CPU and memory with a minimum for containers that ask for nothing, for scoring.
    pub(crate) nonzero: [Vec<i64>; 2],
}

/// Resource names and their columns.
#[derive(Debug)]
pub(crate) struct Dims {
    names: Vec<String>,
    ids: HashMap<String, Dim>,
}

impl Default for Dims {
    fn default() -> Self {
        let names: Vec<String> = ["cpu", "memory", "ephemeral-storage", "pods"].map(str::to_owned).into();
        let ids = names.iter().enumerate().map(|(index, name)| (name.clone(), Dim(index))).collect();
        Self { names, ids }
    }
}

impl Dims {
    pub(crate) fn of(&mut self, name: &str) -> Dim {
        if let Some(&dim) = self.ids.get(name) {
            return dim;
        }
        if self.names.len() == RESOURCE_KINDS_MAX {
            return Dim(RESOURCE_KINDS_MAX - 1);
        }
        let dim = Dim(self.names.len());
        self.names.push(name.to_owned());
        self.ids.insert(name.to_owned(), dim);
        dim
    }

    pub(crate) fn name(&self, dim: Dim) -> &str {
        &self.names[dim.0]
    }

    pub(crate) fn len(&self) -> usize {
        self.names.len()
    }
}

impl Default for Nodes {
    fn default() -> Self {
        let four = || vec![Vec::new(); 4];
        Self {
            rows: Vec::new(),
            by_name: HashMap::new(),
            free: Vec::new(),
            live: 0,
            dims: Dims::default(),
            allocatable: four(),
            requested: four(),
            nonzero: Default::default(),
        }
    }
}

impl Nodes {
    pub(crate) fn find(&self, name: &str) -> Option<NodeIx> {
        self.by_name.get(name).copied()
    }

    /// The slot of `name`, made when new. The caller grows its own columns to [`Nodes::slots`].
    pub(crate) fn slot(&mut self, name: &str) -> NodeIx {
        if let Some(node) = self.find(name) {
            return node;
        }
        let name: Arc<str> = name.into();
        let row = NodeRow { name: Arc::clone(&name), ..NodeRow::default() };
        let node = if let Some(node) = self.free.pop() {
            self.rows[node.0] = row;
            node
        } else {
            self.rows.push(row);
            let columns = self.allocatable.iter_mut().chain(&mut self.requested).chain(&mut self.nonzero);
            columns.for_each(|column| column.push(0));
            NodeIx(self.rows.len() - 1)
        };
        self.by_name.insert(name, node);
        node
    }

    /// Frees the slot of a node that is gone and empty.
    pub(crate) fn retire(&mut self, node: NodeIx) {
        let row = &self.rows[node.0];
        if row.object.is_none() && row.pods.is_empty() {
            self.by_name.remove(&row.name);
            self.free.push(node);
        }
    }

    pub(crate) fn slots(&self) -> usize {
        self.rows.len()
    }

    pub(crate) fn row(&self, node: NodeIx) -> &NodeRow {
        &self.rows[node.0]
    }

    pub(crate) fn name(&self, node: NodeIx) -> &Arc<str> {
        &self.rows[node.0].name
    }

    /// The column of a resource, made when new.
    pub(crate) fn dim(&mut self, name: &str) -> Dim {
        let dim = self.dims.of(name);
        while self.allocatable.len() < self.dims.len() {
            self.allocatable.push(vec![0; self.rows.len()]);
            self.requested.push(vec![0; self.rows.len()]);
        }
        dim
    }

    /// Takes the node object in: allocatable resources, taints, images.
    pub(crate) fn enter(&mut self, node: NodeIx, object: Arc<Node>) {
        self.allocatable.iter_mut().for_each(|column| column[node.0] = 0);
        let empty = BTreeMap::new();
        let status = object.status.as_ref();
        for (name, amount) in status.and_then(|status| status.allocatable.as_ref()).unwrap_or(&empty) {
            let dim = self.dim(name);
            self.allocatable[dim.0][node.0] = amount_of(dim, amount);
        }
        let row = &mut self.rows[node.0];
        let spec = object.spec.as_ref();
        row.taints = spec.and_then(|spec| spec.taints.clone()).unwrap_or_default();
        row.unschedulable = spec.and_then(|spec| spec.unschedulable).unwrap_or(false);
        row.features = status.and_then(|status| status.declared_features.clone()).unwrap_or_default();
        self.live += usize::from(row.object.is_none());
        row.object = Some(object);
    }

    /// Takes the node object out; its pods remain until they go themselves.
    pub(crate) fn leave(&mut self, node: NodeIx) {
        let row = &mut self.rows[node.0];
        self.live -= usize::from(row.object.take().is_some());
        row.taints.clear();
        row.features.clear();
        row.unschedulable = false;
        self.allocatable.iter_mut().for_each(|column| column[node.0] = 0);
    }

    /// Adds (`sign` 1) or takes back (`sign` -1) what a pod uses.
    pub(crate) fn charge(&mut self, node: NodeIx, usage: &Usage, sign: i64) {
        for &(dim, amount) in &usage.requests {
            self.requested[dim.0][node.0] += sign * amount;
        }
        self.requested[PODS.0][node.0] += sign;
        self.nonzero[CPU.0][node.0] += sign * usage.nonzero[CPU.0];
        self.nonzero[MEMORY.0][node.0] += sign * usage.nonzero[MEMORY.0];
    }
}

/// The integer a resource is compared in: thousandths for CPU, units for the rest.
pub(crate) fn amount_of(dim: Dim, amount: &Quantity) -> i64 {
    if dim == CPU { quantity::milli(amount) } else { quantity::whole(amount) }
}
