//! Owners across a resource and its `scale` subresource, which show the same number under different paths.
//!
//! A write to `scale` works on a `Scale` object. Before it, the owners of the parent's replicas become owners of the
//! `Scale`'s; after it, what changed there is taken over into the parent.

use object::{Text, Value};

use super::element::FieldPath;
use super::managers::{Entry, Fields, Managers};
use super::set::FieldSet;

/// The version of `Scale` objects.
const SCALE_VERSION: &str = "autoscaling/v1";
/// The number in a `Scale` object.
const SCALE_REPLICAS: &str = "spec.replicas";

/// Where the replicas are, by version of the parent. `None`: the version has no `scale`; its owners are left alone.
pub type ReplicasPaths<'p> = [(&'p str, Option<FieldPath>)];

/// `managedFields` of the `Scale` for a parent with the owners `parent`; `None` when nobody owns its replicas.
pub fn to_scale(parent: &[Value], paths: &ReplicasPaths<'_>) -> Result<Option<Value>, String> {
    let mut owners = Managers::decode_fully(parent)?;
    owners.entries.retain_mut(|entry| {
        let owns = path_in(paths, &entry.api_version).flatten().is_some_and(|path| has(entry, path));
        entry.api_version = SCALE_VERSION.into();
        entry.fields = Fields::Set(FieldSet::of([SCALE_REPLICAS]));
        owns
    });
    Ok(owners.into_value())
}

/// `managedFields` of the parent, in `api_version`, after the `Scale` came to have the owners `scale`. Entries of
/// versions that are not in `paths` are dropped.
pub fn to_parent(
    parent: &[Value],
    scale: &[Value],
    api_version: &str,
    paths: &ReplicasPaths<'_>,
) -> Result<Option<Value>, String> {
    let mut scale = Managers::decode_fully(scale)?;
    let mut owners = Managers::decode_fully(parent)?;
    owners.entries.retain_mut(|entry| {
        let Some(path) = path_in(paths, &entry.api_version) else { return false };
        let Some(path) = path.filter(|path| has(entry, path)) else { return true };
        if let Some(at) = scale.entries.iter().position(|other| other.is_same_owner(entry)) {
            scale.entries.remove(at);
            return true;
        }
        // Somebody else has written the number.
        let mut lost = FieldSet::new();
        lost.insert(&path.0);
        let left = entry.set().unwrap_or_default().difference(&lost);
        entry.fields = Fields::Set(left);
        !entry.fields.is_empty()
    });
    let replicas = path_in(paths, api_version).flatten();
    for mut entry in scale.entries {
        let (Some(path), true) = (replicas, has(&entry, &FieldPath::of(SCALE_REPLICAS))) else { continue };
        let mut set = FieldSet::new();
        set.insert(&path.0);
        entry.api_version = Text::from(api_version);
        entry.fields = Fields::Set(set);
        // Upstream loses the time here, and clients know these entries without one.
        entry.time = None;
        owners.entries.push(entry);
    }
    Ok(owners.into_value())
}

fn path_in<'p>(paths: &'p ReplicasPaths<'_>, api_version: &str) -> Option<Option<&'p FieldPath>> {
    paths.iter().find(|(version, _)| *version == api_version).map(|(_, path)| path.as_ref())
}

fn has(entry: &Entry, path: &FieldPath) -> bool {
    entry.set().is_ok_and(|set| set.has(&path.0))
}
