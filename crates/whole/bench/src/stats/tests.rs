//! Percentiles, medians and ratios at their edges.

use std::time::Duration;

use super::{Better, Spread, drift_percent, mean, percentile, ratio};

fn millis(values: &[u64]) -> Vec<Duration> {
    values.iter().copied().map(Duration::from_millis).collect()
}

#[test]
fn percentiles_are_nearest_ranks() {
    let hundred = millis(&(1..=100).rev().collect::<Vec<_>>());
    let check = |values: &[Duration], percent, expected: Option<u64>| {
        assert_eq!(percentile(values, percent), expected.map(Duration::from_millis), "p{percent}");
    };
    check(&hundred, 50, Some(50));
    check(&hundred, 99, Some(99));
    check(&hundred, 100, Some(100));
    check(&hundred, 0, Some(1));
    check(&millis(&[7]), 99, Some(7));
    check(&[], 50, None);
}

#[test]
fn means_are_of_all_values() {
    assert_eq!(mean(&millis(&[1, 2, 6])), Some(Duration::from_millis(3)));
    assert_eq!(mean(&[]), None);
}

#[test]
fn the_median_of_an_even_number_is_between_the_middle_two() {
    let spread = |values: &[f64]| Spread::of(values).map(|spread| (spread.min, spread.median, spread.max));
    assert_eq!(spread(&[3.0, 1.0, 2.0]), Some((1.0, 2.0, 3.0)));
    assert_eq!(spread(&[4.0, 1.0, 2.0, 3.0]), Some((1.0, 2.5, 4.0)));
    assert_eq!(spread(&[]), None);
}

#[test]
fn a_ratio_above_one_is_always_better() {
    assert_eq!(ratio(Better::Lower, 2.0, 8.0), Some(4.0));
    assert_eq!(ratio(Better::Higher, 8.0, 2.0), Some(4.0));
    assert_eq!(ratio(Better::Lower, 8.0, 2.0), Some(0.25));
    assert_eq!(ratio(Better::Lower, 0.0, 2.0), None);
    assert_eq!(ratio(Better::Higher, 1.0, 0.0), None);
}

#[test]
fn drift_is_relative_to_the_start() {
    assert_eq!(drift_percent(100.0, 90.0), -10.0);
    assert_eq!(drift_percent(0.0, 90.0), 0.0);
}
