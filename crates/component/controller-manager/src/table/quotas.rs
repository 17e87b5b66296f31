//! The books of ResourceQuotas: what their namespaces use, measured by the evaluators that admission charges by.

use std::sync::Arc;
use std::time::Duration;

use admission::{QuotaEvaluator, in_quota_scope};
use client::{Client, Depth, Error, ListOptions};
use informer::{Changed, Informer, Informers, Tree};
use jiff::Timestamp;
use kind::{Resource, Verb};
use lifecycle::quota::{self, Usage};
use object::{Quantity, Value};
use parking_lot::RwLock;
use plan::{Key, Plan, Shelf, View as _};
use typed::Kind;
use typed::api::core::v1::{PersistentVolumeClaim, Pod, ResourceQuota, Service};
use workqueue::Controller;

use crate::controller::{Site, Wakes as _};
use crate::served::{self, Observer};

/// From a charge to the stored object, at most, on a machine that is not overwhelmed.
const ON_THE_WAY_MAX: Duration = Duration::from_millis(200);

/// Quotas, and everything that they may count.
struct Books {
    informers: Informers,
    quotas: Informer<ResourceQuota>,
    pods: Informer<Pod>,
    services: Informer<Service>,
    claims: Informer<PersistentVolumeClaim>,
    rows: RwLock<Vec<Row>>,
}

/// A resource, and how its objects are measured.
#[derive(Debug, Clone)]
struct Row {
    resource: Arc<Resource>,
    evaluator: Arc<QuotaEvaluator>,
}

pub(super) async fn books(site: &Site<'_>) -> Result<Controller, Error> {
    let informers = site.informers;
    let books = Arc::new(Books {
        informers: informers.clone(),
        quotas: informers.of(),
        pods: informers.of(),
        services: informers.of(),
        claims: informers.of(),
        rows: RwLock::default(),
    });
    let wakes = served::follow(informers, Arc::clone(&books)).await?;
    let (of_pods, of_services, of_claims) = (Arc::clone(&books), Arc::clone(&books), Arc::clone(&books));
    let (quotas, pods) = (books.quotas.clone(), books.pods.clone());
    let (services, claims) = (books.services.clone(), books.claims.clone());
    let controller = site.asking(move |asked| {
        let books = Arc::clone(&books);
        async move {
            // Admission charges quotas, so the cached one may be older than what was just counted. The controller's role
            // lets it list.
            let which = ListOptions {
                namespace: asked.key.namespace.to_string(),
                field_selector: format!("metadata.name={}", asked.key.name),
                ..ListOptions::default()
            };
            let mut quotas = Shelf::default();
            let found = asked.client.list::<ResourceQuota>(&which).await?;
            found.items.into_iter().for_each(|quota| quotas.put(Arc::new(quota)));
            let Some(quota) = quotas.get(&asked.key.namespace, &asked.key.name) else { return Ok(Plan::nothing()) };
            let mut measured = books.measure(&quota, &asked.client, asked.now).await?;
            if measured.is_less_than_charged(&quota) {
                // What seems unused may be on its way: charged, and not stored yet. What is charged from now on makes the
                // write a conflict.
                env::time::sleep(ON_THE_WAY_MAX).await;
                measured = books.measure(&quota, &asked.client, asked.now).await?;
            }
            Ok(quota::plan(&asked.key, &quotas, &measured, asked.now))
        }
    });
    Ok(controller
        .workers(5)
        .on(&quotas, |changed| {
            // Charges count: an object may come and go before anybody hears of it.
            changed.new.as_ref().map(|quota| Key::of(quota.as_ref()))
        })
        .on(&pods, move |changed| of_pods.wakes(changed, |old, new| ended(new) && !ended(old)))
        .on(&services, move |changed| of_services.wakes(changed, |old, new| old.spec != new.spec))
        .on(&claims, move |changed| {
            let sizes = |claim: &PersistentVolumeClaim| {
                let wanted = claim.spec.as_ref().and_then(|spec| spec.resources.clone());
                (wanted, claim.status.as_ref().and_then(|status| status.allocated_resources.clone()))
            };
            of_claims.wakes(changed, |old, new| sizes(old) != sizes(new))
        })
        .wakes_by(informers, wakes))
}

/// Whether a pod is over and uses nothing any more.
fn ended(pod: &Pod) -> bool {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    matches!(phase, Some("Succeeded" | "Failed"))
}

impl Books {
    /// The quotas of a namespace, if an object there is gone or another one than before.
    fn wakes<K: Kind>(&self, changed: &Changed<K>, differs: impl Fn(&K, &K) -> bool) -> Vec<Key> {
        let Some(old) = &changed.old else { return Vec::new() };
        let matters = changed.new.as_ref().is_none_or(|new| differs(old, new));
        if matters { self.of_namespace(old.namespace(), |_quota| true) } else { Vec::new() }
    }

    fn of_namespace(&self, namespace: &str, concerned: impl Fn(&ResourceQuota) -> bool) -> Vec<Key> {
        let quotas = self.quotas.within(namespace);
        quotas.iter().filter(|quota| concerned(quota)).map(|quota| Key::of(quota.as_ref())).collect()
    }

    /// What the quota's namespace uses of what the quota limits.
    async fn measure(&self, quota: &ResourceQuota, client: &Client, now: Timestamp) -> Result<Measured, Error> {
        let (namespace, quota) = (quota.namespace().to_owned(), quota);
        let tree = quota.to_tree();
        let names = limited(quota);
        let rows: Vec<Row> = self.rows.read().iter().filter(|row| row.is_counted(&names)).cloned().collect();
        let mut measured = Measured { counted: Vec::new(), now };
        for row in rows {
            let mut objects = self.objects(&row, &names, &namespace, client).await?;
            objects.retain(|object| in_quota_scope(&tree, object));
            measured.counted.push((row, objects));
        }
        Ok(measured)
    }

    async fn objects(&self, row: &Row, names: &[&str], namespace: &str, client: &Client) -> Result<Vec<Value>, Error> {
        fn trees<K: Kind>(informer: &Informer<K>, namespace: &str) -> Vec<Value> {
            informer.within(namespace).iter().map(|object| object.to_tree()).collect()
        }
        Ok(match (row.resource.group.as_str(), row.resource.plural.as_str()) {
            ("", "pods") => trees(&self.pods, namespace),
            ("", "services") => trees(&self.services, namespace),
            ("", "persistentvolumeclaims") => trees(&self.claims, namespace),
            _ if names.iter().all(|name| !row.evaluator.counts(name) || row.evaluator.only_counts(name)) => {
                let all = self.informers.metadata_of(&row.resource);
                all.synced().await;
                all.within(namespace).iter().map(|object| object.0.clone()).collect()
            }
            _ => {
                let which = ListOptions { namespace: namespace.to_owned(), ..ListOptions::default() };
                client.list_trees(&row.resource, &which, Depth::Whole).await?.items
            }
        })
    }
}

/// Whether objects are measured from a typed cache.
fn is_measured_whole(resource: &Resource) -> bool {
    resource.group.is_empty() && matches!(resource.plural.as_str(), "pods" | "services" | "persistentvolumeclaims")
}

/// The names that a quota limits.
fn limited(quota: &ResourceQuota) -> Vec<&str> {
    let hard = quota.spec.as_ref().and_then(|spec| spec.hard.as_ref());
    hard.into_iter().flat_map(|hard| hard.keys().map(String::as_str)).collect()
}

impl Row {
    fn is_counted(&self, names: &[&str]) -> bool {
        names.iter().any(|name| self.evaluator.counts(name))
    }
}

impl Observer for Books {
    fn served(&self, all: &[Resource]) {
        let mut rows: Vec<Row> = Vec::new();
        for resource in all.iter().filter(|resource| self.follows(resource)) {
            // Of several versions, one: they show the same objects.
            if !rows.iter().any(|row| row.resource.group_resource() == resource.group_resource()) {
                let evaluator = Arc::new(QuotaEvaluator::of(resource));
                rows.push(Row { resource: Arc::new(resource.clone()), evaluator });
            }
        }
        *self.rows.write() = rows;
    }

    fn follows(&self, resource: &Resource) -> bool {
        let verbs = [Verb::List, Verb::Watch, Verb::Delete];
        resource.namespaced
            && resource.plural != "events"
            && verbs.into_iter().all(|verb| resource.verbs.contains(verb))
    }

    fn changed(&self, resource: &Resource, batch: &[Changed<Tree>]) -> Vec<Key> {
        // Whoever is measured whole wakes from the cache that is measured: another one may be ahead of it.
        if is_measured_whole(resource) {
            return Vec::new();
        }
        let gone = batch.iter().filter(|changed| changed.new.is_none()).filter_map(|changed| changed.old.as_ref());
        let evaluator = QuotaEvaluator::of(resource);
        let concerned = |quota: &ResourceQuota| limited(quota).iter().any(|name| evaluator.counts(name));
        gone.flat_map(|object| self.of_namespace(object.meta().namespace(), concerned)).collect()
    }
}

/// What was found in a namespace.
#[derive(Debug)]
struct Measured {
    counted: Vec<(Row, Vec<Value>)>,
    now: Timestamp,
}

impl Measured {
    /// Whether the quota says of a resource that more is used than was found.
    fn is_less_than_charged(&self, quota: &ResourceQuota) -> bool {
        let charged = quota.status.as_ref().and_then(|status| status.used.as_ref());
        charged.into_iter().flatten().any(|(name, amount)| {
            let charged = Quantity::parse(&amount.0).ok();
            self.used(quota, name).zip(charged).is_some_and(|(found, charged)| found < charged)
        })
    }
}

impl Usage for Measured {
    fn used(&self, _quota: &ResourceQuota, resource: &str) -> Option<Quantity> {
        let (row, objects) = self.counted.iter().find(|(row, _)| row.evaluator.counts(resource))?;
        let amounts = objects.iter().filter_map(|object| row.evaluator.amount(resource, object, self.now));
        let sum = amounts.reduce(|sum, amount| sum.plus(&amount));
        Some(sum.unwrap_or_else(|| Quantity::whole(0, object::quantity::Format::DecimalSi)))
    }
}
