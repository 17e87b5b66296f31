//! Namespaces: what each gets on its first day, and how it ends.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use client::{Client, Depth, Error, ListOptions};
use compact_str::CompactString;
use futures::stream;
use futures::{StreamExt as _, TryStreamExt as _};
use informer::{Informers, Scope};
use kind::{Resource, Verb};
use lifecycle::namespace::{self, Contents, Remaining};
use lifecycle::nursery;
use object::Meta;
use parking_lot::Mutex;
use plan::{Key, meta};
use typed::api::core::v1::{ConfigMap, Namespace, ServiceAccount};

use crate::controller::{Controller, Moment};

/// Resources of a namespace that are counted at the same time.
const COUNTS_AT_ONCE_MAX: usize = 16;
/// Words of failures that are kept for namespaces under deletion.
const FAILURES_MAX: usize = 10_000;

pub(super) fn accounts(informers: &Informers) -> Controller {
    let (namespaces, accounts) = (informers.of::<Namespace>(), informers.of::<ServiceAccount>());
    let (own, by_account) = (namespaces.clone(), accounts.clone());
    Controller::new("serviceaccount-controller", move |key, _moment| {
        nursery::plan_service_account(key, &*namespaces, &*accounts)
    })
    .on_own(&own)
    .on(&by_account, |changed| {
        let gone = changed.old.as_ref().filter(|_| changed.new.is_none());
        gone.map(|account| Key::cluster(meta::namespace(&account.metadata)))
    })
}

pub(super) fn root_ca(informers: &Informers, bundle: String) -> Controller {
    let namespaces = informers.of::<Namespace>();
    let maps = informers.scoped::<ConfigMap>(Scope::fields("metadata.name=kube-root-ca.crt"));
    let (own, by_map) = (namespaces.clone(), maps.clone());
    Controller::new("root-ca-certificate-publisher-controller", move |key, _moment| {
        nursery::plan_root_ca(key, &*namespaces, &*maps, &bundle)
    })
    .on_own(&own)
    .on(&by_map, |changed| changed.latest().map(|map| Key::cluster(meta::namespace(&map.metadata))))
}

/// The words of refused deletions, by namespace.
type Failures = Arc<Mutex<HashMap<CompactString, Vec<String>>>>;

pub(super) fn ends(informers: &Informers) -> Controller {
    let namespaces = informers.of::<Namespace>();
    let own = namespaces.clone();
    let failures: Failures = Arc::default();
    Controller::asking("namespace-controller", move |key, moment| {
        let (namespaces, failures) = (namespaces.clone(), Arc::clone(&failures));
        async move {
            remember(&failures, &key, &moment);
            let Some(namespace) = namespaces.get("", &key.name) else { return Ok(plan::Plan::nothing()) };
            if !meta::is_deleting(&namespace.metadata) {
                return Ok(plan::Plan::nothing());
            }
            let seen = Seen::look(&moment.client, &key.name, failures).await?;
            Ok(namespace::plan(&key, &*namespaces, &seen, moment.now))
        }
    })
    .workers(10)
    .on(&own, |changed| {
        let deleting = changed.new.as_ref().filter(|namespace| meta::is_deleting(&namespace.metadata));
        deleting.map(|namespace| Key::of(namespace.as_ref()))
    })
}

fn remember(failures: &Failures, key: &Key, moment: &Moment) {
    let mut failures = failures.lock();
    match &moment.refusal {
        Some(refusal) if failures.len() < FAILURES_MAX => {
            failures.insert(key.name.clone(), vec![refusal.message.clone()]);
        }
        _ => drop(failures.remove(&key.name)),
    }
}

/// The contents of one namespace, as a live look found them.
#[derive(Debug)]
struct Seen {
    rows: Vec<plan::Resource>,
    undiscovered: Vec<String>,
    remaining: BTreeMap<plan::Resource, Remaining>,
    failures: Failures,
}

impl Seen {
    async fn look(client: &Client, namespace: &str, failures: Failures) -> Result<Self, Error> {
        let discovered = client.discover().await?;
        let emptied = |row: &&Resource| {
            row.namespaced && row.verbs.contains(Verb::List) && row.verbs.contains(Verb::DeleteCollection)
        };
        let rows: Vec<Resource> = discovered.preferred().into_iter().filter(emptied).cloned().collect();
        let counts = stream::iter(rows.clone().into_iter().map(|row| count(client, namespace, row)));
        let remaining = counts.buffer_unordered(COUNTS_AT_ONCE_MAX).try_collect().await?;
        let rows = rows.iter().map(plan::Resource::from).collect();
        Ok(Seen { rows, undiscovered: discovered.incomplete.clone(), remaining, failures })
    }
}

async fn count(client: &Client, namespace: &str, row: Resource) -> Result<(plan::Resource, Remaining), Error> {
    let which = ListOptions { namespace: namespace.to_owned(), ..ListOptions::default() };
    let listed = match client.list_trees(&row, &which, Depth::Metadata).await {
        Ok(listed) => listed.items,
        // The resource went since it was discovered: it holds nothing.
        Err(error) if error.is_not_found() || error.code() == Some(405) => Vec::new(),
        Err(error) => return Err(error),
    };
    let mut remaining = Remaining { objects: listed.len(), finalizers: BTreeMap::new() };
    for finalizer in listed.iter().flat_map(|object| Meta::of(object).finalizers()) {
        *remaining.finalizers.entry(finalizer.to_owned()).or_default() += 1;
    }
    Ok((plan::Resource::from(&row), remaining))
}

impl Contents for Seen {
    fn resources(&self) -> (Vec<plan::Resource>, Vec<String>) {
        (self.rows.clone(), self.undiscovered.clone())
    }

    fn remaining(&self, _namespace: &str, resource: &plan::Resource) -> Remaining {
        self.remaining.get(resource).cloned().unwrap_or_default()
    }

    fn failures(&self, namespace: &str) -> Vec<String> {
        self.failures.lock().get(namespace).cloned().unwrap_or_default()
    }
}
