//! The files of config map, secret, downward API and projected volumes.

use std::collections::BTreeMap;
use std::sync::Arc;

use mounts::atomic::{File, Payload};
use podplan::fields::{self, Facts};
use typed::api::core::v1::{
    ConfigMap, Container, DownwardAPIVolumeFile, KeyToPath, Pod, ProjectedVolumeSource, Secret, Volume,
    VolumeProjection,
};

use crate::api::{Api, ApiError, TokenOrder};

/// Permission bits of a file for which nothing else is asked.
const MODE_DEFAULT: u32 = 0o644;

/// The plugin's name and the files of `volume`; `None` when it is none of these kinds.
pub(super) async fn of_volume(
    api: &dyn Api,
    pod: &Arc<Pod>,
    volume: &Volume,
    facts: &Facts,
) -> Result<Option<(&'static str, Payload)>, String> {
    let mut files = Payload::new();
    let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
    let plugin = if let Some(source) = &volume.config_map {
        let map = found(api.config_map(namespace, &source.name).await, source.optional)?;
        let data = map.map(|map| config_map_data(&map));
        let choice = Choice { items: &source.items, mode: mode(source.default_mode), optional: source.optional };
        choose(&format!("configmap {namespace}/{}", source.name), data, choice, &mut files)?;
        "configmap"
    } else if let Some(source) = &volume.secret {
        let name = source.secret_name.as_deref().unwrap_or_default();
        let secret = found(api.secret(namespace, name).await, source.optional)?;
        let data = secret.map(|secret| secret_data(&secret));
        let choice = Choice { items: &source.items, mode: mode(source.default_mode), optional: source.optional };
        choose(&format!("secret {namespace}/{name}"), data, choice, &mut files)?;
        "secret"
    } else if let Some(source) = &volume.downward_api {
        downward(pod, source.items.iter().flatten(), mode(source.default_mode), facts, &mut files)?;
        "downward-api"
    } else if let Some(source) = &volume.projected {
        projected(api, pod, source, facts, &mut files).await?;
        "projected"
    } else {
        return Ok(None);
    };
    Ok(Some((plugin, files)))
}

async fn projected(
    api: &dyn Api,
    pod: &Arc<Pod>,
    source: &ProjectedVolumeSource,
    facts: &Facts,
    files: &mut Payload,
) -> Result<(), String> {
    for projection in source.sources.iter().flatten() {
        one(api, pod, projection, mode(source.default_mode), (facts, &mut *files)).await?;
    }
    Ok(())
}

async fn one(
    api: &dyn Api,
    pod: &Arc<Pod>,
    projection: &VolumeProjection,
    mode: u32,
    (facts, files): (&Facts, &mut Payload),
) -> Result<(), String> {
    let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
    if let Some(source) = &projection.config_map {
        let map = found(api.config_map(namespace, &source.name).await, source.optional)?;
        let choice = Choice { items: &source.items, mode, optional: source.optional };
        let data = map.map(|map| config_map_data(&map));
        return choose(&format!("configmap {namespace}/{}", source.name), data, choice, files);
    }
    if let Some(source) = &projection.secret {
        let secret = found(api.secret(namespace, &source.name).await, source.optional)?;
        let choice = Choice { items: &source.items, mode, optional: source.optional };
        let data = secret.map(|secret| secret_data(&secret));
        return choose(&format!("secret {namespace}/{}", source.name), data, choice, files);
    }
    if let Some(source) = &projection.downward_api {
        return downward(pod, source.items.iter().flatten(), mode, facts, files);
    }
    if let Some(source) = &projection.service_account_token {
        let order = TokenOrder {
            pod: pod.clone(),
            audience: source.audience.clone().unwrap_or_default(),
            expiration_seconds: source.expiration_seconds.unwrap_or(3600),
        };
        let token = api.token(order).await.map_err(|error| error.to_string())?;
        let context = pod.spec.as_ref().and_then(|spec| spec.security_context.clone()).unwrap_or_default();
        // Without a group, only the one user of the pod may read its token (KEP-2451).
        let owner = sole_user(pod).filter(|_| context.fs_group.is_none());
        let mode = if owner.is_some() || context.fs_group.is_some() { 0o600 } else { mode };
        files.insert(source.path.clone(), File { bytes: token.token.into_bytes(), mode, owner });
        return Ok(());
    }
    Err("projections of cluster trust bundles and pod certificates are not built".to_owned())
}

/// The user that all containers of the pod run as, where they run as one.
fn sole_user(pod: &Pod) -> Option<u32> {
    let of_pod = pod.spec.as_ref()?.security_context.as_ref().and_then(|context| context.run_as_user);
    let mut users = podplan::containers(pod)
        .into_iter()
        .map(|(_, container)| container.security_context.as_ref().and_then(|own| own.run_as_user).or(of_pod));
    let first = users.next()??;
    users.all(|user| user == Some(first)).then(|| u32::try_from(first).ok()).flatten()
}

type Data = BTreeMap<String, Vec<u8>>;

fn config_map_data(map: &ConfigMap) -> Data {
    let texts = map.data.iter().flatten().map(|(key, text)| (key.clone(), text.clone().into_bytes()));
    texts.chain(map.binary_data.iter().flatten().map(|(key, bytes)| (key.clone(), bytes.0.clone()))).collect()
}

fn secret_data(secret: &Secret) -> Data {
    secret.data.iter().flatten().map(|(key, bytes)| (key.clone(), bytes.0.clone())).collect()
}

/// What an optional source lacks is fine; any other failure is one.
fn found<T>(answer: Result<Arc<T>, ApiError>, optional: Option<bool>) -> Result<Option<Arc<T>>, String> {
    match answer {
        Ok(object) => Ok(Some(object)),
        Err(ApiError::NotFound(_)) if optional == Some(true) => Ok(None),
        Err(error) => Err(error.to_string()),
    }
}

fn mode(bits: Option<i32>) -> u32 {
    bits.and_then(|bits| u32::try_from(bits).ok()).unwrap_or(MODE_DEFAULT)
}

struct Choice<'a> {
    items: &'a Option<Vec<KeyToPath>>,
    mode: u32,
    optional: Option<bool>,
}

/// All keys under their own names, or the chosen ones under the names given.
fn choose(origin: &str, data: Option<Data>, choice: Choice<'_>, files: &mut Payload) -> Result<(), String> {
    let Some(mut data) = data else { return Ok(()) };
    let Some(items) = choice.items.as_ref().filter(|items| !items.is_empty()) else {
        let all = data.into_iter().map(|(key, bytes)| (key, File { bytes, mode: choice.mode, owner: None }));
        files.extend(all);
        return Ok(());
    };
    for item in items {
        match data.remove(&item.key) {
            Some(bytes) => {
                let mode = item.mode.and_then(|bits| u32::try_from(bits).ok()).unwrap_or(choice.mode);
                files.insert(item.path.clone(), File { bytes, mode, owner: None });
            }
            None if choice.optional == Some(true) => {}
            None => return Err(format!("references non-existent {origin} key: {}", item.key)),
        }
    }
    Ok(())
}

fn downward<'a>(
    pod: &Pod,
    items: impl Iterator<Item = &'a DownwardAPIVolumeFile>,
    mode: u32,
    facts: &Facts,
    files: &mut Payload,
) -> Result<(), String> {
    for item in items {
        let text = match (&item.field_ref, &item.resource_field_ref) {
            (Some(selector), _) => fields::field(pod, &selector.field_path, facts)?,
            (None, Some(selector)) => fields::resource(pod, &Container::default(), selector, facts)?,
            (None, None) => continue,
        };
        let mode = item.mode.and_then(|bits| u32::try_from(bits).ok()).unwrap_or(mode);
        files.insert(item.path.clone(), File { bytes: text.into_bytes(), mode, owner: None });
    }
    Ok(())
}
