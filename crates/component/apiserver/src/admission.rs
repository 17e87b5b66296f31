//! Admission: the plugins of `admission`, given the facts they ask for, and carried out.

mod roles;

use std::sync::Arc;
use std::time::Duration;

use admission::{Fact, Facts, Notes, QuotaCharge, Request};
use env::time::Instant;
use futures::future::BoxFuture;
use gate::{Admission, Attributes, Authorized};
use jiff::Timestamp;
use kind::{Operation, Refusal, User};
use object::{Meta, Value};
use registry::{Edit, Preconditions, Registry, WriteOptions};

use crate::authz::Roles;
use crate::routes::Routes;

/// How long a pod waits for the account `default` of a namespace that was made a moment ago.
const ACCOUNT_WAIT_MAX: Duration = Duration::from_secs(1);
/// How often a quota that somebody else charged meanwhile is judged anew.
const CHARGES_MAX: usize = 5;
/// Kinds of cluster scope whose objects a pod names, and in which field of its specification.
const NAMED_BY_PODS: [(Fact, &str); 2] =
    [(Fact::PriorityClass, "priorityClassName"), (Fact::RuntimeClass, "runtimeClassName")];
/// Letters of a made-up name.
const SUFFIX_LENGTH: usize = 5;

/// The chain.
pub(crate) struct Chain {
    routes: Arc<Routes>,
    roles: Arc<Roles>,
}

impl Chain {
    /// A chain that looks things up in `routes`.
    pub(crate) fn new(routes: Arc<Routes>, roles: Arc<Roles>) -> Chain {
        Chain { routes, roles }
    }

    /// Fills the caches that plugins look into, so that none of them takes "not read yet" for "not there".
    pub(crate) async fn ready(routes: &Routes) -> Result<(), Refusal> {
        for fact in Fact::ALL {
            if let Some(registry) = source(routes, fact) {
                registry.cache().ready().await?;
            }
        }
        Ok(())
    }

    async fn mutate_object(
        &self,
        by: &Authorized,
        attributes: &Attributes<'_>,
        object: &mut Value,
    ) -> Result<(), Refusal> {
        self.wait_for_facts(attributes, object).await?;
        let suffix = env::rand::suffix(SUFFIX_LENGTH);
        let notes = admission::mutate(&request(by, attributes, &suffix), self, object)?;
        by.warn(notes.warnings);
        Ok(())
    }

    async fn validate_object(
        &self,
        by: &Authorized,
        attributes: &Attributes<'_>,
        object: Option<&Value>,
    ) -> Result<(), Refusal> {
        if let Some(object) = object {
            roles::check(&self.roles, by.user(), attributes, object)?;
        }
        for _ in 0..CHARGES_MAX {
            let Notes { warnings, charges, .. } = admission::validate(&request(by, attributes, ""), self, object)?;
            if attributes.dry_run || charges.is_empty() || self.charge(by, &charges).await? {
                by.warn(warnings);
                return Ok(());
            }
        }
        Err(Refusal::Conflict {
            resource: attributes.resource.group_resource(),
            name: attributes.name.to_owned(),
            message: "the quota is being charged by others; try again".to_owned(),
        })
    }

    /// A cache may be a moment behind: what seems absent is looked for again before anybody is refused for it.
    async fn wait_for_facts(&self, attributes: &Attributes<'_>, object: &Value) -> Result<(), Refusal> {
        if !attributes.namespace.is_empty() && self.get(Fact::Namespace, "", attributes.namespace).is_none() {
            self.refresh(Fact::Namespace).await?;
        }
        let is_pod = attributes.resource.plural == "pods" && attributes.resource.group.is_empty();
        if !is_pod || attributes.operation != Operation::Create || !attributes.subresource.is_empty() {
            return Ok(());
        }
        for (fact, field) in NAMED_BY_PODS {
            let name = object.str_at(&["spec", field]).unwrap_or_default();
            if !name.is_empty() && self.get(fact, "", name).is_none() {
                self.refresh(fact).await?;
            }
        }
        self.wait_for_account(attributes.namespace, object).await
    }

    /// The account of a pod is there, or is looked for again; `default` is waited for.
    async fn wait_for_account(&self, namespace: &str, pod: &Value) -> Result<(), Refusal> {
        let account = pod.str_at(&["spec", "serviceAccountName"]).filter(|name| !name.is_empty()).unwrap_or("default");
        let there = || self.get(Fact::ServiceAccount, namespace, account).is_some();
        if there() {
            return Ok(());
        }
        self.refresh(Fact::ServiceAccount).await?;
        let deadline = Instant::now() + ACCOUNT_WAIT_MAX;
        // Its controller makes the account `default` as soon as it hears of the namespace.
        while account == "default" && !there() && Instant::now() < deadline {
            self.changed(Fact::ServiceAccount, deadline).await;
        }
        Ok(())
    }

    async fn refresh(&self, fact: Fact) -> Result<(), Refusal> {
        match source(&self.routes, fact) {
            Some(registry) => registry.cache().fresh().await,
            None => Ok(()),
        }
    }

    /// Waits until the cache of `fact` moves, or the deadline.
    async fn changed(&self, fact: Fact, deadline: Instant) {
        let Some(registry) = source(&self.routes, fact) else { return };
        tokio::select! {
            () = registry.cache().moved() => {}
            () = env::time::sleep_until(deadline) => {}
        }
    }

    /// Charges quotas; `false` when one of them is no longer what was judged.
    async fn charge(&self, by: &Authorized, charges: &[QuotaCharge]) -> Result<bool, Refusal> {
        let Some(quotas) = source(&self.routes, Fact::ResourceQuota) else { return Ok(true) };
        for charge in charges {
            let options = WriteOptions { field_manager: "kube-apiserver".to_owned(), ..WriteOptions::default() };
            let address = (charge.namespace.as_str(), charge.name.as_str());
            match quotas.update(by, address, "status", &Charge(charge), &options).await {
                Ok(_) => {}
                Err(Refusal::Conflict { .. } | Refusal::NotFound { .. }) => {
                    quotas.cache().fresh().await?;
                    return Ok(false);
                }
                Err(refusal) => return Err(refusal),
            }
        }
        // The next judgement must see what was charged.
        quotas.cache().fresh().await?;
        Ok(true)
    }
}

impl Admission for Chain {
    fn mutate<'a>(
        &'a self,
        by: &'a Authorized,
        attributes: &'a Attributes<'_>,
        object: &'a mut Value,
    ) -> BoxFuture<'a, Result<(), Refusal>> {
        Box::pin(self.mutate_object(by, attributes, object))
    }

    fn validate<'a>(
        &'a self,
        by: &'a Authorized,
        attributes: &'a Attributes<'_>,
        object: Option<&'a Value>,
    ) -> BoxFuture<'a, Result<(), Refusal>> {
        Box::pin(self.validate_object(by, attributes, object))
    }
}

impl Facts for Chain {
    fn get(&self, fact: Fact, namespace: &str, name: &str) -> Option<Arc<Value>> {
        source(&self.routes, fact)?.peek(namespace, name)
    }

    fn list(&self, fact: Fact, namespace: &str) -> Vec<Arc<Value>> {
        source(&self.routes, fact).map(|registry| registry.peek_all(namespace)).unwrap_or_default()
    }

    fn allows(&self, user: &User, attributes: &::authz::Attributes<'_>) -> bool {
        self.roles.allows(user, attributes)
    }
}

fn source(routes: &Routes, fact: Fact) -> Option<Arc<Registry>> {
    let (group, plural) = fact.group_resource();
    routes.registry(group, plural)
}

fn request<'a>(by: &'a Authorized, attributes: &Attributes<'a>, suffix: &'a str) -> Request<'a> {
    Request {
        operation: attributes.operation,
        resource: attributes.resource,
        subresource: attributes.subresource,
        namespace: attributes.namespace,
        name: attributes.name,
        user: by.user(),
        old: attributes.old,
        dry_run: attributes.dry_run,
        now: attributes.now,
        suffix,
    }
}

/// The new usage of a quota that still is as it was judged.
struct Charge<'a>(&'a QuotaCharge);

impl Edit for Charge<'_> {
    fn edit(&self, old: Option<&Value>, _now: Timestamp) -> Result<Value, Refusal> {
        let Some(old) = old else { return Err(Refusal::Internal("a quota is charged that is not there".to_owned())) };
        if Meta::of(old).resource_version() != self.0.resource_version {
            return Err(Refusal::modified(
                kind::GroupKind { group: object::Text::default(), name: "resourcequotas".into() },
                self.0.name.as_str(),
            ));
        }
        let mut quota = old.clone();
        quota.set(&["status", "used"], self.0.used.clone());
        Ok(quota)
    }

    fn is_trusted(&self) -> bool {
        true
    }

    fn preconditions(&self) -> Preconditions {
        Preconditions { uid: None, resource_version: Some(self.0.resource_version.to_string()) }
    }
}
