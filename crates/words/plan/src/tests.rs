//! The words' own laws.

use std::collections::BTreeMap;

use typed::intstr::IntOrString;
use typed::meta::{LabelSelector, LabelSelectorRequirement};

use crate::{Rounding, Selector, Step, percent_or_count, safe_encode, slow_start};

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
