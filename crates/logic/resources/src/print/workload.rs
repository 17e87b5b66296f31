//! Tables of the kinds that run pods.

use kind::{AGE, Cell, Column, NAME};
use object::{Meta, Value};

use super::{CONTAINERS, IMAGES, NONE, SELECTOR, column, containers, labels, name, number, selector, selector_or_none};

pub(crate) const POD_TEMPLATE: &[Column] = &[
    NAME,
    column("Containers", "string", "Names of the template's containers."),
    column("Images", "string", "Images of the template's containers."),
    column("Pod Labels", "string", "Labels that the template gives to its pods."),
];

pub(crate) fn pod_template(object: &Value) -> Vec<Cell> {
    let template = object.get("template").cloned().unwrap_or_default();
    let [names, images] = containers(&template);
    let given = labels(template.at(&["metadata", "labels"]).and_then(Value::as_map));
    vec![name(object), names, images, Cell::from(given)]
}

pub(crate) const REPLICAS: &[Column] = &[
    NAME,
    column("Desired", "integer", "Pods that are wanted."),
    column("Current", "integer", "Pods that exist."),
    column("Ready", "integer", "Pods that are ready."),
    AGE,
    CONTAINERS,
    IMAGES,
    SELECTOR,
];

fn replicas(object: &Value, selected: Cell) -> Vec<Cell> {
    let [names, images] = template_of(object);
    vec![
        name(object),
        Cell::from(number(object, &["spec", "replicas"])),
        Cell::from(number(object, &["status", "replicas"])),
        Cell::from(number(object, &["status", "readyReplicas"])),
        kind::age(object),
        names,
        images,
        selected,
    ]
}

fn template_of(object: &Value) -> [Cell; 2] {
    object.at(&["spec", "template"]).map_or_else(|| [Cell::from(""), Cell::from("")], containers)
}

pub(crate) fn replication_controller(object: &Value) -> Vec<Cell> {
    replicas(object, Cell::from(labels(object.at(&["spec", "selector"]).and_then(Value::as_map))))
}

pub(crate) fn replica_set(object: &Value) -> Vec<Cell> {
    replicas(object, selector_or_none(object.at(&["spec", "selector"])))
}

pub(crate) const DEPLOYMENT: &[Column] = &[
    NAME,
    column("Ready", "string", "Pods that are ready, of those that are wanted."),
    column("Up-to-date", "string", "Pods made from the newest template."),
    column("Available", "string", "Pods that have been ready for long enough."),
    AGE,
    CONTAINERS,
    IMAGES,
    SELECTOR,
];

pub(crate) fn deployment(object: &Value) -> Vec<Cell> {
    let [names, images] = template_of(object);
    let status = |field: &str| number(object, &["status", field]);
    vec![
        name(object),
        Cell::from(format!("{}/{}", status("readyReplicas"), number(object, &["spec", "replicas"]))),
        Cell::from(status("updatedReplicas")),
        Cell::from(status("availableReplicas")),
        kind::age(object),
        names,
        images,
        Cell::from(selector(object.at(&["spec", "selector"]))),
    ]
}

pub(crate) const DAEMON_SET: &[Column] = &[
    NAME,
    column("Desired", "integer", "Nodes that should run the pod."),
    column("Current", "integer", "Nodes that run it."),
    column("Ready", "integer", "Nodes on which it is ready."),
    column("Up-to-date", "integer", "Nodes that run it from the newest template."),
    column("Available", "integer", "Nodes on which it has been ready for long enough."),
    column("Node Selector", "string", "Labels of the nodes that it is for."),
    AGE,
    CONTAINERS,
    IMAGES,
    SELECTOR,
];

pub(crate) fn daemon_set(object: &Value) -> Vec<Cell> {
    let [names, images] = template_of(object);
    let status = |field: &str| Cell::from(number(object, &["status", field]));
    let nodes = object.at(&["spec", "template", "spec", "nodeSelector"]).and_then(Value::as_map);
    vec![
        name(object),
        status("desiredNumberScheduled"),
        status("currentNumberScheduled"),
        status("numberReady"),
        status("updatedNumberScheduled"),
        status("numberAvailable"),
        Cell::from(labels(nodes)),
        kind::age(object),
        names,
        images,
        selector_or_none(object.at(&["spec", "selector"])),
    ]
}

pub(crate) const STATEFUL_SET: &[Column] =
    &[NAME, column("Ready", "string", "Pods that are ready, of those that are wanted."), AGE, CONTAINERS, IMAGES];

pub(crate) fn stateful_set(object: &Value) -> Vec<Cell> {
    let [names, images] = template_of(object);
    let (ready, wanted) = (number(object, &["status", "readyReplicas"]), number(object, &["spec", "replicas"]));
    vec![name(object), Cell::from(format!("{ready}/{wanted}")), kind::age(object), names, images]
}

pub(crate) const CONTROLLER_REVISION: &[Column] =
    &[NAME, column("Controller", "string", "Whose state it is."), column("Revision", "string", "Its number."), AGE];

pub(crate) fn controller_revision(object: &Value) -> Vec<Cell> {
    let owner = Meta::of(object).owner_references().find(|owner| owner.controller);
    let owner = owner.map_or_else(
        || NONE.to_owned(),
        |owner| {
            let group = owner.api_version.split_once('/').map_or("", |(group, _)| group);
            let dot = if group.is_empty() { "" } else { "." };
            format!("{}{dot}{group}/{}", owner.kind.to_lowercase(), owner.name)
        },
    );
    vec![name(object), Cell::from(owner), Cell::from(number(object, &["revision"])), kind::age(object)]
}
