//! Queries, and which log they mean.

use super::{Query, parse};
use crate::logs::reading::{Reader, Stream, Wanted};

#[test]
fn queries() {
    let now = "2026-01-01T00:01:00Z".parse().expect("a time");
    let query =
        parse("follow=true&tailLines=5&sinceTime=2026-01-01T00%3A00%3A00Z&stream=Stderr&x=y", now).expect("a query");
    let since = "2026-01-01T00:00:00Z".parse().ok();
    let wanted = Wanted { tail_lines: Some(5), since, stream: Some(Stream::Stderr), ..Default::default() };
    assert_eq!(query, Query { wanted, follow: true, previous: false });
    assert_eq!(parse("sinceSeconds=60", now).expect("a query").wanted.since, since);
    assert!(parse("tailLines=many", now).is_err() && parse("follow=perhaps", now).is_err());
}

#[test]
fn readers() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("0.log");
    let text = "2026-01-01T00:00:00Z stdout F one\n2026-01-01T00:00:01Z stderr F two\n2026-01-01T00:00:02Z stdout P th\n2026-01-01T00:00:02Z stdout F ree\n";
    env::fs::write_atomic(&path, text.as_bytes(), env::fs::PUBLIC).expect("a log");
    let check = |wanted: Wanted, expected: &str| {
        let mut reader = Reader::open(path.clone(), wanted.clone()).expect("it opens");
        let read = reader.read().expect("it reads").expect("something is wanted");
        assert_eq!(String::from_utf8_lossy(&read), expected, "{wanted:?}");
    };
    check(Wanted::default(), "one\ntwo\nthree\n");
    check(Wanted { stream: Some(Stream::Stderr), ..Default::default() }, "two\n");
    check(Wanted { tail_lines: Some(3), ..Default::default() }, "two\nthree\n");
    check(Wanted { tail_lines: Some(0), ..Default::default() }, "");
    check(Wanted { tail_lines: Some(100), ..Default::default() }, "one\ntwo\nthree\n");
    check(Wanted { since: "2026-01-01T00:00:02Z".parse().ok(), ..Default::default() }, "three\n");
    check(Wanted { bytes_max: Some(5), ..Default::default() }, "one\nt");
    let stamped = "2026-01-01T00:00:00Z one\n2026-01-01T00:00:01Z two\n2026-01-01T00:00:02Z three\n";
    check(Wanted { timestamps: true, ..Default::default() }, stamped);
}
