//! What is thrown away, and what stays.

use jiff::{SignedDuration, Timestamp};

use super::{now, seconds};
use crate::garbage::{self, Excess, Image, ImageRules, Ledger, Listed, Owner};

/// `pod/name#attempt@sandbox`, dead with a `!` at its end; a sandbox without a name.
fn listed(text: &str) -> Vec<Listed> {
    let one = |word: &str| {
        let (rest, dead) = word.strip_suffix('!').map_or((word, false), |rest| (rest, true));
        let (rest, sandbox) = rest.split_once('@').unwrap_or((rest, ""));
        let (rest, attempt) = rest.split_once('#').expect("an attempt");
        let (pod, name) = rest.split_once('/').unwrap_or((rest, ""));
        let attempt: u32 = attempt.parse().expect("a number");
        Listed {
            id: word.trim_end_matches('!').split('@').next().unwrap_or_default().to_owned(),
            pod: pod.to_owned(),
            name: name.to_owned(),
            sandbox: sandbox.to_owned(),
            attempt,
            created_nanos: i64::from(attempt),
            dead,
        }
    };
    text.split_whitespace().map(one).collect()
}

fn owner(pod: &str) -> Owner {
    match pod {
        "alive" => Owner::Alive,
        "over" => Owner::Over,
        _ => Owner::Another,
    }
}

#[test]
fn dead_containers_and_sandboxes_go() {
    // Containers, sandboxes, whether disk runs short, which containers and which sandboxes go.
    let cases = [
        ("alive/m#0@alive#0 alive/s#0@alive#0", "alive#0", true, "", ""),
        ("alive/m#0@alive#0! alive/m#1@alive#0!", "alive#0", false, "alive/m#0", ""),
        ("alive/m#0@alive#0! alive/m#1@alive#0! alive/m#2@alive#0", "alive#0", false, "alive/m#0", ""),
        ("alive/m#0@alive#0! alive/s#0@alive#0!", "alive#0", true, "", ""),
        ("", "alive#0! alive#1! alive#2", false, "", "alive#1 alive#0"),
        ("alive/m#0@alive#0! alive/m#1@alive#1", "alive#0! alive#1", false, "", ""),
        ("alive/m#0@alive#0! alive/m#1@alive#1! alive/m#2@alive#1", "alive#0! alive#1", false, "alive/m#0", "alive#0"),
        ("", "alive#0!", true, "", ""),
        ("over/m#0@over#0! over/s#0@over#0!", "over#0!", false, "", ""),
        ("over/m#0@over#0! over/s#0@over#0!", "over#0!", true, "over/m#0 over/s#0", "over#0"),
        ("over/m#0@over#0! over/s#0@over#0", "over#0", true, "over/m#0", ""),
        ("going/m#0@going#0! going/m#1@going#0!", "going#0! going#1!", true, "", ""),
    ];
    for (containers, sandboxes, is_short, gone, gone_sandboxes) in cases {
        let waste = garbage::waste(&listed(containers), &listed(sandboxes), owner, is_short);
        let ids: Vec<&str> = waste.containers.iter().map(|it| it.id.as_str()).collect();
        assert_eq!(ids.join(" "), gone, "containers of {containers} {sandboxes} {is_short}");
        assert_eq!(waste.sandboxes.join(" "), gone_sandboxes, "sandboxes of {containers} {sandboxes} {is_short}");
    }
}

fn image(id: &str, in_use: bool) -> Image {
    Image { id: id.to_owned(), bytes: 10, pinned: id.starts_with("pinned"), in_use }
}

fn ids(images: Vec<Image>) -> String {
    images.into_iter().map(|image| image.id).collect::<Vec<_>>().join(" ")
}

#[test]
fn images_go_by_their_last_use() {
    let rules = ImageRules::default();
    let mut ledger = Ledger::default();
    // What is there at first may be of any age; what comes later is young.
    ledger.note(vec![image("first", false), image("pinned", false), image("used", true), image("busy", true)], now());
    assert_eq!(ids(ledger.unused(&rules, now())), "first");
    let later = vec![
        image("first", false),
        image("pinned", false),
        image("used", false),
        image("busy", true),
        image("new", false),
    ];
    ledger.note(later.clone(), seconds(60));
    assert_eq!(
        ids(ledger.unused(&rules, seconds(60))),
        "first used",
        "the longest unused first, young ones not at all"
    );
    assert_eq!(ids(ledger.unused(&rules, seconds(179))), "first used");
    assert_eq!(ids(ledger.unused(&rules, seconds(180))), "first new used", "two minutes after it came");
    ledger.forget("first");
    assert_eq!(ids(ledger.unused(&rules, seconds(180))), "new used");
    ledger.note(vec![image("first", false)], seconds(200));
    assert_eq!(
        ids(ledger.unused(&rules, seconds(201))),
        "",
        "what comes again is young again, and what is gone is gone"
    );
}

#[test]
fn images_go_by_their_age() {
    let hour = SignedDuration::from_hours(1);
    let rules = ImageRules { age_max: Some(hour), ..ImageRules::default() };
    let all = |used: bool| vec![image("old", false), image("pinned", false), image("used", used)];
    let mut ledger = Ledger::default();
    ledger.note(all(true), now());
    ledger.note(all(true), seconds(1800));
    ledger.note(all(false), seconds(3600));
    let cases = [(3600, ""), (3601, "old"), (5400, "old"), (5401, "old used")];
    for (at, expected) in cases {
        assert_eq!(ids(ledger.expired(&rules, seconds(at))), expected, "after {at} s");
    }
    assert_eq!(ids(ledger.expired(&ImageRules::default(), Timestamp::MAX)), "", "no age, no end");
}

#[test]
fn a_disk_is_too_full_by_its_share() {
    let never = ImageRules { high_percent: 100, ..ImageRules::default() };
    let usual = ImageRules::default();
    let excess = |used_percent, bytes| Some(Excess { used_percent, bytes });
    let cases = [
        (1000, 160, usual, None),
        (1000, 159, usual, excess(85, 41)),
        (1000, 150, usual, excess(85, 50)),
        (1000, 0, usual, excess(100, 200)),
        (1000, 2000, usual, None),
        (0, 0, usual, None),
        (u64::MAX, 0, usual, excess(100, u64::MAX / 5)),
        (1000, 0, never, None),
    ];
    for (capacity, available, rules, expected) in cases {
        assert_eq!(garbage::excess(capacity, available, &rules), expected, "{available} of {capacity}");
    }
    let message = garbage::failed_message(95, 10 << 30, 5);
    let beginning = "Insufficient free disk space on the node's image filesystem (95% of 10.0 GiB used). Failed to free \
                     sufficient space by deleting unused images (freed 5 bytes). ";
    assert!(message.starts_with(beginning), "{message}");
}
