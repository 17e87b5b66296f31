//! Endpoints, PodTemplates, ReplicationControllers and ComponentStatuses.

use object::{Text, Value};

use crate::podspec::default_template;
use crate::promises::Promises;
use crate::tree::{at, default_text, default_to, each, empty, within};

/// Endpoints.
pub(crate) const ENDPOINTS: Promises = Promises {
    default: |endpoints| {
        each(endpoints, "subsets", |subset| each(subset, "ports", |port| default_text(port, "protocol", "TCP")));
    },
    check_create: crate::check::endpoints::create,
    check_update: crate::check::endpoints::update,
    warn: crate::check::warnings::endpoints,
    deprecation: Some("v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice"),
    columns: crate::print::network::ENDPOINTS,
    cells: crate::print::network::endpoints,
    ..Promises::DATA.created_on_update()
};

/// A ComponentStatus: never stored, made when it is asked for.
pub(crate) const COMPONENT_STATUS: Promises = Promises {
    deprecation: Some("v1 ComponentStatus is deprecated in v1.19+"),
    columns: crate::print::core::COMPONENT_STATUS,
    cells: crate::print::core::component_status,
    ..Promises::DATA
};

/// A PodTemplate.
pub(crate) const POD_TEMPLATE: Promises = Promises {
    default: |object| within(object, "template", default_template),
    check_create: crate::check::workload::pod_template,
    check_update: |context, new, _| crate::check::workload::pod_template(context, new),
    warn: crate::check::podwarnings::of_pod_template,
    columns: crate::print::workload::POD_TEMPLATE,
    cells: crate::print::workload::pod_template,
    ..Promises::COUNTED.created_on_update()
};

/// A ReplicationController.
pub(crate) const REPLICATION_CONTROLLER: Promises = Promises {
    default: default_controller,
    check_create: crate::check::workload::replication_controller,
    check_update: crate::check::workload::replication_controller_update,
    warn: crate::check::podwarnings::of_named_workload,
    orphans: true,
    selectable: &["status.replicas"],
    select: |controller| {
        let replicas = controller.int_at(&["status", "replicas"]).unwrap_or(0);
        vec![("status.replicas", Text::from(replicas.to_string()))]
    },
    columns: crate::print::workload::REPLICAS,
    cells: crate::print::workload::replication_controller,
    ..Promises::WORKLOAD
};

/// Selector and labels are those of the template, unless they are given.
fn default_controller(controller: &mut Value) {
    let labels = controller.at(&["spec", "template", "metadata", "labels"]).cloned();
    if let Some(labels) = labels.filter(|labels| !empty(Some(labels))) {
        if empty(controller.at(&["spec", "selector"])) {
            controller.set(&["spec", "selector"], labels.clone());
        }
        if empty(controller.at(&["metadata", "labels"])) {
            controller.set(&["metadata", "labels"], labels);
        }
    }
    at(controller, &["spec"], |spec| {
        default_to(spec, "replicas", 1);
        within(spec, "template", default_template);
    });
}
