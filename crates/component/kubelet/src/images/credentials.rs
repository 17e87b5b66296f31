//! Which credentials of a pod's pull secrets are meant for an image.

use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use base64::{DecodeError, Engine};
use cri::v1::AuthConfig;
use object::{Map, Value};
use typed::api::core::v1::Secret;

/// The registry of images that name none, as its credentials name it.
const DEFAULT_REGISTRY: &str = "index.docker.io";

/// The credentials in `secrets` that are meant for `image`, the most specific first. A secret that cannot be read is an
/// error in upstream's words: to pull without it would be to pull something else.
pub(crate) fn matching(image: &str, secrets: &[impl AsRef<Secret>]) -> Result<Vec<AuthConfig>, String> {
    let address = address(image);
    let mut found: Vec<(String, AuthConfig)> = Vec::new();
    for secret in secrets {
        for (registry, entry) in entries(secret.as_ref())? {
            let (registry, auth) = (registry_address(&registry), auth(&entry)?);
            if covers(&registry, &address) {
                found.push((registry, auth));
            }
        }
    }
    found.sort_by_key(|(registry, _)| std::cmp::Reverse(registry.len()));
    Ok(found.into_iter().map(|(_, auth)| auth).collect())
}

/// The table of registries in a pull secret, old form or new. Secrets of other types, and empty ones, have none.
fn entries(secret: &Secret) -> Result<Map, String> {
    let (key, is_new) = match secret.type_.as_deref() {
        Some("kubernetes.io/dockerconfigjson") => (".dockerconfigjson", true),
        Some("kubernetes.io/dockercfg") => (".dockercfg", false),
        _ => return Ok(Map::new()),
    };
    let data = secret.data.as_ref().and_then(|data| data.get(key)).filter(|data| !data.0.is_empty());
    let Some(data) = data else { return Ok(Map::new()) };
    let mut tree = codec::json::parse(&data.0).map_err(|error| error.to_string())?;
    if is_new {
        tree = match tree {
            Value::Map(mut map) => map.remove("auths").unwrap_or_default(),
            other => other,
        };
    }
    match tree {
        Value::Map(map) => Ok(map),
        Value::Null => Ok(Map::new()),
        other => Err(mismatch(&other, "credentialprovider.DockerConfig")),
    }
}

fn auth(entry: &Value) -> Result<AuthConfig, String> {
    if !matches!(entry, Value::Map(_) | Value::Null) {
        return Err(mismatch(entry, "credentialprovider.DockerConfigEntry"));
    }
    let text = |name| match entry.get(name) {
        None | Some(Value::Null) => Ok(String::new()),
        Some(Value::String(text)) => Ok(text.to_string()),
        Some(other) => Err(mismatch(other, "string")),
    };
    let mut auth = AuthConfig {
        username: text("username")?,
        password: text("password")?,
        identity_token: text("identitytoken")?,
        registry_token: text("registrytoken")?,
        ..Default::default()
    };
    let joined = text("auth")?;
    if !joined.is_empty() {
        (auth.username, auth.password) = name_and_password(&joined)?;
    }
    Ok(auth)
}

/// Takes `base64(name:password)` apart; the padding may be missing.
fn name_and_password(joined: &str) -> Result<(String, String), String> {
    let padded = joined.trim().ends_with('=');
    let bare: String = joined.chars().filter(|c| !matches!(c, '\n' | '\r')).collect();
    let decoded = if padded { STANDARD.decode(&bare) } else { STANDARD_NO_PAD.decode(&bare) };
    let decoded = decoded.map_err(|error| {
        let at = match error {
            DecodeError::InvalidByte(at, _) | DecodeError::InvalidLastSymbol(at, _) => at,
            DecodeError::InvalidLength(_) | DecodeError::InvalidPadding => bare.len(),
        };
        format!("illegal base64 data at input byte {at}")
    })?;
    let text = String::from_utf8_lossy(&decoded);
    let (name, password) = text
        .split_once(':')
        .ok_or_else(|| "unable to parse auth field, must be formatted as base64(username:password)".to_owned())?;
    Ok((name.to_owned(), password.to_owned()))
}

fn mismatch(found: &Value, wanted: &str) -> String {
    format!("json: cannot unmarshal {} into Go value of type {wanted}", found.type_name())
}

/// Host and path of a registry as a configuration names it: `https://index.docker.io/v1/`.
fn registry_address(registry: &str) -> String {
    let bare = registry.trim_start_matches("https://").trim_start_matches("http://").trim_end_matches('/');
    let (host, path) = bare.split_once('/').unwrap_or((bare, ""));
    let path = match path {
        "v1" | "v2" => "",
        path => path.strip_prefix("v1/").or_else(|| path.strip_prefix("v2/")).unwrap_or(path),
    };
    let host = if host == "docker.io" { DEFAULT_REGISTRY } else { host };
    if path.is_empty() { host.to_owned() } else { format!("{host}/{path}") }
}

/// Host and path of an image, tag and digest left out.
fn address(image: &str) -> String {
    let name = image.split_once('@').map_or(image, |(name, _)| name);
    let slash = name.rfind('/').map_or(0, |at| at + 1);
    let name = name[slash..].rfind(':').map_or(name, |at| &name[..slash + at]);
    match name.split_once('/') {
        Some(("docker.io", path)) => format!("{DEFAULT_REGISTRY}/{path}"),
        Some((host, _)) if host.contains(['.', ':']) || host == "localhost" => name.to_owned(),
        _ => format!("{DEFAULT_REGISTRY}/{name}"),
    }
}

/// Whether a registry's address, each part of whose host may be a pattern, covers an image's.
fn covers(registry: &str, image: &str) -> bool {
    let (wanted, path) = registry.split_once('/').unwrap_or((registry, ""));
    let (host, image_path) = image.split_once('/').unwrap_or((image, ""));
    let (wanted, wanted_port) = wanted.split_once(':').unwrap_or((wanted, ""));
    let (host, port) = host.split_once(':').unwrap_or((host, ""));
    let wanted: Vec<&str> = wanted.split('.').collect();
    let host: Vec<&str> = host.split('.').collect();
    wanted_port == port
        && wanted.len() == host.len()
        && wanted.iter().zip(&host).all(|(pattern, part)| glob(pattern, part))
        && image_path.starts_with(path)
}

/// Whether `text` fits a pattern of `*` and literal characters. Taking each literal where it comes first is enough, so
/// the time is that of one search, whatever the pattern.
fn glob(pattern: &str, text: &str) -> bool {
    let Some((first, pattern)) = pattern.split_once('*') else { return pattern == text };
    let Some(text) = text.strip_prefix(first) else { return false };
    let (middle, last) = pattern.rsplit_once('*').unwrap_or(("", pattern));
    let Some(mut text) = text.strip_suffix(last) else { return false };
    middle.split('*').all(|literal| match text.find(literal) {
        Some(at) => {
            text = &text[at + literal.len()..];
            true
        }
        None => false,
    })
}

#[cfg(test)]
mod tests;
