//! How long things are kept, and how many.

use std::time::Duration;

use super::Kept;

#[test]
fn values_end_and_are_bounded() {
    const LONG: Duration = Duration::from_secs(3600);
    let kept = Kept::new(2);
    kept.put("ns/a".to_owned(), 1, Duration::ZERO);
    kept.put("other/b".to_owned(), 2, LONG);
    assert_eq!((kept.get("ns/a"), kept.get("other/b"), kept.get("ns/c")), (None, Some(2), None));
    kept.put("ns/c".to_owned(), 3, LONG);
    assert_eq!((kept.get("other/b"), kept.get("ns/c")), (Some(2), Some(3)), "what had ended made room");
    kept.put("ns/d".to_owned(), 4, LONG);
    assert_eq!((kept.get("ns/c"), kept.get("ns/d")), (None, Some(4)), "full of what lasts: all of it goes");
    kept.forget("ns/");
    assert_eq!(kept.get("ns/d"), None);
}
