//! A profile put to work: its plugins made from configuration, in order, with the points at which each is on.

use std::fmt;

use typed::api::core::v1::{NodeSelectorTerm, TopologySpreadConstraint};

use crate::config::{Arguments, DefaultConstraints, Profile, ScoringStrategy};
use crate::framework::{Code, Plugin, Why};
use crate::ids::Dim;
use crate::plugins::balance::BalancedAllocation;
use crate::plugins::fit::{NodeResourcesFit, Strategy};
use crate::plugins::gates::{DynamicResources, Elsewhere, SchedulingGates};
use crate::plugins::images::ImageLocality;
use crate::plugins::interpod::InterPodAffinity;
use crate::plugins::node_affinity::NodeAffinity;
use crate::plugins::nodes::{NodeDeclaredFeatures, NodeName, NodeUnschedulable};
use crate::plugins::ports::NodePorts;
use crate::plugins::spread::PodTopologySpread;
use crate::plugins::taints::TaintToleration;
use crate::plugins::volume_binding::{REASONS, VolumeBinding};
use crate::plugins::volume_rules::{NodeVolumeLimits, VolumeRestrictions, VolumeZone};
use crate::resources::PODS;
use crate::snapshot::Snapshot;
use crate::snapshot::columns::NodeTerm;
use crate::snapshot::nodes::Nodes;

/// Plugins in one profile: a set of them is kept as bits.
pub(crate) const PLUGINS_MAX: usize = 32;

/// A set of a profile's plugins, by place.
pub(crate) type PluginBits = u32;

/// A plugin and where it is on.
#[derive(Debug)]
pub(crate) struct Seat {
    pub(crate) plugin: Box<dyn Plugin>,
    pub(crate) weight: i64,
    pub(crate) gates: bool,
    pub(crate) filters: bool,
    pub(crate) scores: bool,
}

/// A profile's plugins and settings.
pub(crate) struct Framework {
    pub(crate) name: String,
    pub(crate) seats: Vec<Seat>,
    pub(crate) percentage_of_nodes: i32,
    pub(crate) preempts: bool,
    /// Whether DynamicResources has its word in messages after Filter.
    pub(crate) deallocates: bool,
    pub(crate) default_spread: Vec<TopologySpreadConstraint>,
    pub(crate) system_spread: bool,
    pub(crate) candidates_percent_min: i64,
    pub(crate) candidates_min: i64,
}

impl fmt::Debug for Framework {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Framework").field("name", &self.name).field("seats", &self.seats).finish_non_exhaustive()
    }
}

impl Framework {
    /// Makes the profile's plugins; unknown names were refused by [`crate::config::Config::problems`].
    pub(crate) fn new(profile: &Profile, percentage: i32, snapshot: &mut Snapshot) -> Self {
        let enabled = profile.resolve();
        let arguments = &profile.arguments;
        let on = |name: &str| enabled.iter().any(|plugin| plugin.name == name && plugin.post_filters);
        let seat = |plugin: &crate::config::Enabled| {
            let made = make(&plugin.name, arguments, snapshot)?;
            let (gates, filters, scores) = (plugin.gates, plugin.filters, plugin.scores);
            Some(Seat { plugin: made, weight: plugin.weight, gates, filters, scores })
        };
        let (preempts, deallocates) = (on("DefaultPreemption"), on("DynamicResources"));
        let seats: Vec<Seat> = enabled.iter().filter_map(seat).take(PLUGINS_MAX).collect();
        let spreads = seats.iter().any(|seat| seat.plugin.name() == "PodTopologySpread");
        Self {
            name: profile.scheduler_name.clone(),
            seats,
            percentage_of_nodes: profile.percentage_of_nodes_to_score.unwrap_or(percentage),
            preempts,
            deallocates,
            default_spread: if spreads { arguments.default_constraints.list() } else { Vec::new() },
            system_spread: arguments.default_constraints == DefaultConstraints::System,
            candidates_percent_min: arguments.preemption_candidates_percent_min,
            candidates_min: arguments.preemption_candidates_min,
        }
    }
}

fn make(name: &str, arguments: &Arguments, snapshot: &mut Snapshot) -> Option<Box<dyn Plugin>> {
    Some(match name {
        "SchedulingGates" => Box::new(SchedulingGates),
        "NodeUnschedulable" => Box::new(NodeUnschedulable),
        "NodeName" => Box::new(NodeName),
        "TaintToleration" => Box::new(TaintToleration),
        "NodeAffinity" => Box::new(added_affinity(arguments, snapshot)),
        "NodePorts" => Box::new(NodePorts),
        "NodeResourcesFit" => Box::new(fit(arguments, &mut snapshot.nodes)),
        "VolumeRestrictions" => Box::new(VolumeRestrictions),
        "NodeVolumeLimits" => Box::new(NodeVolumeLimits),
        "VolumeBinding" => Box::new(VolumeBinding),
        "VolumeZone" => Box::new(VolumeZone),
        "PodTopologySpread" => Box::new(PodTopologySpread),
        "InterPodAffinity" => Box::new(InterPodAffinity {
            hard_weight: arguments.hard_pod_affinity_weight,
            ignores_preferred_of_existing: arguments.ignore_preferred_terms_of_existing_pods,
        }),
        "DynamicResources" => Box::new(DynamicResources),
        "NodeResourcesBalancedAllocation" => {
            let resources = arguments.balanced_resources.iter();
            let resources = resources.map(|resource| snapshot.nodes.dim(&resource.name)).collect();
            Box::new(BalancedAllocation { resources })
        }
        "ImageLocality" => Box::new(ImageLocality),
        "NodeDeclaredFeatures" => Box::new(NodeDeclaredFeatures),
        "PrioritySort" => Box::new(Elsewhere("PrioritySort")),
        "DefaultPreemption" => Box::new(Elsewhere("DefaultPreemption")),
        "DefaultBinder" => Box::new(Elsewhere("DefaultBinder")),
        _ => return None,
    })
}

fn fit(arguments: &Arguments, nodes: &mut Nodes) -> NodeResourcesFit {
    let (strategy, resources) = match &arguments.fit_scoring {
        ScoringStrategy::LeastAllocated(resources) => (Strategy::Least, resources),
        ScoringStrategy::MostAllocated(resources) => (Strategy::Most, resources),
        ScoringStrategy::RequestedToCapacityRatio { resources, shape } => (Strategy::Ratio(shape.clone()), resources),
    };
    NodeResourcesFit {
        strategy,
        resources: resources.iter().map(|resource| (nodes.dim(&resource.name), resource.weight)).collect(),
        ignored: arguments.fit_ignored_resources.clone(),
        ignored_groups: arguments.fit_ignored_resource_groups.clone(),
    }
}

fn added_affinity(arguments: &Arguments, snapshot: &mut Snapshot) -> NodeAffinity {
    let Some(added) = &arguments.added_affinity else { return NodeAffinity::default() };
    let (columns, rows) = (&mut snapshot.columns, &snapshot.nodes.rows);
    let mut compile = |term: &NodeSelectorTerm| NodeTerm::new(term, columns, rows);
    let required = added.required_during_scheduling_ignored_during_execution.as_ref();
    let required = required.map(|selector| selector.node_selector_terms.iter().map(&mut compile).collect());
    let preferred = added.preferred_during_scheduling_ignored_during_execution.iter().flatten();
    let preferred = preferred.map(|term| (compile(&term.preference), i64::from(term.weight))).collect();
    NodeAffinity { required, preferred }
}

/// The words of a refusal.
pub(crate) fn reasons(why: Why, snapshot: &Snapshot) -> Vec<String> {
    match why {
        Why::Text(text) => vec![text.to_owned()],
        Why::Volumes(bits) => {
            let set = REASONS.iter().enumerate().filter(|(bit, _)| bits >> bit & 1 == 1);
            set.map(|(_, text)| (*text).to_owned()).collect()
        }
        Why::Lacking(bits) => {
            let dims = &snapshot.nodes.dims;
            let set = (0..dims.len()).filter(|bit| bits >> bit & 1 == 1).map(Dim);
            let words = |dim: Dim| match dim {
                PODS => "Too many pods".to_owned(),
                dim => format!("Insufficient {}", dims.name(dim)),
            };
            set.map(words).collect()
        }
    }
}

/// A refusal's words with the number of nodes that gave it, in upstream's order: sorted as text, counts first.
pub(crate) fn histogram(counts: &std::collections::BTreeMap<String, usize>) -> String {
    let mut parts: Vec<String> = counts.iter().map(|(reason, count)| format!("{count} {reason}")).collect();
    parts.sort_unstable();
    parts.join(", ")
}

/// Whether preemption can be of help against the refusal.
pub(crate) fn may_yield(code: Code) -> bool {
    code == Code::Unschedulable
}
