//! Counts that may be written as a share of a total: `maxSurge: 25%`.

use typed::intstr::IntOrString;

/// Which way a share that is no whole number goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rounding {
    /// Surge and minAvailable: in favour of more pods.
    Up,
    /// Unavailability: in favour of fewer disruptions.
    Down,
}

/// The count meant by a number or a percentage of `total`; `None` for a text that is no percentage.
#[must_use]
pub fn percent_or_count(value: &IntOrString, total: i32, rounding: Rounding) -> Option<i32> {
    let text = match value {
        IntOrString::Int(count) => return Some(*count),
        IntOrString::String(text) => text,
    };
    let percent: i64 = text.strip_suffix('%')?.parse().ok()?;
    let product = percent.checked_mul(i64::from(total))?;
    let count = match rounding {
        Rounding::Up => product.checked_add(99)?.div_euclid(100),
        Rounding::Down => product.div_euclid(100),
    };
    i32::try_from(count).ok()
}
