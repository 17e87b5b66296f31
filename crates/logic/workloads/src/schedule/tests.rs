//! Schedules: a moment, a schedule, the next moment.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::Schedule;

fn check(schedule: &str, zone: &str, after: &str, expected: &str) {
    let schedule = Schedule::parse(schedule).unwrap_or_else(|problem| panic!("{schedule}: {problem}"));
    let after: Timestamp = after.parse().unwrap();
    let zone = TimeZone::get(zone).unwrap();
    let next = schedule.next(after, &zone).map_or_else(|| "never".to_owned(), |next| next.to_string());
    assert_eq!(next, expected, "{schedule:?} after {after}");
}

#[test]
fn moments_follow_the_fields() {
    for (schedule, after, expected) in [
        ("* * * * *", "2026-01-01T00:00:30Z", "2026-01-01T00:01:00Z"),
        ("*/15 * * * *", "2026-01-01T00:00:00Z", "2026-01-01T00:15:00Z"),
        ("5/20 * * * *", "2026-01-01T00:06:00Z", "2026-01-01T00:25:00Z"),
        ("0 12 * * mon-fri", "2026-01-02T12:00:00Z", "2026-01-05T12:00:00Z"),
        ("0 0 13 * 5", "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"),
        ("0 0 13 * *", "2026-01-01T00:00:00Z", "2026-01-13T00:00:00Z"),
        ("0 0 29 2 *", "2026-01-01T00:00:00Z", "2028-02-29T00:00:00Z"),
        ("0 0 30 2 *", "2026-01-01T00:00:00Z", "never"),
        ("@daily", "2026-01-01T10:00:00Z", "2026-01-02T00:00:00Z"),
        ("@every 1h30m", "2026-01-01T00:00:00.5Z", "2026-01-01T01:30:00Z"),
        ("0 0 ? JAN,jul *", "2026-02-01T00:00:00Z", "2026-07-01T00:00:00Z"),
    ] {
        check(schedule, "UTC", after, expected);
    }
}

#[test]
fn clock_changes_skip_and_repeat() {
    check("30 2 * * *", "America/New_York", "2026-03-08T05:00:00Z", "2026-03-09T06:30:00Z");
    check("30 1 * * *", "America/New_York", "2026-11-01T05:30:00Z", "2026-11-01T06:30:00Z");
    check("0 9 * * *", "Asia/Kolkata", "2026-01-01T00:00:00Z", "2026-01-01T03:30:00Z");
}

#[test]
fn nonsense_is_refused_with_a_reason() {
    for (text, reason) in [
        ("", "empty spec string"),
        ("* * * *", "expected exactly 5 fields, found 4: [* * * *]"),
        ("60 * * * *", "end of range (60) above maximum (59): 60"),
        ("* * * * 7", "end of range (7) above maximum (6): 7"),
        ("* * 0 * *", "beginning of range (0) below minimum (1): 0"),
        ("*/0 * * * *", "step of range should be a positive number: */0"),
        ("@fortnightly", "unrecognized descriptor: @fortnightly"),
    ] {
        assert_eq!(Schedule::parse(text).unwrap_err(), reason, "{text}");
    }
}
