//! The kinds of the group `apps`.

use kind::Context;
use object::{Meta, MetaMut, Value};

use crate::core::volume::default_claim;
use crate::podspec::default_template;
use crate::promises::Promises;
use crate::tree::{blank, default_text, default_to, each, ensure, put, same, text, within};

const STATUS_KEEPS_LABELS: &[(&str, &str)] = &[("", "status"), ("status", "spec"), ("status", "metadata.labels")];

/// A ControllerRevision.
pub(crate) const CONTROLLER_REVISION: Promises = Promises {
    check_create: crate::check::workload::controller_revision,
    check_update: crate::check::workload::controller_revision_update,
    columns: crate::print::workload::CONTROLLER_REVISION,
    cells: crate::print::workload::controller_revision,
    ..Promises::DATA
};

/// Annotation in which the templates of a DaemonSet are counted; clients have no say in it.
const TEMPLATE_GENERATION: &str = "deprecated.daemonset.template.generation";

/// A DaemonSet.
pub(crate) const DAEMON_SET: Promises = Promises {
    default: |set| {
        within(set, "spec", default_daemon_set);
        if blank(set.at(&["metadata", "annotations", TEMPLATE_GENERATION])) {
            set.set(&["metadata", "annotations", TEMPLATE_GENERATION], "0");
        }
    },
    create: |_, set| set.set(&["metadata", "annotations", TEMPLATE_GENERATION], "1"),
    update: count_template,
    check_create: crate::check::workload::daemon_set,
    warn: crate::check::podwarnings::of_workload,
    check_update: crate::check::workload::daemon_set_update,
    columns: crate::print::workload::DAEMON_SET,
    cells: crate::print::workload::daemon_set,
    ..Promises::WORKLOAD
};

/// A Deployment.
pub(crate) const DEPLOYMENT: Promises = Promises {
    default: |deployment| within(deployment, "spec", default_deployment),
    update: update_deployment,
    check_create: crate::check::workload::deployment,
    warn: crate::check::podwarnings::of_named_workload,
    check_update: crate::check::workload::deployment_update,
    resets: STATUS_KEEPS_LABELS,
    columns: crate::print::workload::DEPLOYMENT,
    cells: crate::print::workload::deployment,
    ..Promises::WORKLOAD
};

/// A ReplicaSet.
pub(crate) const REPLICA_SET: Promises = Promises {
    default: |set| {
        within(set, "spec", |spec| {
            default_to(spec, "replicas", 1);
            within(spec, "template", default_template);
        });
    },
    check_create: crate::check::workload::replica_set,
    warn: crate::check::podwarnings::of_workload,
    check_update: crate::check::workload::replica_set_update,
    columns: crate::print::workload::REPLICAS,
    cells: crate::print::workload::replica_set,
    ..Promises::WORKLOAD
};

/// A StatefulSet.
pub(crate) const STATEFUL_SET: Promises = Promises {
    name: object::names::dns_label,
    default: |set| within(set, "spec", default_stateful_set),
    check_create: crate::check::workload::stateful_set,
    warn: crate::check::podwarnings::of_workload,
    check_update: crate::check::workload::stateful_set_update,
    columns: crate::print::workload::STATEFUL_SET,
    cells: crate::print::workload::stateful_set,
    ..Promises::WORKLOAD
};

fn count_template(_context: &Context<'_>, new: &mut Value, old: &Value) {
    const PLACE: [&str; 3] = ["metadata", "annotations", TEMPLATE_GENERATION];
    const TEMPLATE: [&str; 2] = ["spec", "template"];
    let known = old.str_at(&PLACE).and_then(|text| text.parse::<i64>().ok()).unwrap_or(0);
    let changed = new.at(&TEMPLATE) != old.at(&TEMPLATE);
    new.set(&PLACE, known.saturating_add(i64::from(changed)).to_string());
}

fn default_deployment(spec: &mut Value) {
    within(spec, "template", default_template);
    default_to(spec, "replicas", 1);
    ensure(spec, "strategy");
    within(spec, "strategy", |strategy| {
        default_text(strategy, "type", "RollingUpdate");
        if text(strategy, &["type"]) == "RollingUpdate" {
            ensure(strategy, "rollingUpdate");
            within(strategy, "rollingUpdate", |rolling| {
                default_to(rolling, "maxUnavailable", "25%");
                default_to(rolling, "maxSurge", "25%");
            });
        }
    });
    default_to(spec, "revisionHistoryLimit", 10);
    default_to(spec, "progressDeadlineSeconds", 600);
}

/// Deployments count changed annotations as changes, too: their controller copies them.
fn update_deployment(context: &Context<'_>, new: &mut Value, old: &Value) {
    if context.subresource == "status" {
        crate::tree::carry(new, old, &["metadata", "labels"]);
    } else if !same(new, old, &["metadata", "annotations"]) {
        MetaMut::of(new).set("generation", Meta::of(old).generation().saturating_add(1));
    }
}

fn default_daemon_set(spec: &mut Value) {
    within(spec, "template", default_template);
    ensure(spec, "updateStrategy");
    within(spec, "updateStrategy", |strategy| {
        default_text(strategy, "type", "RollingUpdate");
        if text(strategy, &["type"]) == "RollingUpdate" {
            ensure(strategy, "rollingUpdate");
            within(strategy, "rollingUpdate", |rolling| {
                default_to(rolling, "maxUnavailable", 1);
                default_to(rolling, "maxSurge", 0);
            });
        }
    });
    default_to(spec, "revisionHistoryLimit", 10);
}

fn default_stateful_set(spec: &mut Value) {
    within(spec, "template", default_template);
    default_text(spec, "podManagementPolicy", "OrderedReady");
    ensure(spec, "updateStrategy");
    within(spec, "updateStrategy", |strategy| {
        default_text(strategy, "type", "RollingUpdate");
        if text(strategy, &["type"]) == "RollingUpdate" {
            ensure(strategy, "rollingUpdate");
            within(strategy, "rollingUpdate", |rolling| default_to(rolling, "partition", 0));
        }
    });
    ensure(spec, "persistentVolumeClaimRetentionPolicy");
    within(spec, "persistentVolumeClaimRetentionPolicy", |policy| {
        default_text(policy, "whenDeleted", "Retain");
        default_text(policy, "whenScaled", "Retain");
    });
    default_to(spec, "replicas", 1);
    default_to(spec, "revisionHistoryLimit", 10);
    each(spec, "volumeClaimTemplates", |claim| {
        put(claim, "apiVersion", "v1");
        put(claim, "kind", "PersistentVolumeClaim");
        ensure(claim, "status");
        default_claim(claim);
    });
}
