//! Label and field selectors, and the names that stand in them.

use object::names;
use object::selector::{FieldSelector, LabelSelector};

/// A selector, or any of the names.
pub fn selectors(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(selector) = LabelSelector::parse(text) {
        let written = selector.to_string();
        let again = LabelSelector::parse(&written).unwrap_or_else(|error| panic!("{error} in {written:?}"));
        assert_eq!(again.to_string(), written, "a label selector that was written reads the same");
        for value in [None, Some(""), Some("1"), Some(text)] {
            assert_eq!(selector.matches(|_| value), again.matches(|_| value), "and selects the same: {written:?}");
        }
    }
    if let Ok(selector) = FieldSelector::parse(text) {
        let written = selector.to_string();
        let again = FieldSelector::parse(&written).unwrap_or_else(|error| panic!("{error} in {written:?}"));
        assert_eq!(again, selector, "a field selector that was written reads the same: {written:?}");
        assert_eq!(selector.matches(|_| Some(text)), again.matches(|_| Some(text)), "and selects the same");
    }
    let checks: [fn(&str) -> Vec<String>; 6] = [
        names::dns_label,
        names::dns_subdomain,
        names::dns1035_label,
        names::qualified_name,
        names::label_value,
        names::path_segment,
    ];
    checks.iter().for_each(|check| drop(check(text)));
    let (left, right) = text.split_once(',').unwrap_or((text, ""));
    let order = names::version_order(left, right);
    assert_eq!(names::version_order(right, left), order.reverse(), "an order is one in both directions");
}
