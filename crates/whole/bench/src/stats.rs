//! Numbers made of numbers: percentiles, medians, means, ratios.
//!
//! Pure. An empty set has no percentile, and is told apart from a zero.

use std::time::Duration;

/// Which way is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Better {
    /// Times and costs.
    Lower,
    /// Rates.
    Higher,
}

/// The middle, with the ends beside it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
}

impl Spread {
    /// `None` for no values.
    pub(crate) fn of(values: &[f64]) -> Option<Spread> {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let (min, max) = (*sorted.first()?, *sorted.last()?);
        let middle = sorted.len() / 2;
        let median = if sorted.len().is_multiple_of(2) {
            f64::midpoint(sorted[middle - 1], sorted[middle])
        } else {
            sorted[middle]
        };
        Some(Spread { median, min, max })
    }
}

/// The value that `percent` of all are at or below (nearest rank); `None` for no values.
pub(crate) fn percentile(values: &[Duration], percent: usize) -> Option<Duration> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    let rank = (sorted.len() * percent.min(100)).div_ceil(100).max(1);
    sorted.get(rank - 1).copied()
}

/// `None` for no values.
pub(crate) fn mean(values: &[Duration]) -> Option<Duration> {
    let count = u32::try_from(values.len()).ok().filter(|count| *count > 0)?;
    Some(values.iter().sum::<Duration>() / count)
}

/// How many times better `ours` is than `reference`; `None` where a zero forbids it.
pub(crate) fn ratio(better: Better, ours: f64, reference: f64) -> Option<f64> {
    let (above, below) = match better {
        Better::Lower => (reference, ours),
        Better::Higher => (ours, reference),
    };
    (below > 0.0 && above > 0.0).then(|| above / below)
}

/// How far `end` is from `start`, in percent of `start`.
pub(crate) fn drift_percent(start: f64, end: f64) -> f64 {
    if start == 0.0 { 0.0 } else { (end - start) / start * 100.0 }
}

#[cfg(test)]
mod tests;
