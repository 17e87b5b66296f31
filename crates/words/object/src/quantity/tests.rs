//! Tests of `quantity`.

use super::*;

#[test]
fn canonical_forms() {
    // (as written, as stored): behaviour of upstream's v1.36.
    let cases = [
        ("0", "0"),
        ("1024Mi", "1Gi"),
        ("2048Ki", "2Mi"),
        ("1.5Gi", "1536Mi"),
        ("0.1", "100m"),
        ("1e3", "1e3"),
        ("0.1m", "100u"),
        ("3.0001m", "3000100n"),
        ("1000", "1k"),
        ("1500", "1500"),
        ("1500m", "1500m"),
        ("1000m", "1"),
        ("0.5Ki", "512"),
        ("100Ki", "100Ki"),
        ("1E", "1E"),
        ("1Ei", "1Ei"),
        ("-1.5", "-1500m"),
        ("+5", "5"),
        (".5", "500m"),
        ("5.", "5"),
        ("0.0000000001", "1n"),
        ("12e6", "12e6"),
        ("1e-3", "1e-3"),
        ("1.5e3", "1500"),
        ("9223372036854775807", "9223372036854775807"),
        ("100E", "9223372036854775807"),
        ("0Ki", "0"),
        ("1Ki", "1Ki"),
        ("1000Ki", "1000Ki"),
        ("1.50", "1500m"),
        ("10e1", "100"),
    ];
    for (written, stored) in cases {
        let quantity = Quantity::parse(written).unwrap_or_else(|error| panic!("{written}: {error}"));
        assert_eq!(quantity.text(), stored, "{written}");
    }
}

#[test]
fn refusals() {
    for (text, error) in [
        ("", ParseError::Format),
        ("a", ParseError::Format),
        ("1.2.3", ParseError::Format),
        ("1x", ParseError::Format),
        ("1iK", ParseError::Suffix),
        ("1KiB", ParseError::Format),
        ("- 1", ParseError::Format),
        ("1e", ParseError::Suffix),
    ] {
        assert_eq!(Quantity::parse(text).err(), Some(error), "{text:?}");
    }
}

#[test]
fn values_round_up() {
    let cases =
        [("100m", 1, 100), ("1500m", 2, 1500), ("1n", 1, 1), ("-1500m", -1, -1500), ("1Gi", 1 << 30, 1000 << 30)];
    for (text, value, milli) in cases {
        let quantity = Quantity::parse(text).unwrap();
        assert_eq!((quantity.value(), quantity.milli_value()), (value, milli), "{text}");
    }
}
