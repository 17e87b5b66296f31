//! Taints and tolerations, as `kubernetes.io/docs/concepts/scheduling-eviction/taint-and-toleration` defines them.

use typed::api::core::v1::{Taint, Toleration};

/// Whether a toleration tolerates a taint. Absent fields of a toleration match everything; the operator defaults to `Equal`.
/// `Lt` and `Gt` compare whole numbers.
#[must_use]
pub fn tolerates(toleration: &Toleration, taint: &Taint) -> bool {
    let given = |field: &Option<String>| field.clone().filter(|text| !text.is_empty());
    if given(&toleration.effect).is_some_and(|effect| effect != taint.effect) {
        return false;
    }
    let key = given(&toleration.key);
    if key.as_ref().is_some_and(|key| *key != taint.key) {
        return false;
    }
    let (mine, theirs) = (toleration.value.as_deref().unwrap_or_default(), taint.value.as_deref().unwrap_or_default());
    let numbers = || mine.parse::<i64>().ok().zip(theirs.parse::<i64>().ok());
    match toleration.operator.as_deref().unwrap_or_default() {
        "Exists" => true,
        "" | "Equal" => key.is_some() && mine == theirs,
        "Lt" => numbers().is_some_and(|(mine, theirs)| theirs < mine),
        "Gt" => numbers().is_some_and(|(mine, theirs)| theirs > mine),
        _ => false,
    }
}

/// The first taint with one of these effects that nothing tolerates.
#[must_use]
pub fn untolerated<'a>(taints: &'a [Taint], tolerations: &[Toleration], effects: &[&str]) -> Option<&'a Taint> {
    let mut relevant = taints.iter().filter(|taint| effects.contains(&taint.effect.as_str()));
    relevant.find(|taint| !tolerations.iter().any(|toleration| tolerates(toleration, taint)))
}
