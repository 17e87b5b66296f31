//! Times as the API writes them: RFC 3339 in UTC, whole seconds (`Time`) or six digits (`MicroTime`).

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::Text;

/// The first second of year 0: RFC 3339 has no words for what came before, so nothing that is written may be from there.
const FIRST_SECOND: i64 = -62_167_219_200;

/// Parses an RFC 3339 time with any offset.
pub fn parse(text: &str) -> Option<Timestamp> {
    // RFC 3339 wants an upper-case T and an explicit offset; jiff accepts more, upstream does not.
    let shaped = text.len() >= 20 && text.as_bytes()[10] == b'T' && !text.contains('[');
    let time: Timestamp = if shaped { text.parse().ok()? } else { return None };
    Some(time).filter(has_words)
}

/// Whether a time can be written.
pub fn has_words(time: &Timestamp) -> bool {
    time.as_second() >= FIRST_SECOND
}

/// The canonical text of a `Time`: whole seconds, the fraction cut off.
pub fn seconds(time: Timestamp) -> Text {
    let civil = time.to_zoned(TimeZone::UTC).datetime();
    compact_str::format_compact!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z",
        civil.year(),
        civil.month(),
        civil.day(),
        civil.hour(),
        civil.minute(),
        civil.second()
    )
}

/// The canonical text of a `MicroTime`: always six digits of fraction.
pub fn micros(time: Timestamp) -> Text {
    let civil = time.to_zoned(TimeZone::UTC).datetime();
    compact_str::format_compact!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:06}Z",
        civil.year(),
        civil.month(),
        civil.day(),
        civil.hour(),
        civil.minute(),
        civil.second(),
        civil.subsec_nanosecond() / 1000
    )
}
