//! The small languages: quantities, times, schedules, sets of indexes, address ranges, variables, resolver files.

use std::net::IpAddr;

use addresses::Bitmap;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use object::quantity::Format;
use object::{Quantity, timestamp};
use podplan::{expansion, network};
use workloads::job::indexes::Indexes;
use workloads::schedule::Schedule;

/// A text of any of them.
pub fn scalars(bytes: &[u8]) {
    let bitmap = Bitmap::from_bytes(bytes);
    assert_eq!(Bitmap::from_bytes(&bitmap.to_bytes()), bitmap, "a bitmap that was written reads the same");
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    quantities(text);
    times(text);
    ranges(text);
    let indexes = Indexes::parse(text, u32::MAX);
    assert_eq!(Indexes::parse(&indexes.to_string(), u32::MAX), indexes, "a set that was written reads the same");
    assert_eq!(indexes.common(&indexes), indexes.total(), "a set has all that it has");
    drop(network::parse_resolv_conf(text));
    assert_eq!(expansion::expand(&text.replace('$', "$$"), |_| None), text, "dollars stand for themselves");
    drop(expansion::expand_known(text, |name| Some(name.to_owned())));
}

fn quantities(text: &str) {
    let Ok(quantity) = Quantity::parse(text) else { return };
    let (twice, none) = (quantity.plus(&quantity), quantity.minus(&quantity));
    for one in [quantity, twice, none, quantity.minus(&twice)] {
        let written = one.text();
        let again = Quantity::parse(&written).expect("what was written can be read");
        assert_eq!(again.value(), one.value(), "what was written means the same: {written}");
        // A large quantity with a binary suffix is written as a whole number, which may need none.
        if one.format() != Format::BinarySi {
            assert_eq!((again.text(), again.nanos()), (written, one.nanos()), "the canonical form is canonical");
        }
        let _milli = one.milli_value();
    }
}

fn times(text: &str) {
    if let Some(time) = timestamp::parse(text) {
        let written = timestamp::seconds(time);
        let again = timestamp::parse(&written).expect("what was written can be read");
        assert_eq!(timestamp::seconds(again), written, "the canonical form is canonical");
        let written = timestamp::micros(time);
        let again = timestamp::parse(&written).expect("what was written can be read");
        assert_eq!(timestamp::micros(again), written, "the canonical form is canonical");
    }
    if let Ok(schedule) = Schedule::parse(text) {
        let summer = TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").expect("it is a time zone");
        for zone in [TimeZone::UTC, summer] {
            let mut at = Timestamp::UNIX_EPOCH;
            for _ in 0..4 {
                let Some(next) = schedule.next(at, &zone) else { break };
                assert!(next > at, "the next time is later: {next} after {at}");
                at = next;
            }
        }
        assert_eq!(schedule.next(Timestamp::MAX, &TimeZone::UTC), None, "nothing is later than the end of time");
    }
}

fn ranges(text: &str) {
    if let Ok(range) = addresses::Range::parse(text) {
        let again = addresses::Range::parse(&range.to_string()).expect("what was written can be read");
        assert_eq!(again, range, "a range that was written reads the same");
        for offset in [0, 1, range.size().saturating_sub(1), range.size()] {
            assert_eq!(range.at(offset).is_some(), offset < range.size(), "{text} has {} addresses", range.size());
            assert!(range.at(offset).is_none_or(|address| range.contains(address)), "{offset} is in {text}");
        }
        let first = addresses::pick(range.size(), u128::MAX, |_| false);
        assert_eq!(first.is_some(), range.size() > 0, "an empty range has a free address");
    }
    drop(text.parse::<servicerules::Range>());
    let _network = podnet::keeper::parse(text);
    if let Some(range) = podnet::config::range(text) {
        let in_family = |address: IpAddr| address.is_ipv4() == range.address.is_ipv4();
        assert!(in_family(podnet::config::gateway(range)) && in_family(podnet::config::nth(range, u64::MAX)));
    }
}
