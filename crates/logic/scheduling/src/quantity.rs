//! Reading resource quantities as integers, rounded up, as the scheduler compares them.

use typed::resource::Quantity;

/// The quantity in whole units, rounded up; 0 when it cannot be read (the API server refuses such values).
pub(crate) fn whole(quantity: &Quantity) -> i64 {
    scaled(&quantity.0, 1)
}

/// The quantity in thousandths, rounded up.
pub(crate) fn milli(quantity: &Quantity) -> i64 {
    scaled(&quantity.0, 1000)
}

/// `text × factor`, rounded away from zero and kept within 64 bits.
fn scaled(text: &str, factor: i128) -> i64 {
    let Some((mantissa, decimals, suffix)) = parts(text) else { return 0 };
    let Some((numerator, denominator)) = multiplier(suffix) else { return 0 };
    let scale = 10_i128.pow(decimals).saturating_mul(denominator);
    let product = mantissa.saturating_mul(numerator).saturating_mul(factor);
    let up = if product > 0 { product.saturating_add(scale - 1) } else { product };
    let rounded = (up / scale).clamp(i128::from(i64::MIN), i128::from(i64::MAX));
    i64::try_from(rounded).expect("the value was clamped to 64 bits")
}

/// All digits as one integer, how many of them stand behind the point, and the suffix.
fn parts(text: &str) -> Option<(i128, u32, &str)> {
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let end = digits.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(digits.len());
    let (number, suffix) = digits.split_at(end);
    let (mut mantissa, mut decimals, mut seen_point) = (0_i128, 0, false);
    for c in number.chars() {
        match c.to_digit(10) {
            Some(digit) if decimals < 18 => {
                mantissa = mantissa.saturating_mul(10).saturating_add(i128::from(digit));
                decimals += u32::from(seen_point);
            }
            Some(_) => {}
            None if seen_point => return None,
            None => seen_point = true,
        }
    }
    Some((if negative { -mantissa } else { mantissa }, decimals, suffix))
}

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
            let size = 10_i128.pow(power.unsigned_abs().min(18));
            if power < 0 { (1, size) } else { (size, 1) }
        }
    })
}

#[cfg(test)]
mod tests;
