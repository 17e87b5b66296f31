//! The environment of a container.
//!
//! In this order, later ones replacing earlier ones: the variables of services, `envFrom` sources, `env` entries; each
//! `env` value may refer to what stands before it.

use std::collections::BTreeMap;

use typed::api::core::v1::{ConfigMap, Container, EnvVar, EnvVarSource, Pod, Secret, Service};

use crate::expansion::expand;
use crate::fields::{self, Facts};

/// Config maps and secrets by name, of the pod's namespace. An absent entry is known to be absent.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// Config maps.
    pub config_maps: BTreeMap<String, ConfigMap>,
    /// Secrets.
    pub secrets: BTreeMap<String, Secret>,
}

/// An environment, and what about it is worth an event.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Environment {
    /// Variables in the order in which they were first named.
    pub variables: Vec<(String, String)>,
    /// Messages of `InvalidEnvironmentVariableNames` events.
    pub skipped: Vec<String>,
}

impl Environment {
    /// The value of a variable.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.variables.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    fn set(&mut self, name: &str, value: String) {
        match self.variables.iter_mut().find(|(known, _)| known == name) {
            Some(slot) => slot.1 = value,
            None => self.variables.push((name.to_owned(), value)),
        }
    }
}

/// The names of config maps and secrets that a container's environment needs.
pub fn references(container: &Container) -> (Vec<String>, Vec<String>) {
    let (mut config_maps, mut secrets) = (Vec::new(), Vec::new());
    for source in container.env_from.iter().flatten() {
        config_maps.extend(source.config_map_ref.iter().map(|reference| reference.name.clone()));
        secrets.extend(source.secret_ref.iter().map(|reference| reference.name.clone()));
    }
    for source in container.env.iter().flatten().filter_map(|variable| variable.value_from.as_ref()) {
        config_maps.extend(source.config_map_key_ref.iter().map(|reference| reference.name.clone()));
        secrets.extend(source.secret_key_ref.iter().map(|reference| reference.name.clone()));
    }
    (config_maps, secrets)
}

/// Everything that an environment is made of.
#[derive(Debug, Clone, Copy)]
pub struct Inputs<'a> {
    /// The pod.
    pub pod: &'a Pod,
    /// The container.
    pub container: &'a Container,
    /// Variables of services ([`services`]).
    pub services: &'a [(String, String)],
    /// Config maps and secrets.
    pub sources: &'a Sources,
    /// What only the node knows.
    pub facts: &'a Facts,
}

/// Makes the environment; `Err` is the message of a `CreateContainerConfigError`.
pub fn environment(inputs: &Inputs<'_>) -> Result<Environment, String> {
    let mut result = Environment::default();
    for (name, value) in inputs.services {
        result.set(name, value.clone());
    }
    from_sources(inputs, &mut result)?;
    for variable in inputs.container.env.iter().flatten() {
        if let Some(value) = value(inputs, variable, &result)? {
            result.set(&variable.name, value);
        }
    }
    Ok(result)
}

fn from_sources(inputs: &Inputs<'_>, result: &mut Environment) -> Result<(), String> {
    let namespace = inputs.pod.metadata.namespace.as_deref().unwrap_or_default();
    for source in inputs.container.env_from.iter().flatten() {
        let prefix = source.prefix.as_deref().unwrap_or_default();
        let mut invalid = Vec::new();
        let mut take = |key: &str, value: String| {
            let name = format!("{prefix}{key}");
            if is_variable_name(&name) { result.set(&name, value) } else { invalid.push(name) }
        };
        let mut origin = String::new();
        if let Some(reference) = &source.config_map_ref {
            let name = &reference.name;
            match inputs.sources.config_maps.get(name) {
                Some(map) => map.data.iter().flatten().for_each(|(key, value)| take(key, value.clone())),
                None if reference.optional == Some(true) => continue,
                None => return Err(format!("configmap \"{name}\" not found")),
            }
            origin = format!("ConfigMap {namespace}/{name}");
        } else if let Some(reference) = &source.secret_ref {
            let name = &reference.name;
            match inputs.sources.secrets.get(name) {
                Some(secret) => {
                    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
                    secret.data.iter().flatten().for_each(|(key, value)| take(key, text(&value.0)));
                }
                None if reference.optional == Some(true) => continue,
                None => return Err(format!("secret \"{name}\" not found")),
            }
            origin = format!("Secret {namespace}/{name}");
        }
        if !invalid.is_empty() {
            result.skipped.push(format!(
                "Keys [{}] from the EnvFrom {origin} were skipped since they are considered invalid environment variable names.",
                invalid.join(", ")
            ));
        }
    }
    Ok(())
}

/// The value of an `env` entry; `None` when an optional source is absent.
fn value(inputs: &Inputs<'_>, variable: &EnvVar, so_far: &Environment) -> Result<Option<String>, String> {
    if let Some(text) = variable.value.as_deref().filter(|text| !text.is_empty()) {
        return Ok(Some(expand(text, |name| so_far.get(name).map(str::to_owned))));
    }
    let Some(source) = &variable.value_from else { return Ok(Some(String::new())) };
    sourced(inputs, source)
}

fn sourced(inputs: &Inputs<'_>, source: &EnvVarSource) -> Result<Option<String>, String> {
    let namespace = inputs.pod.metadata.namespace.as_deref().unwrap_or_default();
    if let Some(selector) = &source.field_ref {
        return fields::field(inputs.pod, &selector.field_path, inputs.facts).map(Some);
    }
    if let Some(selector) = &source.resource_field_ref {
        return fields::resource(inputs.pod, inputs.container, selector, inputs.facts).map(Some);
    }
    if let Some(reference) = &source.config_map_key_ref {
        let (name, key) = (&reference.name, &reference.key);
        let optional = reference.optional == Some(true);
        let Some(map) = inputs.sources.config_maps.get(name) else {
            return if optional { Ok(None) } else { Err(format!("configmap \"{name}\" not found")) };
        };
        return match map.data.as_ref().and_then(|data| data.get(key)) {
            Some(value) => Ok(Some(value.clone())),
            None if optional => Ok(None),
            None => Err(format!("couldn't find key {key} in ConfigMap {namespace}/{name}")),
        };
    }
    if let Some(reference) = &source.secret_key_ref {
        let (name, key) = (&reference.name, &reference.key);
        let optional = reference.optional == Some(true);
        let Some(secret) = inputs.sources.secrets.get(name) else {
            return if optional { Ok(None) } else { Err(format!("secret \"{name}\" not found")) };
        };
        return match secret.data.as_ref().and_then(|data| data.get(key)) {
            Some(value) => Ok(Some(String::from_utf8_lossy(&value.0).into_owned())),
            None if optional => Ok(None),
            None => Err(format!("couldn't find key {key} in Secret {namespace}/{name}")),
        };
    }
    if source.file_key_ref.is_some() {
        return Err("environment variables from files are not built".to_owned());
    }
    Ok(Some(String::new()))
}

/// Whether text can name a variable: printable ASCII without `=`.
pub fn is_variable_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| (0x20..0x7f).contains(&byte) && byte != b'=')
}

/// The variables of services: those of the pod's namespace where it wants service links, and always the API server's,
/// `default/kubernetes`. Services without a cluster address have none.
pub fn services<'a>(all: impl Iterator<Item = &'a Service>, namespace: &str, links: bool) -> Vec<(String, String)> {
    let mut chosen: BTreeMap<String, &Service> = BTreeMap::new();
    for service in all {
        let name = service.metadata.name.clone().unwrap_or_default();
        let home = service.metadata.namespace.as_deref().unwrap_or_default();
        let master = home == "default" && name == "kubernetes";
        if home == namespace && (links || master) {
            chosen.insert(name, service);
        } else if master {
            chosen.entry(name).or_insert(service);
        }
    }
    chosen.iter().flat_map(|(name, service)| service_variables(name, service)).collect()
}

fn service_variables(name: &str, service: &Service) -> Vec<(String, String)> {
    let Some(spec) = &service.spec else { return Vec::new() };
    let ip = spec.cluster_ip.as_deref().filter(|ip| !ip.is_empty() && *ip != "None");
    let (Some(ip), Some(ports)) = (ip, spec.ports.as_ref().filter(|ports| !ports.is_empty())) else {
        return Vec::new();
    };
    let prefix = variable_name(name);
    let mut result = vec![
        (format!("{prefix}_SERVICE_HOST"), ip.to_owned()),
        (format!("{prefix}_SERVICE_PORT"), ports[0].port.to_string()),
    ];
    for port in ports {
        if let Some(name) = port.name.as_deref().filter(|name| !name.is_empty()) {
            result.push((format!("{prefix}_SERVICE_PORT_{}", variable_name(name)), port.port.to_string()));
        }
    }
    let host = if ip.contains(':') { format!("[{ip}]") } else { ip.to_owned() };
    for (index, port) in ports.iter().enumerate() {
        let protocol = port.protocol.as_deref().unwrap_or("TCP");
        let url = format!("{}://{host}:{}", protocol.to_lowercase(), port.port);
        let stem = format!("{prefix}_PORT_{}_{}", port.port, protocol.to_uppercase());
        if index == 0 {
            result.push((format!("{prefix}_PORT"), url.clone()));
        }
        result.push((stem.clone(), url));
        result.push((format!("{stem}_PROTO"), protocol.to_lowercase()));
        result.push((format!("{stem}_PORT"), port.port.to_string()));
        result.push((format!("{stem}_ADDR"), ip.to_owned()));
    }
    result
}

fn variable_name(name: &str) -> String {
    name.to_uppercase().replace('-', "_")
}
