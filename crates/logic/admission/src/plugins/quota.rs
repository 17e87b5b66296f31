//! ResourceQuota: a namespace holds no more than its quotas grant.
//!
//! What is returned is the usage each quota will show once the object is stored; the component charges it before the
//! write, by comparison with the revision that was judged here.

pub(crate) mod usage;

use kind::{Operation, Refusal};
use object::Meta;
use object::{Text, Value};

use crate::amounts::Amounts;
use crate::request::{Fact, Facts, Notes, QuotaCharge, Request};
use usage::Evaluator;

/// Groups and kinds that are not stored, or that no quota counts.
const UNCOUNTED: [(&str, &str); 9] = [
    ("", "bindings"),
    ("", "events"),
    ("events.k8s.io", "events"),
    ("authentication.k8s.io", "tokenreviews"),
    ("authentication.k8s.io", "selfsubjectreviews"),
    ("authorization.k8s.io", "subjectaccessreviews"),
    ("authorization.k8s.io", "localsubjectaccessreviews"),
    ("authorization.k8s.io", "selfsubjectaccessreviews"),
    ("authorization.k8s.io", "selfsubjectrulesreviews"),
];

pub(super) fn validate(
    request: &Request<'_>,
    facts: &dyn Facts,
    object: &Value,
    notes: &mut Notes,
) -> Result<(), Refusal> {
    let uncounted = UNCOUNTED.iter().any(|(group, plural)| request.is(group, plural));
    if request.namespace.is_empty() || request.is("", "namespaces") || uncounted {
        return Ok(());
    }
    let evaluator = Evaluator::of(request.resource);
    if !evaluator.handles(request.operation, request.subresource) {
        return Ok(());
    }
    let quotas = facts.list(Fact::ResourceQuota, request.namespace);
    if quotas.is_empty() {
        return Ok(());
    }
    let mut charges = Vec::new();
    let usage = evaluator.usage(object, request.now);
    let asked = Asked { request, object, evaluator: &evaluator, usage: &usage };
    for quota in &quotas {
        charges.extend(asked.charge(quota)?);
    }
    if !request.dry_run {
        notes.charges.append(&mut charges);
    }
    Ok(())
}

/// One object against the quotas of its namespace.
struct Asked<'a> {
    request: &'a Request<'a>,
    object: &'a Value,
    evaluator: &'a Evaluator,
    usage: &'a Amounts,
}

impl Asked<'_> {
    fn refuse<T>(&self, text: String) -> Result<T, Refusal> {
        Err(self.request.forbidden(Some(self.object), text))
    }

    /// What the quota must show as used; `None` when the object does not concern it.
    fn charge(&self, quota: &Value) -> Result<Option<QuotaCharge>, Refusal> {
        let meta = Meta::of(quota);
        let (hard, used) = (Amounts::at(quota, &["status", "hard"]), Amounts::at(quota, &["status", "used"]));
        let counted = hard.filtered(|name, _| self.evaluator.counts(name));
        if counted.0.is_empty() || !usage::in_scope(quota, self.object) {
            return Ok(None);
        }
        let names: Vec<&str> = counted.0.keys().map(Text::as_str).collect();
        if let Some(text) = self.evaluator.unspecified(&names, self.object) {
            return self.refuse(format!("failed quota: {}: {text}", meta.name()));
        }
        if names.iter().any(|name| used.get(name).is_none()) {
            return self.refuse(format!("status unknown for quota: {}, resources: {}", meta.name(), names.join(",")));
        }
        let negative = self.usage.filtered(|_, amount| amount.sign().is_lt());
        if !negative.0.is_empty() {
            let names: Vec<&str> = negative.0.keys().map(Text::as_str).collect();
            return self.refuse(format!("quota usage is negative for resource(s): {}", names.join(",")));
        }
        let requested = self.delta(quota).filtered(|name, amount| hard.get(name).is_some() && !amount.sign().is_eq());
        if requested.0.is_empty() {
            return Ok(None);
        }
        let mut total = used.clone();
        total.add(&requested);
        let exceeds = |name: &str| total.get(name) > hard.get(name);
        let exceeded = requested.filtered(|name, _| self.request.subresource != "status" && exceeds(name));
        if !exceeded.0.is_empty() {
            let of = |amounts: &Amounts| amounts.filtered(|name, _| exceeded.get(name).is_some()).pretty();
            return self.refuse(format!(
                "exceeded quota: {}, requested: {}, used: {}, limited: {}",
                meta.name(),
                exceeded.pretty(),
                of(&used),
                of(&hard)
            ));
        }
        Ok(Some(QuotaCharge {
            namespace: self.request.namespace.into(),
            name: meta.name().into(),
            resource_version: meta.resource_version().into(),
            used: total.to_map(),
        }))
    }

    /// What the write adds: all of the object, or what an update makes it grow by if the quota counted it before.
    fn delta(&self, quota: &Value) -> Amounts {
        let stored = self.request.old.filter(|_| self.request.operation == Operation::Update);
        match stored.filter(|old| !Meta::of(old).resource_version().is_empty() && usage::in_scope(quota, old)) {
            Some(old) => self.usage.beyond(&self.evaluator.usage(old, self.request.now)),
            None => self.usage.clone(),
        }
    }
}
