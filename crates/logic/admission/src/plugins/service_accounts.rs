//! ServiceAccount: every pod acts as an account, which exists, and carries its token.

use kind::{Operation, Refusal};
use object::Value;

use crate::request::{Fact, Facts, Notes, Request};
use crate::tree;

const MOUNT_PATH: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
const VOLUME_PREFIX: &str = "kube-api-access-";
const TOKEN_SECONDS: i64 = 3607;
const MODE: i64 = 0o644;
const ENFORCE: &str = "kubernetes.io/enforce-mountable-secrets";

pub(super) fn mutate(
    request: &Request<'_>,
    facts: &dyn Facts,
    pod: &mut Value,
    _notes: &mut Notes,
) -> Result<(), Refusal> {
    if request.operation != Operation::Create || !request.is_whole("", "pods") || tree::is_mirror(pod) {
        return Ok(());
    }
    if tree::text(pod, &["spec", "serviceAccountName"]).is_empty() {
        // The field's older name still counts where the newer one is empty.
        let name = match tree::text(pod, &["spec", "serviceAccount"]) {
            "" => "default".to_owned(),
            name => name.to_owned(),
        };
        for field in ["serviceAccountName", "serviceAccount"] {
            pod.set(&["spec", field], name.as_str());
        }
    }
    let account = account_of(request, facts, pod)?;
    let automount = tree::flag(pod, &["spec", "automountServiceAccountToken"])
        .or_else(|| tree::flag(&account, &["automountServiceAccountToken"]));
    if automount.unwrap_or(true) {
        mount_token(pod, request.suffix);
    }
    let pulls = account.list_at(&["imagePullSecrets"]);
    if pod.list_at(&["spec", "imagePullSecrets"]).is_empty() && !pulls.is_empty() {
        pod.set(&["spec", "imagePullSecrets"], pulls.to_vec());
    }
    Ok(())
}

fn account_of(request: &Request<'_>, facts: &dyn Facts, pod: &Value) -> Result<std::sync::Arc<Value>, Refusal> {
    let name = tree::text(pod, &["spec", "serviceAccountName"]);
    facts.get(Fact::ServiceAccount, request.namespace, name).ok_or_else(|| {
        let namespace = request.namespace;
        let message = format!("error looking up service account {namespace}/{name}: serviceaccount {name:?} not found");
        request.forbidden(Some(pod), message)
    })
}

/// Mounts a token, the cluster's certificate and the namespace where a container mounts nothing at that place.
fn mount_token(pod: &mut Value, suffix: &str) {
    let volumes = pod.list_at(&["spec", "volumes"]);
    let existing =
        volumes.iter().map(|volume| tree::text(volume, &["name"])).find(|name| name.starts_with(VOLUME_PREFIX));
    let (name, is_new) = match existing {
        Some(name) => (name.to_owned(), false),
        None => (format!("{VOLUME_PREFIX}{suffix}"), true),
    };
    let mut needed = false;
    for field in ["initContainers", "containers"] {
        let containers = pod.at_mut(&["spec", field]).and_then(Value::as_list_mut);
        for container in containers.into_iter().flatten() {
            let mounts = container.list_at(&["volumeMounts"]);
            if mounts.iter().any(|mount| tree::text(mount, &["mountPath"]) == MOUNT_PATH) {
                continue;
            }
            let mount = Value::from_pairs([
                ("name", Value::from(name.as_str())),
                ("readOnly", Value::from(true)),
                ("mountPath", Value::from(MOUNT_PATH)),
            ]);
            tree::push(container, &["volumeMounts"], mount);
            needed = true;
        }
    }
    if needed && is_new {
        tree::push(pod, &["spec", "volumes"], token_volume(&name));
    }
}

fn token_volume(name: &str) -> Value {
    let token = Value::from_pairs([("path", Value::from("token")), ("expirationSeconds", Value::from(TOKEN_SECONDS))]);
    let certificate = Value::from_pairs([("key", "ca.crt"), ("path", "ca.crt")]);
    let bundle =
        Value::from_pairs([("name", Value::from("kube-root-ca.crt")), ("items", Value::from(vec![certificate]))]);
    let field = Value::from_pairs([("apiVersion", "v1"), ("fieldPath", "metadata.namespace")]);
    let namespace = Value::from_pairs([("path", Value::from("namespace")), ("fieldRef", field)]);
    let downward = Value::from_pairs([("items", vec![namespace])]);
    let sources: Vec<Value> = [("serviceAccountToken", token), ("configMap", bundle), ("downwardAPI", downward)]
        .into_iter()
        .map(|source| Value::from_pairs([source]))
        .collect();
    let projected = Value::from_pairs([("defaultMode", Value::from(MODE)), ("sources", Value::from(sources))]);
    Value::from_pairs([("name", Value::from(name)), ("projected", projected)])
}

pub(super) fn validate(
    request: &Request<'_>,
    facts: &dyn Facts,
    pod: &Value,
    _notes: &mut Notes,
) -> Result<(), Refusal> {
    let new_pod = request.operation == Operation::Create && request.subresource.is_empty();
    let new_container = request.operation == Operation::Update && request.subresource == "ephemeralcontainers";
    if !request.is("", "pods") || !(new_pod || new_container) {
        return Ok(());
    }
    if tree::is_mirror(pod) {
        return mirror_problem(pod).map_or(Ok(()), |text| Err(request.forbidden(Some(pod), text)));
    }
    if tree::text(pod, &["spec", "serviceAccountName"]).is_empty() {
        let text = format!(
            "no service account specified for pod {}/{}",
            request.namespace,
            tree::text(pod, &["metadata", "name"])
        );
        return Err(request.forbidden(Some(pod), text));
    }
    let account = account_of(request, facts, pod)?;
    // Go's strconv.ParseBool.
    let enforce = tree::text(&account, &["metadata", "annotations", ENFORCE]);
    if matches!(enforce, "1" | "t" | "T" | "true" | "TRUE" | "True")
        && let Some(text) = unmountable(&account, pod)
    {
        return Err(request.forbidden(Some(pod), text));
    }
    Ok(())
}

fn mirror_problem(pod: &Value) -> Option<&'static str> {
    let spec = pod.get("spec")?;
    let has_token =
        |volume: &Value| tree::projections(volume).any(|source| tree::is_set(source, &["serviceAccountToken"]));
    if !tree::text(spec, &["serviceAccountName"]).is_empty() {
        Some("a mirror pod may not reference service accounts")
    } else if !tree::secrets(spec).is_empty() {
        Some("a mirror pod may not reference secrets")
    } else if spec.list_at(&["volumes"]).iter().any(has_token) {
        Some("a mirror pod may not use ServiceAccountToken volume projections")
    } else {
        None
    }
}

/// The first secret that the pod refers to and its account does not.
fn unmountable(account: &Value, pod: &Value) -> Option<String> {
    let account_name = tree::text(account, &["metadata", "name"]);
    let names =
        |field| -> Vec<&str> { account.list_at(&[field]).iter().map(|one| tree::text(one, &["name"])).collect() };
    let (mountable, pullable) = (names("secrets"), names("imagePullSecrets"));
    let reason = format!("is not allowed because service account {account_name} does not reference that");
    for volume in pod.list_at(&["spec", "volumes"]) {
        if let Some(secret) = volume.str_at(&["secret", "secretName"]).filter(|name| !mountable.contains(name)) {
            return Some(format!("volume with secret.secretName=\"{secret}\" {reason} secret"));
        }
    }
    for (field, title) in [
        ("initContainers", "init container"),
        ("containers", "container"),
        ("ephemeralContainers", "ephemeral container"),
    ] {
        for container in pod.list_at(&["spec", field]) {
            let name = tree::text(container, &["name"]);
            for variable in container.list_at(&["env"]) {
                let secret = variable.str_at(&["valueFrom", "secretKeyRef", "name"]);
                if let Some(secret) = secret.filter(|secret| !mountable.contains(secret)) {
                    let variable = tree::text(variable, &["name"]);
                    return Some(format!(
                        "{title} {name} with envVar {variable} referencing secret.secretName=\"{secret}\" {reason} secret"
                    ));
                }
            }
        }
    }
    for (index, pull) in pod.list_at(&["spec", "imagePullSecrets"]).iter().enumerate() {
        let name = tree::text(pull, &["name"]);
        if !pullable.contains(&name) {
            return Some(format!("imagePullSecrets[{index}].name=\"{name}\" {reason} imagePullSecret"));
        }
    }
    None
}
