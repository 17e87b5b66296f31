//! `KubeSchedulerConfiguration` (kubescheduler.config.k8s.io/v1) as types, its defaults, and what is wrong with one.
//!
//! Reading it from YAML is the component's business. A [`Profile`] merges its plugin sets with the default ones the way
//! upstream does: `multiPoint` enables a plugin at all its points, a point's own set can disable it there or re-weigh it.

use std::time::Duration;

use typed::api::core::v1::{NodeAffinity, TopologySpreadConstraint};

/// The name that pods carry in `spec.schedulerName` unless they choose another.
pub const DEFAULT_SCHEDULER: &str = "default-scheduler";

/// The default plugins in order, with weights; 0 where a weight means nothing.
pub const DEFAULT_PLUGINS: [(&str, i64); 20] = [
    ("SchedulingGates", 0),
    ("PrioritySort", 0),
    ("NodeUnschedulable", 0),
    ("NodeName", 0),
    ("TaintToleration", 3),
    ("NodeAffinity", 2),
    ("NodePorts", 0),
    ("NodeResourcesFit", 1),
    ("VolumeRestrictions", 0),
    ("NodeVolumeLimits", 0),
    ("VolumeBinding", 0),
    ("VolumeZone", 0),
    ("PodTopologySpread", 2),
    ("InterPodAffinity", 2),
    ("DynamicResources", 2),
    ("DefaultPreemption", 0),
    ("NodeResourcesBalancedAllocation", 1),
    ("ImageLocality", 1),
    ("DefaultBinder", 0),
    ("NodeDeclaredFeatures", 0),
];

/// The scheduler's configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// One profile per scheduler name; at least one.
    pub profiles: Vec<Profile>,
    /// Percentage of nodes after which the search for feasible nodes ends; 0 looks at all nodes, which is cheap here.
    pub percentage_of_nodes_to_score: i32,
    /// The first wait of a pod that was refused.
    pub pod_initial_backoff: Duration,
    /// The longest wait of a pod that was refused.
    pub pod_backoff_max: Duration,
    /// How long a refused pod rests when no event wakes it.
    pub pod_unschedulable_max: Duration,
    /// Whether pods that wait out their back-off may go first when nothing else is to do.
    pub pop_from_backoff: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            profiles: vec![Profile::default()],
            percentage_of_nodes_to_score: 0,
            pod_initial_backoff: Duration::from_secs(1),
            pod_backoff_max: Duration::from_secs(10),
            pod_unschedulable_max: Duration::from_secs(300),
            pop_from_backoff: true,
        }
    }
}

/// How pods of one scheduler name are scheduled.
#[derive(Clone, Debug, PartialEq)]
pub struct Profile {
    /// The name that pods ask for in `spec.schedulerName`.
    pub scheduler_name: String,
    /// Overrides the configuration's percentage.
    pub percentage_of_nodes_to_score: Option<i32>,
    /// Changes to the default plugins.
    pub plugins: Plugins,
    /// Arguments of plugins.
    pub arguments: Arguments,
}

impl Default for Profile {
    fn default() -> Self {
        Self {
            scheduler_name: DEFAULT_SCHEDULER.to_owned(),
            percentage_of_nodes_to_score: None,
            plugins: Plugins::default(),
            arguments: Arguments::default(),
        }
    }
}

/// Plugin sets by extension point. Points without effect on a pure decision (`bind`, `reserve`, …) follow `multi_point`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plugins {
    /// All points of a plugin.
    pub multi_point: PluginSet,
    /// PreEnqueue only.
    pub pre_enqueue: PluginSet,
    /// PreFilter and Filter only.
    pub filter: PluginSet,
    /// PostFilter only.
    pub post_filter: PluginSet,
    /// PreScore and Score only.
    pub score: PluginSet,
}

/// Plugins switched on and off.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PluginSet {
    /// Names with weights (0: the default weight).
    pub enabled: Vec<(String, i64)>,
    /// Names; `*` switches all defaults off.
    pub disabled: Vec<String>,
}

impl PluginSet {
    fn disables(&self, name: &str) -> bool {
        self.disabled.iter().any(|other| other == "*" || other == name)
    }

    fn weight(&self, name: &str) -> Option<i64> {
        self.enabled.iter().find(|(other, _)| other == name).map(|&(_, weight)| weight)
    }
}

/// Arguments of the plugins that take some.
#[derive(Clone, Debug, PartialEq)]
pub struct Arguments {
    /// NodeResourcesFit: how to score.
    pub fit_scoring: ScoringStrategy,
    /// NodeResourcesFit: resources left to extenders.
    pub fit_ignored_resources: Vec<String>,
    /// NodeResourcesFit: resource groups left to extenders.
    pub fit_ignored_resource_groups: Vec<String>,
    /// NodeResourcesBalancedAllocation: resources to balance.
    pub balanced_resources: Vec<ResourceWeight>,
    /// InterPodAffinity: weight of a required term of a pod on a node, 0 to 100.
    pub hard_pod_affinity_weight: i64,
    /// InterPodAffinity: leave out preferences of pods on nodes for pods without preferences of their own.
    pub ignore_preferred_terms_of_existing_pods: bool,
    /// NodeAffinity: affinity added to every pod of the profile.
    pub added_affinity: Option<NodeAffinity>,
    /// PodTopologySpread: constraints of pods that have none.
    pub default_constraints: DefaultConstraints,
    /// DefaultPreemption: share of the nodes that is tried, in percent.
    pub preemption_candidates_percent_min: i64,
    /// DefaultPreemption: number of nodes that is tried at least.
    pub preemption_candidates_min: i64,
}

impl Default for Arguments {
    fn default() -> Self {
        Self {
            fit_scoring: ScoringStrategy::LeastAllocated(cpu_and_memory()),
            fit_ignored_resources: Vec::new(),
            fit_ignored_resource_groups: Vec::new(),
            balanced_resources: cpu_and_memory(),
            hard_pod_affinity_weight: 1,
            ignore_preferred_terms_of_existing_pods: false,
            added_affinity: None,
            default_constraints: DefaultConstraints::System,
            preemption_candidates_percent_min: 10,
            preemption_candidates_min: 100,
        }
    }
}

fn cpu_and_memory() -> Vec<ResourceWeight> {
    ["cpu", "memory"].map(|name| ResourceWeight { name: name.to_owned(), weight: 1 }).into()
}

/// A resource and how much it counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResourceWeight {
    /// The resource's name.
    pub name: String,
    /// 1 to 100.
    pub weight: i64,
}

/// How NodeResourcesFit scores.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ScoringStrategy {
    /// Prefers empty nodes.
    LeastAllocated(Vec<ResourceWeight>),
    /// Prefers full nodes.
    MostAllocated(Vec<ResourceWeight>),
    /// Scores by a line through points of utilization.
    RequestedToCapacityRatio {
        /// The resources looked at.
        resources: Vec<ResourceWeight>,
        /// Points with ascending utilization.
        shape: Vec<UtilizationPoint>,
    },
}

/// A point of the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UtilizationPoint {
    /// 0 to 100 percent.
    pub utilization: i32,
    /// 0 to 10.
    pub score: i32,
}

/// Spread constraints of pods that have none.
#[derive(Clone, Debug, PartialEq)]
pub enum DefaultConstraints {
    /// Soft spreading over zones (skew 5) and hosts (skew 3).
    System,
    /// These.
    List(Vec<TopologySpreadConstraint>),
}

impl DefaultConstraints {
    /// The constraints.
    pub(crate) fn list(&self) -> Vec<TopologySpreadConstraint> {
        let soft = |topology_key: &str, max_skew| TopologySpreadConstraint {
            topology_key: topology_key.to_owned(),
            max_skew,
            when_unsatisfiable: "ScheduleAnyway".to_owned(),
            ..TopologySpreadConstraint::default()
        };
        match self {
            Self::System => vec![soft("kubernetes.io/hostname", 3), soft("topology.kubernetes.io/zone", 5)],
            Self::List(list) => list.clone(),
        }
    }
}

/// One plugin of a resolved profile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Enabled {
    pub(crate) name: String,
    pub(crate) weight: i64,
    pub(crate) gates: bool,
    pub(crate) filters: bool,
    pub(crate) post_filters: bool,
    pub(crate) scores: bool,
}

impl Profile {
    /// The plugins in order, with the points at which each works.
    pub(crate) fn resolve(&self) -> Vec<Enabled> {
        let sets = &self.plugins;
        let mut names: Vec<(String, i64)> = Vec::new();
        for (name, weight) in DEFAULT_PLUGINS {
            let explicit = sets.multi_point.weight(name);
            if explicit.is_some() || !sets.multi_point.disables(name) {
                names.push((name.to_owned(), explicit.filter(|&weight| weight > 0).unwrap_or(weight)));
            }
        }
        let others = [&sets.multi_point, &sets.pre_enqueue, &sets.filter, &sets.post_filter, &sets.score];
        for (name, weight) in others.iter().flat_map(|set| &set.enabled) {
            if !names.iter().any(|(known, _)| known == name) {
                names.push((name.clone(), *weight));
            }
        }
        names.into_iter().map(|(name, weight)| self.points(name, weight)).collect()
    }

    fn points(&self, name: String, weight: i64) -> Enabled {
        let sets = &self.plugins;
        let everywhere = sets.multi_point.weight(&name).is_some() || !sets.multi_point.disables(&name);
        let at = |set: &PluginSet| set.weight(&name).is_some() || (everywhere && !set.disables(&name));
        let own = sets.score.weight(&name).filter(|&weight| weight > 0);
        let standard = DEFAULT_PLUGINS.iter().find(|(other, _)| *other == name).map_or(1, |&(_, weight)| weight);
        let weight = own.unwrap_or(if weight > 0 { weight } else { standard });
        Enabled {
            gates: at(&sets.pre_enqueue),
            filters: at(&sets.filter),
            post_filters: at(&sets.post_filter),
            scores: at(&sets.score),
            weight: weight.max(1),
            name,
        }
    }
}

/// What is wrong with a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The field, as upstream's validation names it.
    pub field: String,
    /// What is wrong.
    pub message: String,
}

impl Config {
    /// All problems; a configuration with any is refused.
    pub fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut problem = |field: String, message: &str| problems.push(Problem { field, message: message.to_owned() });
        if self.profiles.is_empty() {
            problem("profiles".to_owned(), "Required value");
        }
        if !(0..=100).contains(&self.percentage_of_nodes_to_score) {
            problem("percentageOfNodesToScore".to_owned(), "not in valid range [0-100]");
        }
        if self.pod_initial_backoff.is_zero() {
            problem("podInitialBackoffSeconds".to_owned(), "must be greater than 0");
        }
        if self.pod_backoff_max < self.pod_initial_backoff {
            problem("podMaxBackoffSeconds".to_owned(), "must be greater than or equal to PodInitialBackoffSeconds");
        }
        for (index, profile) in self.profiles.iter().enumerate() {
            if profile.scheduler_name.is_empty() {
                problem(format!("profiles[{index}].schedulerName"), "Required value");
            }
            if self.profiles[..index].iter().any(|other| other.scheduler_name == profile.scheduler_name) {
                problem(format!("profiles[{index}].schedulerName"), "Duplicate value");
            }
            if !(0..=100).contains(&profile.arguments.hard_pod_affinity_weight) {
                let field = format!("profiles[{index}].pluginConfig[InterPodAffinity].hardPodAffinityWeight");
                problem(field, "not in valid range [0-100]");
            }
            for plugin in profile.resolve() {
                if !DEFAULT_PLUGINS.iter().any(|(name, _)| *name == plugin.name) {
                    problem(format!("profiles[{index}].plugins"), &format!("{} does not exist", plugin.name));
                }
            }
        }
        problems
    }
}
