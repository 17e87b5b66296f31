//! Bootstrap tokens.

use informer::{Informers, Scope};
use lifecycle::tokens;
use plan::Key;
use typed::api::core::v1::{ConfigMap, Secret};

use crate::controller::Controller;

fn secrets() -> Scope {
    Scope { field_selector: "type=bootstrap.kubernetes.io/token".to_owned(), ..Scope::namespace("kube-system") }
}

pub(super) fn cleaner(informers: &Informers) -> Controller {
    let secrets = informers.scoped::<Secret>(secrets());
    let own = secrets.clone();
    Controller::new("token-cleaner-controller", move |key, moment| tokens::plan_expiry(key, &*secrets, moment.now))
        .on_own(&own)
}

pub(super) fn signer(informers: &Informers) -> Controller {
    let secrets = informers.scoped::<Secret>(secrets());
    let scope = Scope { field_selector: "metadata.name=cluster-info".to_owned(), ..Scope::namespace("kube-public") };
    let maps = informers.scoped::<ConfigMap>(scope);
    let (by_secret, by_map) = (secrets.clone(), maps.clone());
    let all = || Some(Key::new("kube-public", "cluster-info"));
    Controller::new("bootstrap-signer-controller", move |_key, moment| {
        let sign = |text: &str, token: &tokens::Token| pki::jws::sign_detached(&token.id, &token.secret, text.as_bytes());
        tokens::plan_signatures(&*maps, &*secrets, &sign, moment.now)
    })
    .on(&by_secret, move |_changed| all())
    .on(&by_map, move |_changed| all())
}
