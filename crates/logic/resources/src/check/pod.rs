//! New pods.

use kind::{Context, Problem};
use object::Value;

use super::spot::{Problems, Spot};
use super::{container, podspec};

/// What is wrong with a new pod.
pub(crate) fn create(_context: &Context<'_>, pod: &Value) -> Vec<Problem> {
    let mut out = Problems::new();
    let spec = Spot::root(pod).at("spec");
    whole(&spec, &mut out);
    if !spec.at("ephemeralContainers").is_empty() {
        spec.at("ephemeralContainers").forbidden(&mut out, "cannot be set on create");
    }
    if !spec.at("nodeName").is_empty() && !spec.at("schedulingGates").is_empty() {
        spec.at("nodeName").forbidden(&mut out, "cannot be set until all schedulingGates have been cleared");
    }
    out
}

/// What is wrong with a pod's spec, as long as it is a pod's.
pub(crate) fn whole(spec: &Spot<'_>, out: &mut Problems) {
    podspec::check(spec, true, out);
    if spec.at("serviceAccountName").is_empty() {
        let volumes = spec.at("volumes").items();
        for source in volumes.flat_map(|volume| volume.at("projected.sources").items()) {
            if source.at("serviceAccountToken").is_set() {
                let detail = "must not be specified when serviceAccountName is not set";
                source.at("serviceAccountToken").forbidden(out, detail);
            }
        }
    }
    for list in ["containers", "initContainers"] {
        for container in spec.at(list).items() {
            container::unpadded_image(&container, out);
        }
    }
}
