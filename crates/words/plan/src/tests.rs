//! The words' own laws.

use std::collections::BTreeMap;

use typed::intstr::IntOrString;
use typed::meta::{LabelSelector, LabelSelectorRequirement};

use typed::api::core::v1::Pod;
use typed::meta::ObjectMeta;

use crate::{
    Action, Kind as _, MetaPatch, Rounding, Selector, Step, Target, percent_or_count, safe_encode, slow_start,
};

fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn selectors_match_as_the_api_says() {
    let requirement = |operator: &str, values: &[&str]| LabelSelector {
        match_labels: None,
        match_expressions: Some(vec![LabelSelectorRequirement {
            key: "tier".into(),
            operator: operator.into(),
            values: Some(values.iter().map(ToString::to_string).collect()),
        }]),
    };
    let (front, none) = (labels(&[("tier", "front")]), labels(&[]));
    for (operator, values, with, without) in [
        ("In", &["front", "back"][..], true, false),
        ("In", &["back"], false, false),
        ("NotIn", &["back"], true, true),
        ("NotIn", &["front"], false, true),
        ("Exists", &[], true, false),
        ("DoesNotExist", &[], false, true),
        ("Gt", &["1"], false, false),
    ] {
        let selector = Selector::new(&requirement(operator, values));
        assert_eq!(
            (selector.matches(Some(&front)), selector.matches(Some(&none))),
            (with, without),
            "{operator} {values:?}"
        );
    }
    assert!(Selector::new(&LabelSelector::default()).matches(None), "the empty selector matches everything");
    assert!(!Selector::optional(None).matches(Some(&front)), "the absent selector matches nothing");
}

#[test]
fn shares_round_in_the_stated_direction() {
    let share = |text: &str, rounding| percent_or_count(&IntOrString::String(text.into()), 10, rounding);
    assert_eq!(share("25%", Rounding::Up), Some(3));
    assert_eq!(share("25%", Rounding::Down), Some(2));
    assert_eq!(share("25", Rounding::Down), None);
    assert_eq!(percent_or_count(&IntOrString::Int(7), 10, Rounding::Up), Some(7));
}

#[test]
fn names_use_the_safe_alphabet() {
    assert!(safe_encode("4294967295").chars().all(|c| "bcdfghjklmnpqrstvwxz2456789".contains(c)));
}

#[test]
fn batches_double() {
    let step = || Step::of(crate::Action::create(typed::api::core::v1::Pod::default()));
    let sizes: Vec<usize> =
        slow_start((0..10).map(|_| step()).collect()).iter().map(|stage| stage.steps.len()).collect();
    assert_eq!(sizes, [1, 2, 4, 3]);
}

#[test]
fn plans_speak_http() {
    let pod = Pod {
        metadata: ObjectMeta {
            name: Some("p".into()),
            namespace: Some("a".into()),
            uid: Some("u".into()),
            resource_version: Some("7".into()),
            ..ObjectMeta::default()
        },
        ..Pod::default()
    };
    let deployment = typed::api::apps::v1::Deployment::RESOURCE;
    assert_eq!(deployment.path("a", Some("d")), "/apis/apps/v1/namespaces/a/deployments/d");
    assert_eq!(Pod::RESOURCE.path("", None), "/api/v1/pods");
    let mut patch = MetaPatch::finalizers(Vec::new());
    patch.owner_references = Some(vec![crate::controller_reference(&pod)]);
    patch.labels.insert("x".into(), None);
    let tree = patch.to_tree(&Target::exactly(&pod));
    assert_eq!(
        (tree.str_at(&["metadata", "uid"]), tree.str_at(&["metadata", "resourceVersion"])),
        (Some("u"), Some("7"))
    );
    assert_eq!(tree.at(&["metadata", "labels", "x"]), Some(&object::Value::Null));
    assert_eq!(tree.list_at(&["metadata", "ownerReferences"])[0].str_at(&["uid"]), Some("u"));
    assert_eq!(tree.at(&["metadata", "finalizers"]), Some(&object::Value::List(Vec::new())));
    let options = Action::delete(&pod).delete_options().expect("a delete has options");
    assert_eq!(
        (options.str_at(&["preconditions", "uid"]), options.str_at(&["propagationPolicy"])),
        (Some("u"), Some("Background"))
    );
}

#[test]
fn every_planned_kind_has_its_row() {
    for row in crate::Object::RESOURCES {
        let is = |known: &&std::sync::Arc<kind::Resource>| crate::Resource::from(known.as_ref()) == *row;
        assert!(kind::builtin().iter().any(|known| is(&known)), "{row:?}");
    }
}
