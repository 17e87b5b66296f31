//! The kinds of the group `admissionregistration.k8s.io`.

use object::Value;

use crate::promises::{Promises, STATUS_RESETS};
use crate::tree::{at, default_text, default_to, each, ensure, within};

/// A ValidatingWebhookConfiguration.
pub(crate) const VALIDATING_WEBHOOKS: Promises = Promises {
    default: |configuration| each(configuration, "webhooks", default_webhook),
    check_create: crate::check::admission::validating_webhooks,
    check_update: |context, new, _| crate::check::admission::validating_webhooks(context, new),
    columns: crate::print::policy::WEBHOOKS,
    cells: crate::print::policy::webhooks,
    ..Promises::COUNTED.versioned_updates()
};

/// A MutatingWebhookConfiguration.
pub(crate) const MUTATING_WEBHOOKS: Promises = Promises {
    default: |configuration| {
        each(configuration, "webhooks", |webhook| {
            default_webhook(webhook);
            default_to(webhook, "reinvocationPolicy", "Never");
        });
    },
    check_create: crate::check::admission::mutating_webhooks,
    check_update: |context, new, _| crate::check::admission::mutating_webhooks(context, new),
    ..VALIDATING_WEBHOOKS
};

/// A ValidatingAdmissionPolicy.
pub(crate) const VALIDATING_POLICY: Promises = Promises {
    facts: kind::Facts { unconditional_update: false, ..kind::Facts::WORKLOAD },
    resets: STATUS_RESETS,
    check_create: crate::check::admission::validating_policy,
    check_update: |context, new, _| crate::check::admission::validating_policy(context, new),
    columns: crate::print::policy::VALIDATING_POLICY,
    cells: crate::print::policy::validating_policy,
    ..MUTATING_POLICY
};

/// A MutatingAdmissionPolicy.
pub(crate) const MUTATING_POLICY: Promises = Promises {
    default: |policy| {
        within(policy, "spec", |spec| {
            default_to(spec, "failurePolicy", "Fail");
            within(spec, "matchConstraints", default_match);
        });
    },
    check_create: crate::check::admission::mutating_policy,
    check_update: |context, new, _| crate::check::admission::mutating_policy(context, new),
    columns: crate::print::policy::MUTATING_POLICY,
    cells: crate::print::policy::mutating_policy,
    ..Promises::COUNTED.versioned_updates()
};

/// A ValidatingAdmissionPolicyBinding.
pub(crate) const VALIDATING_BINDING: Promises = Promises {
    default: |binding| at(binding, &["spec", "matchResources"], default_match),
    check_create: crate::check::admission::validating_binding,
    check_update: |context, new, _| crate::check::admission::validating_binding(context, new),
    columns: crate::print::policy::POLICY_BINDING,
    cells: crate::print::policy::policy_binding,
    ..Promises::COUNTED.versioned_updates()
};

/// A MutatingAdmissionPolicyBinding.
pub(crate) const MUTATING_BINDING: Promises = Promises {
    check_create: crate::check::admission::mutating_binding,
    check_update: |context, new, _| crate::check::admission::mutating_binding(context, new),
    ..VALIDATING_BINDING
};

fn default_webhook(webhook: &mut Value) {
    default_to(webhook, "failurePolicy", "Fail");
    default_to(webhook, "matchPolicy", "Equivalent");
    ensure(webhook, "namespaceSelector");
    ensure(webhook, "objectSelector");
    default_to(webhook, "timeoutSeconds", 10);
    each(webhook, "rules", |rule| default_to(rule, "scope", "*"));
    at(webhook, &["clientConfig", "service"], |service| default_to(service, "port", 443));
}

fn default_match(constraints: &mut Value) {
    default_text(constraints, "matchPolicy", "Equivalent");
    ensure(constraints, "namespaceSelector");
    ensure(constraints, "objectSelector");
    for rules in ["resourceRules", "excludeResourceRules"] {
        each(constraints, rules, |rule| default_to(rule, "scope", "*"));
    }
}
