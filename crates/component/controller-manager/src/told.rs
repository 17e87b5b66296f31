//! What the controller manager says of itself: a check per controller, what its queues count, its settings.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use object::Value;
use observe::pulse::Pulse;
use vitals::{Sight, Vitals};
use workqueue::Controller;

use crate::Config;

/// What others see of a controller manager.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) vitals: Arc<Vitals>,
    pub(crate) sight: Sight,
}

impl Told {
    /// The vitals of a manager that has not begun.
    pub(crate) fn new() -> Told {
        let vitals = Vitals::new();
        Told { sight: Sight::told_to(&vitals), vitals }
    }

    /// Adds a check for each controller, by its name, and gives each loop the pulse that is felt there.
    pub(crate) fn controllers(&self, wired: Vec<(&'static str, Controller)>) -> Vec<(&'static str, Controller, Pulse)> {
        let mut pulses: BTreeMap<&'static str, Vec<Pulse>> = BTreeMap::new();
        let felt = wired.into_iter().map(|(name, controller)| {
            let pulse = Pulse::default();
            pulses.entry(name).or_default().push(pulse.clone());
            (name, controller, pulse)
        });
        let felt: Vec<_> = felt.collect();
        for (name, pulses) in pulses {
            // A queue's loop is never at one piece of work for long: keys are worked on beside it.
            let check = move || pulses.iter().try_for_each(|pulse| pulse.check(Duration::MAX));
            self.vitals.alive_while(name, check);
        }
        felt
    }

    /// The settings that hold.
    pub(crate) fn settings(&self, config: &Config) {
        let mut tree = Value::from_pairs([
            ("apiVersion", Value::from("kubecontrollermanager.config.k8s.io/v1alpha1")),
            ("kind", Value::from("KubeControllerManagerConfiguration")),
        ]);
        let controllers: Vec<&str> = crate::roster::CONTROLLERS
            .iter()
            .filter(|row| row.built && config.selection.runs(row, |_gate| false))
            .map(|row| row.name)
            .collect();
        tree.set(&["Generic", "Controllers"], controllers);
        tree.set(&["Generic", "LeaderElection", "leaderElect"], config.candidate.is_some());
        let ranges: Vec<&str> = config.cluster_ranges.iter().map(|(range, _)| range.as_str()).collect();
        tree.set(&["KubeCloudShared", "ClusterCIDR"], ranges.join(","));
        tree.set(&["KubeCloudShared", "AllocateNodeCIDRs"], !ranges.is_empty());
        let threshold = i64::try_from(config.ended_pods_max).unwrap_or(i64::MAX);
        tree.set(&["PodGCController", "TerminatedPodGCThreshold"], threshold);
        let signing = format!("{}s", config.signing_validity.as_secs());
        tree.set(&["CSRSigningController", "ClusterSigningDuration"], signing);
        self.vitals.settings_are("kubecontrollermanager.config.k8s.io", tree);
    }
}
