//! Plans as text, one line for each write, so that a test's expectation can be read aloud.

use plan::{Action, Object, Part, Plan, Propagation, Target, meta};

/// The writes of a plan, one per line; stages are separated by `--`.
#[must_use]
pub fn script(plan: &Plan) -> String {
    let stages = plan
        .stages
        .iter()
        .map(|stage| stage.steps.iter().map(|step| line(&step.action)).collect::<Vec<_>>().join("\n"));
    stages.collect::<Vec<_>>().join("\n--\n")
}

/// One write in one line.
#[must_use]
pub fn line(action: &Action) -> String {
    match action {
        Action::Create(object) => format!("create {} {}", object.resource().kind, name(object)),
        Action::Update { object, part: Part::Whole } => format!("update {} {}", object.resource().kind, name(object)),
        Action::Update { object, part } => {
            format!("update {} {} ({part:?})", object.resource().kind, name(object)).replace("(Status)", "status")
        }
        Action::Patch { target, patch } => {
            let mut text = format!("patch {}", place(target));
            if let Some(finalizers) = &patch.finalizers {
                text.push_str(&format!(" finalizers={finalizers:?}"));
            }
            if let Some(owners) = &patch.owner_references {
                let names: Vec<&str> = owners.iter().map(|owner| owner.name.as_str()).collect();
                text.push_str(&format!(" owners={names:?}"));
            }
            for (key, value) in patch.labels.iter().chain(&patch.annotations) {
                text.push_str(&format!(" {key}={}", value.as_deref().unwrap_or("(removed)")));
            }
            text
        }
        Action::Delete { target, propagation, .. } => match propagation {
            Propagation::Background => format!("delete {}", place(target)),
            other => format!("delete {} {other:?}", place(target)),
        },
        Action::DeleteCollection { resource, namespace } => format!("delete all {} in {namespace}", resource.plural),
    }
}

fn name(object: &Object) -> String {
    let about = object.meta();
    match meta::name(about) {
        "" => format!("{}*", about.generate_name.as_deref().unwrap_or_default()),
        name => name.to_owned(),
    }
}

fn place(target: &Target) -> String {
    format!("{} {}", target.resource.kind, target.name)
}
