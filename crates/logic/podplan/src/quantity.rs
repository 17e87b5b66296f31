//! Resource quantities as numbers: `100m`, `1.5Gi`, `2e3`.
//!
//! Values round up, as the API's `Value()` and `MilliValue()` do, and saturate at the ends of `i64`.

use typed::resource::Quantity;

/// The quantity in whole units (bytes, cores); `None` when the text is no quantity.
pub fn value(quantity: &Quantity) -> Option<i64> {
    scaled(&quantity.0, 1)
}

/// The quantity in thousandths; `None` when the text is no quantity.
pub fn milli(quantity: &Quantity) -> Option<i64> {
    scaled(&quantity.0, 1000)
}

/// Parses `text` and multiplies by `scale`, rounding up.
pub fn scaled(text: &str, scale: i128) -> Option<i64> {
    let (negative, rest) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let digits_end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
    let (number, suffix) = rest.split_at(digits_end);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') || fraction.len() > 18 || whole.len() > 19 {
        return None;
    }
    let mantissa: i128 = format!("0{whole}{fraction}").parse().ok()?;
    let (multiplier, mut divisor) = multiplier(suffix)?;
    divisor = divisor.checked_mul(10_i128.checked_pow(u32::try_from(fraction.len()).ok()?)?)?;
    let product = mantissa.saturating_mul(multiplier).saturating_mul(scale);
    let signed = if negative { -product } else { product };
    let quotient = signed.div_euclid(divisor) + i128::from(signed.rem_euclid(divisor) != 0);
    Some(i64::try_from(quotient).unwrap_or(if negative { i64::MIN } else { i64::MAX }))
}

/// What a suffix multiplies by, and divides by.
fn multiplier(suffix: &str) -> Option<(i128, i128)> {
    Some(match suffix {
        "" => (1, 1),
        "n" => (1, 1_000_000_000),
        "u" => (1, 1_000_000),
        "m" => (1, 1000),
        "k" => (1000, 1),
        "M" => (1_000_000, 1),
        "G" => (1_000_000_000, 1),
        "T" => (1_000_000_000_000, 1),
        "P" => (1_000_000_000_000_000, 1),
        "E" => (1_000_000_000_000_000_000, 1),
        "Ki" => (1 << 10, 1),
        "Mi" => (1 << 20, 1),
        "Gi" => (1 << 30, 1),
        "Ti" => (1 << 40, 1),
        "Pi" => (1 << 50, 1),
        "Ei" => (1 << 60, 1),
        exponent => {
            let power: i32 = exponent.strip_prefix(['e', 'E'])?.parse().ok()?;
            let magnitude = 10_i128.checked_pow(power.unsigned_abs().min(37))?;
            if power >= 0 { (magnitude, 1) } else { (1, magnitude) }
        }
    })
}
