//! Tables of made-up figures.

use serde_json::json;

use super::{Measured, Outcome, Pair, difference, digits, geometric_mean};
use crate::rows::{Figure, ROWS, Sample};

fn sample(millis: f64, cpu_us: f64) -> Outcome {
    let mut figure = Figure::millis("mean", None).gate(4.0);
    (figure.value, figure.cpu_us) = (millis, Some(cpu_us));
    Ok(Sample { figures: vec![figure], proven: vec!["it holds".to_owned()], ..Sample::default() })
}

fn broken(millis: f64) -> Outcome {
    let mut outcome = sample(millis, 1.0);
    if let Ok(sample) = &mut outcome {
        sample.check("one is two", false, || "one".to_owned());
    }
    outcome
}

fn measured(pairs: Vec<(Outcome, Option<Outcome>)>) -> Measured {
    let pairs = pairs.into_iter().map(|(ours, reference)| Pair { ours, reference }).collect();
    Measured { row: &ROWS[0], pairs }
}

#[track_caller]
fn check(measured: &Measured, with_reference: bool, expected: &[&str]) {
    let text = measured.lines(with_reference).join("\n");
    for part in expected {
        assert!(text.contains(part), "{part:?} is not in\n{text}");
    }
}

#[test]
fn the_ratio_is_the_median_of_the_ratios_of_pairs() {
    let row = measured(vec![
        (sample(1.0, 10.0), Some(sample(2.0, 20.0))),
        (sample(2.0, 10.0), Some(sample(16.0, 50.0))),
        (sample(4.0, 10.0), Some(sample(20.0, 30.0))),
    ]);
    check(&row, true, &["ours 2.00 ms (1.00-4.00)", "ratio 5.00x (2.00-8.00)", "gate 4x: met", "ratio 3.00x"]);
    assert!(!row.failed());
    let mean = geometric_mean(&[row]).expect("there is a gated ratio");
    assert!((mean - 5.0).abs() < 1e-9, "{mean}");
}

#[test]
fn a_missed_gate_says_so() {
    let row = measured(vec![(sample(1.0, 1.0), Some(sample(3.0, 1.0)))]);
    check(&row, true, &["ratio 3.00x  gate 4x: missed", "correct, ours: it holds"]);
    assert!(row.failed());
}

#[test]
fn without_a_reference_nothing_is_compared() {
    let row = measured(vec![(sample(1.0, 1.0), None)]);
    check(&row, false, &["ours 1.00 ms", "reference: not given"]);
    assert!(!row.lines(false).join("\n").contains("gate"));
    assert!(!row.failed());
    assert_eq!(geometric_mean(&[row]), None);
}

#[test]
fn a_failed_check_voids_the_number() {
    let row = measured(vec![(broken(1.0), Some(sample(8.0, 1.0)))]);
    check(&row, true, &["ours void", "ratio void", "gate 4x: not measured", "VOID, ours: not so: one is two (one)"]);
    assert!(row.failed());
    check(&measured(vec![(Err("no start".to_owned()), None)]), false, &["VOID, ours: no start"]);
}

#[test]
fn the_first_difference_is_named() {
    let (left, right) = (json!({"a": [1, {"b": 2}], "c": 3}), json!({"a": [1, {"b": 4}], "c": 3}));
    assert_eq!(difference("", &left, &right).as_deref(), Some("/a/1/b: ours 2, reference 4"));
    assert_eq!(difference("", &left, &left), None);
    let missing = difference("", &json!({}), &json!({"c": 1}));
    assert_eq!(missing.as_deref(), Some("/c: ours null, reference 1"));
}

#[test]
fn three_digits_count() {
    assert_eq!([0.123, 1.234, 12.34, 123.4, 12_345.0].map(digits), ["0.12", "1.23", "12.3", "123", "12345"]);
}
