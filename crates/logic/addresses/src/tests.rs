//! Ranges, bitmaps and picks.

use std::net::IpAddr;

use super::*;

fn address(text: &str) -> IpAddr {
    text.parse().expect("a test names an address")
}

#[test]
fn ranges() {
    let range = Range::parse("10.96.0.0/12").expect("valid");
    assert_eq!(range.size(), (1 << 20) - 2);
    assert_eq!(range.at(0), Some(address("10.96.0.1")));
    assert_eq!(range.at(range.size() - 1), Some(address("10.111.255.254")));
    assert_eq!(range.at(range.size()), None);
    for (text, inside) in
        [("10.96.0.1", true), ("10.96.0.0", false), ("10.111.255.255", false), ("10.112.0.1", false), ("::1", false)]
    {
        assert_eq!(range.contains(address(text)), inside, "{text}");
    }
    let six = Range::parse("fd00:10:96::/112").expect("valid");
    assert_eq!((six.size(), six.at(0)), (65_535, Some(address("fd00:10:96::1"))));
    assert_eq!(Range::parse("10.96.7.7/12").expect("valid").to_string(), "10.96.0.0/12");
    for text in ["", "10.0.0.0", "10.0.0.0/33", "x/8", "::/129"] {
        assert!(Range::parse(text).is_err(), "{text:?}");
    }
}

#[test]
fn dynamic_assignments_leave_the_static_part_alone_while_they_can() {
    assert_eq!([8, 16, 254, 4_096, 1 << 20].map(static_part), [0, 16, 16, 256, 256]);
    assert_eq!(pick(254, 0, |_| false), Some(16));
    assert_eq!(pick(254, 237, |_| false), Some(253));
    assert_eq!(pick(254, 237, |offset| offset == 253), Some(16));
    assert_eq!(pick(254, 0, |offset| offset >= 16), Some(0));
    assert_eq!(pick(254, 0, |_| true), None);
}

#[test]
fn bitmaps_keep_their_stored_form() {
    let mut map = Bitmap::default();
    assert!(map.insert(0) && map.insert(17) && !map.insert(17));
    assert_eq!(map.to_bytes(), [0x02, 0x00, 0x01]);
    assert_eq!(Bitmap::from_bytes(&map.to_bytes()), map);
    map.remove(17);
    assert_eq!(map.to_bytes(), [0x01]);
}
