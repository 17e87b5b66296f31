//! Which credentials of a pod's pull secrets are meant for an image.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use cri::v1::AuthConfig;
use object::Value;
use typed::api::core::v1::Secret;

/// The registry of images that name none, as its credentials name it.
const DEFAULT_REGISTRY: &str = "index.docker.io";

/// The credentials in `secrets` that are meant for `image`, the most specific first.
pub(crate) fn matching(image: &str, secrets: &[impl AsRef<Secret>]) -> Vec<AuthConfig> {
    let address = address(image);
    let mut found: Vec<(String, AuthConfig)> = Vec::new();
    for secret in secrets {
        let entries = entries(secret.as_ref());
        let entries = entries.iter().filter_map(Value::as_map).flat_map(|map| map.iter());
        for (registry, entry) in entries {
            let registry = registry_address(registry);
            if covers(&registry, &address) {
                found.push((registry, auth(entry)));
            }
        }
    }
    found.sort_by_key(|(registry, _)| std::cmp::Reverse(registry.len()));
    found.into_iter().map(|(_, auth)| auth).collect()
}

/// The table of registries in a pull secret, old form or new.
fn entries(secret: &Secret) -> Option<Value> {
    let data = secret.data.as_ref()?;
    let parse = |name: &str| codec::yaml::parse(&data.get(name)?.0).ok();
    match secret.type_.as_deref() {
        Some("kubernetes.io/dockerconfigjson") => parse(".dockerconfigjson")?.remove(&["auths"]),
        Some("kubernetes.io/dockercfg") => parse(".dockercfg"),
        _ => None,
    }
}

fn auth(entry: &Value) -> AuthConfig {
    let text = |name| entry.str_at(&[name]).unwrap_or_default().to_owned();
    let mut auth = AuthConfig {
        username: text("username"),
        password: text("password"),
        identity_token: text("identitytoken"),
        registry_token: text("registrytoken"),
        ..Default::default()
    };
    let joined =
        STANDARD.decode(text("auth").trim_end_matches('\0')).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    if let Some((username, password)) = joined.as_deref().and_then(|joined| joined.split_once(':')) {
        auth.username = username.to_owned();
        auth.password = password.trim_end_matches('\0').to_owned();
    }
    auth
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
