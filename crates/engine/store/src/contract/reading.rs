//! Ranges.

use crate::{Key, Page, Range, Revision, Span, Txn, Want};

use super::{Ground, bytes};

async fn read(ground: &Ground, range: Range) -> Page {
    ground.store.range(range).await.expect("a kept revision can be read")
}

fn names(ground: &Ground, page: &Page) -> Vec<String> {
    page.entries.iter().map(|entry| entry.key.as_str()[ground.prefix.len()..].to_owned()).collect()
}

pub(super) async fn ranges_are_ordered_and_half_open(ground: Ground) {
    for name in ["d", "b", "a", "c", "b/x", "bb"] {
        ground.put(name, name).await;
    }
    let last = ground.current().await;
    let all = read(&ground, Range::of(ground.span())).await;
    assert_eq!(names(&ground, &all), ["a", "b", "b/x", "bb", "c", "d"]);
    assert_eq!((all.more, all.count), (false, 6));
    assert!(all.revision >= last, "a list is of now");
    let spans = [
        (Span::between(&ground.key("b"), &ground.key("c")), vec!["b", "b/x", "bb"]),
        (Span::prefix(ground.key("b/").as_str()), vec!["b/x"]),
        (Span::prefix(ground.key("b").as_str()), vec!["b", "b/x", "bb"]),
        (Span::one(&ground.key("b")), vec!["b"]),
        (Span::prefix_after(&ground.prefix, &ground.key("bb")), vec!["c", "d"]),
        (Span::prefix_after(&ground.prefix, &ground.key("d")), vec![]),
        (Span::between(&ground.key("c"), &ground.key("c")), vec![]),
        (Span::prefix(ground.key("e").as_str()), vec![]),
    ];
    for (span, expected) in spans {
        let page = read(&ground, Range::of(span.clone())).await;
        assert_eq!(names(&ground, &page), expected, "{span:?}");
        assert_eq!(page.count, expected.len() as u64, "{span:?}");
    }
}

pub(super) async fn a_limit_cuts_and_the_rest_continues(ground: Ground) {
    for n in 0..7 {
        ground.put(&format!("{n}"), "x").await;
    }
    for (limit, more) in [(3, true), (6, true), (7, false), (8, false), (0, false)] {
        let page = read(&ground, Range::of(ground.span()).limit(limit)).await;
        let expected = if limit == 0 { 7 } else { limit.min(7) };
        assert_eq!((page.entries.len(), page.more, page.count), (expected, more, 7), "with the limit {limit}");
    }
}

pub(super) async fn pages_at_one_revision_do_not_see_later_writes(ground: Ground) {
    for n in 0..10 {
        ground.put(&format!("{n}"), "old").await;
    }
    let first = read(&ground, Range::of(ground.span()).limit(4)).await;
    let listed: Revision = first.revision;
    let mut seen = names(&ground, &first);
    assert!(first.more, "there are further pages");
    ground.put("5", "new").await;
    ground.delete("6").await;
    ground.put("55", "new").await;
    let mut last: Key = first.entries[3].key.clone();
    loop {
        let rest = Span::prefix_after(&ground.prefix, &last);
        let page = read(&ground, Range::of(rest).at(listed).limit(4)).await;
        assert!(page.entries.iter().all(|entry| entry.value == bytes("old")), "later writes are not to be seen");
        assert_eq!(page.count, 10 - seen.len() as u64, "the count is of that revision too");
        seen.extend(names(&ground, &page));
        if !page.more {
            break;
        }
        last = page.entries.last().expect("a page with more after it is not empty").key.clone();
    }
    assert_eq!(seen, (0..10).map(|n| n.to_string()).collect::<Vec<_>>());
}

pub(super) async fn keys_and_counts_come_without_values(ground: Ground) {
    let written = ground.put("a", "value").await;
    ground.put("b", "value").await;
    let keys = read(&ground, Range::of(ground.span()).want(Want::Keys)).await;
    assert_eq!(names(&ground, &keys), ["a", "b"]);
    assert!(keys.entries.iter().all(|entry| entry.value.is_empty()), "keys alone");
    assert_eq!(keys.entries[0].modified, written, "with their revisions");
    let count = read(&ground, Range::of(ground.span()).want(Want::Count)).await;
    assert_eq!((count.entries.len(), count.count), (0, 2));
}

pub(super) async fn many_keys_are_read_whole(ground: Ground) {
    const KEYS: usize = 3_000;
    let names: Vec<_> = (0..KEYS).map(|n| format!("{n:05}")).collect();
    for group in names.chunks(100) {
        let txn = group.iter().fold(Txn::new(), |txn, name| txn.put(ground.key(name), bytes(name)));
        ground.commit(txn).await;
    }
    assert_eq!(ground.names(None).await, names);
    let page = read(&ground, Range::of(ground.span()).limit(1)).await;
    assert_eq!((page.entries.len(), page.count, page.more), (1, KEYS as u64, true));
}
