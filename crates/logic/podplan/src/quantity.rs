//! Resource quantities as the numbers that the kernel takes.
//!
//! Values round up, as the API's `Value()` and `MilliValue()` do.

use typed::resource::Quantity;

/// The quantity in whole units (bytes, cores); `None` when the text is no quantity.
pub fn value(quantity: &Quantity) -> Option<i64> {
    parsed(quantity).map(|quantity| quantity.value())
}

/// The quantity in thousandths; `None` when the text is no quantity.
pub fn milli(quantity: &Quantity) -> Option<i64> {
    parsed(quantity).map(|quantity| quantity.milli_value())
}

fn parsed(quantity: &Quantity) -> Option<object::Quantity> {
    object::Quantity::parse(&quantity.0).ok()
}
