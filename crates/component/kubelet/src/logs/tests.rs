//! Rotation, and the ends of logs.

use super::{last_words, rotate};

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
fn the_last_words_of_a_log() {
    let folder = tempfile::tempdir().expect("a folder");
    let log = folder.path().join("0.log");
    let line = |tag: char, text: &str| format!("2026-01-01T00:00:00Z stdout {tag} {text}\n");
    let many: String = (0..100).map(|number| line('F', &number.to_string())).collect();
    let after_80: String = (20..100).map(|number| format!("{number}\n")).collect();
    let long = line('F', &"x".repeat(1500)) + &line('F', &"y".repeat(1500));
    let after_2048 = "x".repeat(546) + "\n" + &"y".repeat(1500) + "\n";
    let cases = [
        (line('F', "one") + &line('F', "two words"), "one\ntwo words\n".to_owned(), "whole lines"),
        (line('P', "DONE"), "DONE".to_owned(), "no end of a line was said"),
        (many, after_80, "no more than 80 lines"),
        (long, after_2048, "no more than 2048 bytes"),
        (String::new(), String::new(), "nothing was said"),
    ];
    for (said, expected, why) in cases {
        env::fs::write_atomic(&log, said.as_bytes(), env::fs::PUBLIC).expect("a log");
        let words = last_words(log.clone()).expect("it can be read");
        assert_eq!(String::from_utf8_lossy(&words), expected, "{why}");
    }
}
