//! Who sees what of a component, and what there is to see.

use std::sync::Arc;

use client::Client;
use futures::FutureExt as _;
use http::{Request, Response, StatusCode};
use object::Value;
use pki::layout::LEAF_VALIDITY;
use pki::trust::{PeerChain, Roots};
use pki::{Algorithm, Authority, Leaf, PrivateKey, Subject, Usage};
use serving::{Body, Door, Peer};

use crate::{Delegated, Lives, Port, Vitals};

fn authority() -> Authority {
    let key = PrivateKey::generate(Algorithm::default()).expect("a key can be made");
    Authority::create("kubernetes", key, env::time::now(), LEAF_VALIDITY).expect("an authority can be made")
}

fn chain(authority: &Authority, name: &str, groups: &[&str]) -> Option<PeerChain> {
    let key = PrivateKey::generate(Algorithm::default()).expect("a key can be made");
    let leaf = Leaf::new(Subject::new(name, groups), &[Usage::Client], env::time::now(), LEAF_VALIDITY);
    let certificate = authority.issue(&leaf, &key.public()).expect("a certificate can be made");
    PeerChain::new(vec![certificate.der().clone()])
}

/// A client of an API server that answers nothing.
fn silence() -> Client {
    let refuse = |_request: Request<Body>| {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        std::future::ready(response).boxed()
    };
    Client::through(Door::new(Arc::new(serving::from_fn(refuse)), Peer::in_memory(None)), "test")
}

async fn ask(door: &Door, method: &str, path: &str, token: Option<&str>) -> (u16, String) {
    let mut request = Request::builder().method(method).uri(path);
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    let response = door.call(request.body(Body::empty()).expect("a request")).await;
    let status = response.status().as_u16();
    let text = serving::collect(response.into_body(), 1 << 20).await.expect("a body");
    (status, String::from_utf8(text.to_vec()).expect("text"))
}

#[tokio::test]
async fn while_the_api_server_is_silent_health_is_open_and_the_rest_is_for_masters() {
    let (authority, other) = (authority(), authority());
    let vitals = Vitals::new();
    vitals.metrics().counter("things_total", "Things.", &[]).with(&[]).inc();
    vitals.settings_are("componentconfig", Value::from_pairs([("kind", "Settings")]));
    let roots = Roots::new(vec![authority.certificate().clone()]).expect("a root");
    let port: Arc<dyn serving::Service> =
        Arc::new(Port::new(vitals, Delegated::new(silence(), Some(roots), Lives::COMPONENT)));
    let door = |chain| Door::new(Arc::clone(&port), Peer::in_memory(chain));
    let (nobody, stranger) = (door(None), door(chain(&other, "root", &["system:masters"])));
    let (master, user) = (door(chain(&authority, "root", &["system:masters"])), door(chain(&authority, "jane", &[])));
    let forbidden = |user: &str, path: &str| {
        format!("forbidden: User \\\"{user}\\\" cannot get path \\\"{path}\\\": the API server does not say who may")
    };
    type Case<'a> = (&'a str, &'a Door, &'a str, &'a str, Option<&'a str>, u16, String);
    let cases: [Case<'_>; 15] = [
        ("nobody", &nobody, "GET", "/healthz", None, 200, "ok".to_owned()),
        ("nobody", &nobody, "GET", "/livez", None, 200, "ok".to_owned()),
        ("nobody", &nobody, "GET", "/readyz?verbose", None, 200, "[+]ping ok\nreadyz check passed".to_owned()),
        ("nobody", &nobody, "GET", "/healthz/ping", None, 403, forbidden("system:anonymous", "/healthz/ping")),
        ("nobody", &nobody, "GET", "/metrics", None, 403, forbidden("system:anonymous", "/metrics")),
        ("nobody", &nobody, "GET", "/healthz/../metrics", None, 403, "cannot get path".to_owned()),
        ("a holder", &nobody, "GET", "/healthz", Some("t0ken"), 401, "Unauthorized".to_owned()),
        ("a stranger", &stranger, "GET", "/metrics", None, 401, "Unauthorized".to_owned()),
        ("jane", &user, "GET", "/configz", None, 403, forbidden("jane", "/configz")),
        ("a master", &master, "GET", "/metrics", None, 200, "things_total 1\n".to_owned()),
        ("a master", &master, "GET", "/configz", None, 200, r#"{"componentconfig":{"kind":"Settings"}}"#.to_owned()),
        ("a master", &master, "GET", "/healthz/ping", None, 200, "ok".to_owned()),
        ("a master", &master, "POST", "/metrics", None, 405, "Method Not Allowed".to_owned()),
        ("a master", &master, "GET", "/metrics/slis", None, 501, "/metrics/slis is not built".to_owned()),
        ("a master", &master, "GET", "/nowhere", None, 404, "404 page not found".to_owned()),
    ];
    for (who, door, method, path, token, code, words) in cases {
        let (status, text) = ask(door, method, path, token).await;
        assert_eq!(status, code, "{who}: {method} {path}: {text}");
        assert!(text.contains(&words), "{who}: {method} {path}: {text:?} has {words:?}");
    }
}

#[test]
fn a_check_tells_all_three_or_readiness_alone() {
    let vitals = Vitals::new();
    vitals.alive_while("loop", || Err("it hangs".to_owned()));
    let status =
        |vitals: &Vitals| [&vitals.healthz, &vitals.livez, &vitals.readyz].map(|checks| checks.answer("").status);
    assert_eq!(status(&vitals), [500, 500, 500]);
    let vitals = Vitals::new();
    vitals.ready_while("sync", || Err("not yet".to_owned()));
    assert_eq!(status(&vitals), [200, 200, 500]);
    assert_eq!(vitals.readyz.answer_one("sync").text, "internal server error: not yet\n");
}

#[tokio::test]
async fn who_has_not_looked_is_not_ready_unless_another_leads() {
    let vitals = Vitals::new();
    let sight = crate::Sight::told_to(&vitals);
    assert_eq!(vitals.readyz.answer_one("informer-sync").text, "internal server error: no informer has started yet\n");
    sight.stand_by();
    assert_eq!(vitals.readyz.answer("").status, 200);
    let informers = informer::Informers::new(silence());
    let _pods = informers.of::<typed::api::core::v1::Pod>();
    sight.look_with(&informers);
    let told = vitals.readyz.answer_one("informer-sync").text;
    assert_eq!(told, "internal server error: informers not synced: pods\n");
}
