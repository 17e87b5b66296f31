//! `serviceaccounts/token`: a token for an account, bound to an object's life (TokenRequest).

use http::{Response, StatusCode};
use jiff::SignedDuration;
use kind::{GroupKind, Problem, Refusal};
use object::{Meta, Path, Value, timestamp};
use pki::serviceaccount::{Binding, Reference};
use registry::Freshness;
use serving::Body;

use super::{Asked, Subresources};

const TOKEN_REQUEST: (&str, &str) = ("authentication.k8s.io/v1", "TokenRequest");
const SECONDS_DEFAULT: i64 = 3_600;
const SECONDS_MIN: i64 = 600;
const SECONDS_MAX: i64 = 1 << 32;

pub(super) async fn issue(this: &Subresources, asked: &Asked<'_>, body: Body) -> Result<Response<Body>, Refusal> {
    let mut request = super::read(asked.by, body, &[TOKEN_REQUEST]).await?;
    let (namespace, name) = asked.address();
    let cached = asked.registry.get(namespace, name, Freshness::Consistent).await?;
    let account = asked.registry.tree(&cached)?;
    check_address(&request, asked)?;
    let seconds = seconds(&request)?;
    let audiences: Vec<String> = match request.list_at(&["spec", "audiences"]) {
        [] => this.audiences.clone(),
        some => some.iter().filter_map(|audience| audience.as_str().map(str::to_owned)).collect(),
    };
    let mut binding = Binding {
        namespace: namespace.to_owned(),
        service_account: Reference { name: name.to_owned(), uid: Meta::of(&account).uid().to_owned() },
        ..Binding::default()
    };
    bind(this, asked, &request, &mut binding).await?;
    let now = env::time::now();
    let (token, claims) = this
        .issuer
        .issue(binding, audiences.clone(), now, seconds)
        .map_err(|error| Refusal::Internal(error.to_string()))?;
    let expires = now.saturating_add(SignedDuration::from_secs(seconds)).unwrap_or(now);
    request.set(&["metadata", "name"], name);
    request.set(&["metadata", "namespace"], namespace);
    request.set(&["metadata", "creationTimestamp"], timestamp::seconds(now));
    request.set(&["spec", "audiences"], audiences);
    request.set(&["spec", "expirationSeconds"], seconds);
    request.set(&["status", "token"], token);
    request.set(&["status", "expirationTimestamp"], timestamp::seconds(expires));
    tracing::debug!(account = %claims.sub, id = claims.jti.as_deref().unwrap_or_default(), "issued a token");
    asked.answer(&request, TOKEN_REQUEST, StatusCode::CREATED)
}

fn check_address(request: &Value, asked: &Asked<'_>) -> Result<(), Refusal> {
    let meta = Meta::of(request);
    if !meta.name().is_empty() && meta.name() != asked.target.name {
        return Err(Refusal::BadRequest(
            "the name of the provided object does not match the name on the URL".to_owned(),
        ));
    }
    if !meta.namespace().is_empty() && meta.namespace() != asked.target.namespace {
        return Err(Refusal::BadRequest(
            "the namespace of the provided object does not match the namespace sent on the request".to_owned(),
        ));
    }
    Ok(())
}

fn seconds(request: &Value) -> Result<i64, Refusal> {
    let seconds = request.int_at(&["spec", "expirationSeconds"]).unwrap_or(SECONDS_DEFAULT);
    let problem = match seconds {
        ..SECONDS_MIN => "may not specify a duration less than 10 minutes",
        SECONDS_MIN..=SECONDS_MAX => return Ok(seconds),
        _ => "may not specify a duration larger than 2^32 seconds",
    };
    Err(Refusal::Invalid {
        kind: GroupKind { group: "authentication.k8s.io".into(), name: "TokenRequest".into() },
        name: Meta::of(request).name().to_owned(),
        problems: vec![Problem::invalid(Path::of("spec.expirationSeconds"), seconds, problem)],
    })
}

/// Ties the token to the pod, secret or node that the request names.
async fn bind(this: &Subresources, asked: &Asked<'_>, request: &Value, binding: &mut Binding) -> Result<(), Refusal> {
    let Some(bound) = request.at(&["spec", "boundObjectRef"]).filter(|bound| !bound.is_null()) else { return Ok(()) };
    let text = |key: &str| bound.str_at(&[key]).unwrap_or_default();
    let (plural, namespace) = match (text("apiVersion"), text("kind")) {
        ("v1", "Pod") => ("pods", asked.target.namespace.as_str()),
        ("v1", "Secret") => ("secrets", asked.target.namespace.as_str()),
        ("v1", "Node") => ("nodes", ""),
        (api_version, kind) => {
            return Err(Refusal::BadRequest(format!("cannot bind token to object of type {api_version}, Kind={kind}")));
        }
    };
    let resource = GroupKind { group: object::Text::default(), name: plural.into() };
    let missing = || Refusal::NotFound { resource: resource.clone(), name: text("name").to_owned() };
    let object = this.routes.look_up("", plural, namespace, text("name")).await.ok_or_else(missing)?;
    let uid = Meta::of(&object).uid();
    if !text("uid").is_empty() && text("uid") != uid {
        let message = format!(
            "the UID in the bound object reference ({}) does not match the UID in record. The object might have been \
             deleted and then recreated",
            text("uid")
        );
        return Err(Refusal::Conflict { resource, name: text("name").to_owned(), message });
    }
    let reference = Reference { name: text("name").to_owned(), uid: uid.to_owned() };
    match plural {
        "secrets" => binding.secret = Some(reference),
        "nodes" => binding.node = Some(reference),
        _ => bind_pod(this, asked, &object, reference, binding).await?,
    }
    Ok(())
}

/// A pod's token names the node that the pod runs on as well.
async fn bind_pod(
    this: &Subresources,
    asked: &Asked<'_>,
    pod: &Value,
    reference: Reference,
    binding: &mut Binding,
) -> Result<(), Refusal> {
    let account = pod.str_at(&["spec", "serviceAccountName"]).unwrap_or_default();
    if account != asked.target.name {
        return Err(Refusal::BadRequest(format!(
            "cannot bind token for serviceaccount {:?} to pod running with different serviceaccount name.",
            asked.target.name
        )));
    }
    binding.pod = Some(reference);
    let node = pod.str_at(&["spec", "nodeName"]).unwrap_or_default();
    if !node.is_empty()
        && let Some(object) = this.routes.look_up("", "nodes", "", node).await
    {
        let uid = Meta::of(&object).uid().to_owned();
        binding.node = Some(Reference { name: node.to_owned(), uid });
    }
    Ok(())
}
