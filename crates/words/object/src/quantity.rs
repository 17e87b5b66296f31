//! Quantities: fixed-point numbers with a suffix, and their canonical text.
//!
//! Rules: `k8s.io/apimachinery/pkg/api/resource`, as it behaves: precision down to one nano (finer is rounded away from
//! zero), magnitudes capped at 2^63 - 1, binary values below 1,024 written as decimal ones.

use std::cmp::Ordering;
use std::fmt;

use crate::Text;

const NANOS: i128 = 1_000_000_000;
const MAX_NANOS: i128 = (i64::MAX as i128) * NANOS;

/// Which family of suffixes a quantity is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// `m`, `k`, `M`, …
    #[default]
    DecimalSi,
    /// `Ki`, `Mi`, …
    BinarySi,
    /// `e3`, `e6`, …
    DecimalExponent,
}

/// A number with nano precision and the suffix family it was written in.
#[derive(Debug, Clone, Copy, Default)]
pub struct Quantity {
    nanos: i128,
    format: Format,
}

/// Why a text is no quantity; upstream's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// The shape of the number is wrong.
    #[error("quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'")]
    Format,
    /// The number is followed by no known suffix.
    #[error("unable to parse quantity's suffix")]
    Suffix,
}

impl Quantity {
    /// A whole number in the given family.
    pub fn whole(value: i64, format: Format) -> Quantity {
        Quantity { nanos: i128::from(value) * NANOS, format }
    }

    /// So many thousandths, decimal.
    pub fn milli(value: i64) -> Quantity {
        Quantity { nanos: i128::from(value) * 1_000_000, format: Format::DecimalSi }
    }

    /// Reads a quantity in any of its notations.
    pub fn parse(text: &str) -> Result<Quantity, ParseError> {
        let (negative, unsigned) = match text.as_bytes().first() {
            None => return Err(ParseError::Format),
            Some(b'-') => (true, &text[1..]),
            Some(b'+') => (false, &text[1..]),
            Some(_) => (false, text),
        };
        let digits_end = unsigned.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(unsigned.len());
        let (number, suffix) = unsigned.split_at(digits_end);
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
            return Err(ParseError::Format);
        }
        let (scale, format) = scale_of(suffix)?;
        let nanos = scaled(whole, fraction, scale).min(MAX_NANOS);
        Ok(Quantity { nanos: if negative { -nanos } else { nanos }, format })
    }

    /// The value rounded up to a whole number.
    pub fn value(&self) -> i64 {
        self.rounded_up(NANOS)
    }

    /// The value in thousandths, rounded up.
    pub fn milli_value(&self) -> i64 {
        self.rounded_up(1_000_000)
    }

    /// The exact value in billionths.
    pub fn nanos(&self) -> i128 {
        self.nanos
    }

    /// The suffix family.
    pub fn format(&self) -> Format {
        self.format
    }

    /// Less than, equal to or greater than zero.
    pub fn sign(&self) -> Ordering {
        self.nanos.cmp(&0)
    }

    /// The sum, in this quantity's family unless this is zero.
    #[must_use]
    pub fn plus(&self, other: &Quantity) -> Quantity {
        let format = if self.nanos == 0 { other.format } else { self.format };
        Quantity { nanos: (self.nanos + other.nanos).clamp(-MAX_NANOS, MAX_NANOS), format }
    }

    /// The difference, in this quantity's family unless this is zero.
    #[must_use]
    pub fn minus(&self, other: &Quantity) -> Quantity {
        self.plus(&Quantity { nanos: -other.nanos, format: other.format })
    }

    /// The canonical text.
    pub fn text(&self) -> Text {
        compact_str::format_compact!("{self}")
    }

    fn rounded_up(&self, unit: i128) -> i64 {
        let up = self.nanos.div_euclid(unit) + i128::from(self.nanos.rem_euclid(unit) != 0);
        i64::try_from(up).unwrap_or(if up > 0 { i64::MAX } else { i64::MIN })
    }
}

impl PartialEq for Quantity {
    fn eq(&self, other: &Quantity) -> bool {
        self.nanos == other.nanos
    }
}

impl Eq for Quantity {}

impl PartialOrd for Quantity {
    fn partial_cmp(&self, other: &Quantity) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Quantity {
    fn cmp(&self, other: &Quantity) -> Ordering {
        self.nanos.cmp(&other.nanos)
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.nanos == 0 {
            return f.write_str("0");
        }
        let small = self.nanos.abs() < 1024 * NANOS;
        match self.format {
            Format::BinarySi if !small => write_binary(self.rounded_up(NANOS), f),
            Format::BinarySi | Format::DecimalSi => {
                let (mantissa, exponent) = decimal(self.nanos);
                write!(f, "{mantissa}{}", decimal_suffix(exponent))
            }
            Format::DecimalExponent => match decimal(self.nanos) {
                (mantissa, 0) => write!(f, "{mantissa}"),
                (mantissa, exponent) => write!(f, "{mantissa}e{exponent}"),
            },
        }
    }
}

/// What a suffix multiplies by.
#[derive(Debug, Clone, Copy)]
enum Scale {
    Ten(i32),
    Two(u32),
}

fn scale_of(suffix: &str) -> Result<(Scale, Format), ParseError> {
    let scale = match suffix {
        "" => Scale::Ten(0),
        "n" => Scale::Ten(-9),
        "u" => Scale::Ten(-6),
        "m" => Scale::Ten(-3),
        "k" => Scale::Ten(3),
        "M" => Scale::Ten(6),
        "G" => Scale::Ten(9),
        "T" => Scale::Ten(12),
        "P" => Scale::Ten(15),
        "E" => Scale::Ten(18),
        "Ki" => Scale::Two(10),
        "Mi" => Scale::Two(20),
        "Gi" => Scale::Two(30),
        "Ti" => Scale::Two(40),
        "Pi" => Scale::Two(50),
        "Ei" => Scale::Two(60),
        _ => return exponent_of(suffix),
    };
    let format = if matches!(scale, Scale::Two(_)) { Format::BinarySi } else { Format::DecimalSi };
    Ok((scale, format))
}

fn exponent_of(suffix: &str) -> Result<(Scale, Format), ParseError> {
    let digits = suffix.strip_prefix(['e', 'E']).ok_or_else(|| shape_error(suffix))?;
    let exponent: i32 = digits.parse().map_err(|_not_a_number| shape_error(suffix))?;
    Ok((Scale::Ten(exponent), Format::DecimalExponent))
}

/// Suffix characters in the wrong order are a suffix error; anything else breaks the quantity's shape.
fn shape_error(suffix: &str) -> ParseError {
    let letters_end = suffix.find(|c: char| !"eEinumkKMGTP".contains(c)).unwrap_or(suffix.len());
    let rest = suffix[letters_end..].trim_start_matches(['+', '-']);
    if rest.chars().all(|c| c.is_ascii_digit()) { ParseError::Suffix } else { ParseError::Format }
}

/// `whole.fraction` times the scale in nanos, rounded up, saturating at the largest magnitude.
fn scaled(whole: &str, fraction: &str, scale: Scale) -> i128 {
    let ten = match scale {
        Scale::Ten(exponent) => exponent.saturating_add(9),
        Scale::Two(_) => 9,
    };
    // Digits shifted so that the last one counts nanos; those behind it round the value up.
    let digits = whole.bytes().chain(fraction.bytes());
    let keep = i64::try_from(whole.len()).unwrap_or(i64::MAX).saturating_add(ten.into());
    let mut factor: i128 = 1;
    let mut nanos: i128 = 0;
    let mut inexact = false;
    if let Scale::Two(bits) = scale {
        factor <<= bits;
        return scaled_binary(whole, fraction, factor);
    }
    let mut seen: i64 = 0;
    for digit in digits {
        let digit = i128::from(digit - b'0');
        if seen < keep {
            nanos = nanos.saturating_mul(10).saturating_add(digit);
        } else {
            inexact |= digit != 0;
        }
        seen += 1;
    }
    while seen < keep && nanos != 0 && nanos < MAX_NANOS {
        nanos = nanos.saturating_mul(10);
        seen += 1;
    }
    nanos.saturating_add(i128::from(inexact))
}

fn scaled_binary(whole: &str, fraction: &str, factor: i128) -> i128 {
    let whole = whole
        .bytes()
        .fold(0_i128, |sum, digit| sum.saturating_mul(10).saturating_add(i128::from(digit - b'0')).min(MAX_NANOS));
    // 18 fractional digits are finer than a nano of the largest unit needs; what follows only rounds up.
    let (kept, rest) = fraction.split_at(fraction.len().min(18));
    let mut part = kept.bytes().fold(0_i128, |sum, digit| sum * 10 + i128::from(digit - b'0'));
    part += i128::from(rest.bytes().any(|digit| digit != b'0'));
    let base = 10_i128.pow(u32::try_from(kept.len()).unwrap_or(18));
    // part < 10^18 and factor <= 2^60, so multiplying by 10^9 at once could overflow: divide in two steps.
    let product = part * factor;
    let (quotient, remainder) = (product / base, product % base);
    let fine = (remainder * NANOS + base - 1) / base;
    whole.saturating_mul(factor).saturating_mul(NANOS).saturating_add(quotient * NANOS + fine)
}

/// The shortest mantissa with an exponent that is a multiple of three.
fn decimal(nanos: i128) -> (i128, i32) {
    let (mut mantissa, mut exponent) = (nanos, -9);
    while exponent < 18 && mantissa % 1000 == 0 {
        mantissa /= 1000;
        exponent += 3;
    }
    (mantissa, exponent)
}

fn decimal_suffix(exponent: i32) -> &'static str {
    match exponent {
        -9 => "n",
        -6 => "u",
        -3 => "m",
        3 => "k",
        6 => "M",
        9 => "G",
        12 => "T",
        15 => "P",
        18 => "E",
        _ => "",
    }
}

fn write_binary(value: i64, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    const SUFFIXES: [&str; 7] = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
    let (mut mantissa, mut power) = (value, 0);
    while power < 6 && mantissa % 1024 == 0 {
        mantissa /= 1024;
        power += 1;
    }
    write!(f, "{mantissa}{}", SUFFIXES[power])
}

#[cfg(test)]
mod tests;
