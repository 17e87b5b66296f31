//! What the kubelet counts of its own work, under upstream's names.

use std::time::Duration;

use observe::metrics::{Counter, Family, Histogram, Registry};
use podplan::probe::Kind;
use typed::api::core::v1::Pod;

use crate::checks::{Health, Outcome};

/// The upper bounds of durations, in seconds.
const SECONDS: &[f64] = &[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// What is counted.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    probes: Registry,
    probed: Family<Counter>,
    images_collected: Family<Counter>,
    evictions: Family<Counter>,
    relists: Family<Histogram>,
    image_volumes: [Family<Counter>; 3],
}

impl Default for Metrics {
    fn default() -> Metrics {
        let (registry, probes) = (Registry::new(), Registry::new());
        let image_volume = |name, help| registry.counter(name, help, &[]);
        let image_volumes = [
            image_volume("kubelet_image_volume_requested_total", "[BETA] Number of requested image volumes."),
            image_volume(
                "kubelet_image_volume_mounted_succeed_total",
                "[BETA] Number of successful image volume mounts.",
            ),
            image_volume("kubelet_image_volume_mounted_errors_total", "[BETA] Number of failed image volume mounts."),
        ];
        // They are shown before anything has happened, as upstream's are.
        image_volumes.iter().for_each(|family| family.with(&[]).add(0));
        Metrics {
            probed: probes.counter(
                "prober_probe_total",
                "[BETA] Cumulative number of a liveness, readiness or startup probe for a container by result.",
                &["container", "namespace", "pod", "pod_uid", "probe_type", "result"],
            ),
            images_collected: registry.counter(
                "kubelet_image_garbage_collected_total",
                "[ALPHA] Total number of images garbage collected by the kubelet, whether through disk usage or image age.",
                &["reason"],
            ),
            evictions: registry.counter(
                "kubelet_evictions",
                "[ALPHA] Cumulative number of pod evictions by eviction signal",
                &["eviction_signal"],
            ),
            relists: registry.histogram(
                "kubelet_pleg_relist_duration_seconds",
                "[ALPHA] Duration in seconds for relisting pods in PLEG.",
                &[],
                SECONDS,
            ),
            image_volumes,
            registry,
            probes,
        }
    }
}

/// What became of an image volume.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ImageVolume {
    /// A container with it is about to be made.
    Requested,
    /// It was made.
    Mounted,
    /// It was not.
    Failed,
}

impl Metrics {
    /// What is counted of the kubelet, of its process and of its build.
    pub(crate) fn encode(&self) -> String {
        self.registry.encode()
    }

    /// What is counted of probes.
    pub(crate) fn encode_probes(&self) -> String {
        self.probes.encode()
    }

    /// A container was probed.
    pub(crate) fn probed(&self, pod: &Pod, container: &str, kind: Kind, outcome: &Outcome) {
        let result = match outcome {
            Ok((Health::Unwell, _)) => "failed",
            Ok(_) => "successful",
            Err(_) => "unknown",
        };
        self.probed.with(&labels(pod, container, kind.text(), result)).inc();
    }

    /// A container is probed no more.
    pub(crate) fn forget_probes(&self, pod: &Pod, container: &str, kind: Kind) {
        for result in ["failed", "successful", "unknown"] {
            self.probed.remove(&labels(pod, container, kind.text(), result));
        }
    }

    /// An image was removed, for its `age` or for `space`.
    pub(crate) fn image_collected(&self, reason: &str) {
        self.images_collected.with(&[reason]).inc();
    }

    /// A pod was evicted because of `signal`.
    pub(crate) fn evicted(&self, signal: &str) {
        self.evictions.with(&[signal]).inc();
    }

    /// The whole node was looked at.
    pub(crate) fn relisted(&self, took: Duration) {
        self.relists.with(&[]).observe(took.as_secs_f64());
    }

    /// Something became of so many image volumes.
    pub(crate) fn image_volumes(&self, what: ImageVolume, count: usize) {
        let family = &self.image_volumes[what as usize];
        family.with(&[]).add(u64::try_from(count).unwrap_or(u64::MAX));
    }
}

fn labels<'a>(pod: &'a Pod, container: &'a str, kind: &'a str, result: &'a str) -> [&'a str; 6] {
    let text = |value: &'a Option<String>| value.as_deref().unwrap_or_default();
    let meta = &pod.metadata;
    [container, text(&meta.namespace), text(&meta.name), text(&meta.uid), kind, result]
}
