//! Resource quantities as the integers that the scheduler compares, rounded up.

use object::Quantity;
use typed::resource::Quantity as Text;

/// The quantity in whole units; 0 when it cannot be read (the API server refuses such values).
pub(crate) fn whole(quantity: &Text) -> i64 {
    Quantity::parse(&quantity.0).map_or(0, |quantity| quantity.value())
}

/// The quantity in thousandths.
pub(crate) fn milli(quantity: &Text) -> i64 {
    Quantity::parse(&quantity.0).map_or(0, |quantity| quantity.milli_value())
}
