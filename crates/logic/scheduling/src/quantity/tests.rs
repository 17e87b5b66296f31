use super::*;

#[test]
fn quantities_are_read_rounded_up() {
    for (text, units, thousandths) in [
        ("1", 1, 1000),
        ("100m", 1, 100),
        ("0.5", 1, 500),
        ("1.5Gi", 1_610_612_736, 1_610_612_736_000),
        ("2k", 2000, 2_000_000),
        ("1e3", 1000, 1_000_000),
        ("5E-1", 1, 500),
        ("1n", 1, 1),
        ("0", 0, 0),
        ("-1", -1, -1000),
        ("rubbish", 0, 0),
    ] {
        let quantity = Quantity(text.to_owned());
        assert_eq!((whole(&quantity), milli(&quantity)), (units, thousandths), "{text}");
    }
}
