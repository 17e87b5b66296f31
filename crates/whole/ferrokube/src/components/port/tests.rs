//! Which ports components have, and what becomes of one that is taken.

use clap::Parser as _;

use super::*;
use crate::cli::{Arguments, Verb};

/// The options and the place of a command line.
fn started(words: &[&str]) -> (UpOptions, Place) {
    let arguments = Arguments::parse_from(["ferrokube", "up"].iter().chain(words));
    let Verb::Up(options) = arguments.verb else { panic!("{words:?} start a cluster") };
    let place = Place::of(&options.place);
    (*options, place)
}

#[test]
fn clusters_side_by_side_have_no_ports_unless_told() {
    let usual = "/var/lib/ferrokube";
    let cases: [(&[&str], [Option<u16>; 2]); 5] = [
        (&["--data-dir", usual], [Some(10257), Some(10259)]),
        (&["--data-dir", usual, "--scheduler-secure-port", "0"], [Some(10257), None]),
        (&["--data-dir", "/tmp/one"], [None, None]),
        (&["--data-dir", "/tmp/one", "--scheduler-secure-port", "20259"], [None, Some(20259)]),
        (&["--data-dir", "/tmp/one", "--controller-manager-secure-port", "20257"], [Some(20257), None]),
    ];
    for (words, expected) in cases {
        let (options, place) = started(words);
        assert_eq!(WATCHED.each_ref().map(|row| row.port(&options, &place)), expected, "{words:?}");
    }
}

#[tokio::test]
async fn a_taken_port_is_told_with_the_flag_that_helps() {
    let taken = env::net::listen_tcp(address(0)).await.expect("a port is free");
    let port = taken.address().expect("it has an address").port();
    for row in &WATCHED {
        let told = row.listen(port).await.expect_err("it is taken");
        let begin = format!("without its port: 127.0.0.1:{port}: Address already in use");
        assert!(told.starts_with(&begin) && told.ends_with(&format!("{} places it elsewhere", row.flag)), "{told}");
    }
    drop(taken);
    WATCHED[0].listen(port).await.expect("it is free again");
}
