//! Rotation, and the ends of logs.

use super::{last_lines, rotate};

#[test]
fn a_log_is_moved_away_and_old_ones_go() {
    let folder = tempfile::tempdir().expect("a folder");
    let log = folder.path().join("0.log");
    let now: jiff::Timestamp = "2026-01-01T00:00:00Z".parse().expect("a time");
    assert!(!rotate(&log, 10, 3, now).expect("an absent log is no failure"));
    for second in 0..5 {
        env::fs::write_atomic(&log, b"0123456789", env::fs::PUBLIC).expect("a log");
        let at = now.saturating_add(jiff::SignedDuration::from_secs(second)).expect("a time");
        assert!(!rotate(&log, 11, 3, at).expect("it is looked at"), "not yet");
        assert!(rotate(&log, 10, 3, at).expect("it is moved"));
    }
    let entries = env::fs::read_dir(folder.path()).expect("a folder");
    let mut left: Vec<String> =
        entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    left.sort();
    assert_eq!(left, ["0.log.20260101-000003", "0.log.20260101-000004"], "with the present log, three in all");
}

#[test]
fn the_last_lines_of_a_log() {
    let line = |text: &str| format!("2026-01-01T00:00:00Z stdout F {text}\n");
    assert_eq!(last_lines(&(line("one") + &line("two words"))), "one\ntwo words\n");
    let many: String = (0..100).map(|number| line(&number.to_string())).collect();
    let last = last_lines(&many);
    assert_eq!((last.lines().count(), last.lines().next()), (80, Some("20")));
    let long = line(&"x".repeat(1500)) + &line(&"y".repeat(1500));
    assert_eq!(last_lines(&long).len(), 1501, "no more than 2048 bytes, in whole lines");
    assert_eq!(last_lines(""), "");
}
