//! The table of plugins.

mod certificates;
mod defaults;
mod limits;
mod namespaces;
mod nodes;
mod pod_security;
mod priority;
mod quota;
mod resize;
mod restriction;
mod runtime;
mod service_accounts;
mod storage;

use kind::{Operation, Refusal};
use object::Value;

use crate::request::{Facts, Notes, Request};
use Operation::{Create, Delete, Update};
pub use quota::usage::{Evaluator as QuotaEvaluator, in_scope as in_quota_scope};

/// Says no without changing anything, before mutation where there is one.
pub type Judge = fn(&Request<'_>, &dyn Facts, Option<&Value>) -> Result<(), Refusal>;
/// Changes the object.
pub type Mutate = fn(&Request<'_>, &dyn Facts, &mut Value, &mut Notes) -> Result<(), Refusal>;
/// Judges what will be stored.
pub type Validate = fn(&Request<'_>, &dyn Facts, &Value, &mut Notes) -> Result<(), Refusal>;

/// One plugin.
#[derive(Debug)]
pub struct Plugin {
    /// Upstream's name.
    pub name: &'static str,
    /// The operations it is asked about.
    pub operations: &'static [Operation],
    /// Runs first, also for requests that bring no object.
    pub judge: Option<Judge>,
    /// Runs in the first pass.
    pub mutate: Option<Mutate>,
    /// Runs in the second pass.
    pub validate: Option<Validate>,
}

const fn judge(name: &'static str, operations: &'static [Operation], judge: Judge) -> Plugin {
    Plugin { name, operations, judge: Some(judge), mutate: None, validate: None }
}

const fn mutate(name: &'static str, operations: &'static [Operation], mutate: Mutate) -> Plugin {
    Plugin { name, operations, judge: None, mutate: Some(mutate), validate: None }
}

const fn validate(name: &'static str, operations: &'static [Operation], validate: Validate) -> Plugin {
    Plugin { name, operations, judge: None, mutate: None, validate: Some(validate) }
}

const fn both(name: &'static str, operations: &'static [Operation], mutate: Mutate, validate: Validate) -> Plugin {
    Plugin { name, operations, judge: None, mutate: Some(mutate), validate: Some(validate) }
}

const WRITES: &[Operation] = &[Create, Update];
const CHANGES: &[Operation] = &[Create, Update, Delete];

/// The plugins that are on by default, and NodeRestriction, in the order in which they run.
pub static PLUGINS: &[Plugin] = &[
    judge("NamespaceLifecycle", CHANGES, namespaces::judge),
    both("LimitRanger", WRITES, limits::mutate, limits::validate),
    both("ServiceAccount", WRITES, service_accounts::mutate, service_accounts::validate),
    judge("NodeRestriction", CHANGES, restriction::judge),
    mutate("TaintNodesByCondition", &[Create], nodes::taint),
    validate("PodSecurity", WRITES, pod_security::validate),
    both("Priority", WRITES, priority::mutate, priority::validate),
    mutate("DefaultTolerationSeconds", WRITES, defaults::tolerations),
    mutate("DefaultStorageClass", &[Create], defaults::storage_class),
    mutate("StorageObjectInUseProtection", &[Create], storage::protect),
    validate("PersistentVolumeClaimResize", &[Update], storage::resize),
    both("RuntimeClass", &[Create], runtime::mutate, runtime::validate),
    validate("CertificateApproval", &[Update], certificates::approval),
    validate("CertificateSigning", &[Update], certificates::signing),
    validate("ClusterTrustBundleAttest", WRITES, certificates::attest),
    validate("CertificateSubjectRestriction", &[Create], certificates::subject),
    mutate("DefaultIngressClass", &[Create], defaults::ingress_class),
    mutate("PodTopologyLabels", &[Create], nodes::topology),
    validate("NodeDeclaredFeatureValidator", &[Update], resize::features),
    validate("PodResizeValidator", &[Update], resize::capacity),
    // What others change is judged last: usage is charged for what will be stored.
    validate("ResourceQuota", WRITES, quota::validate),
];
