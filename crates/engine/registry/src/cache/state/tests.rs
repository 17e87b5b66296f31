//! What the ring of changes remembers.

use std::sync::Arc;
use std::time::Duration;

use env::time::Instant;
use store::Revision;

use super::super::Cached;
use super::{CHANGES_AGE_MAX, CHANGES_MIN, Entry, Moved, Read, State};

/// Applies changes of the revisions `from..to`, at one time.
fn changes(state: &mut State, revisions: std::ops::Range<u64>, at: Instant) {
    for revision in revisions {
        let object = Arc::new(Cached::bare("/registry/pods/a/p", Revision(revision)));
        state.apply(Entry { object, old: None, moved: Moved::Modified, at });
    }
}

#[tokio::test]
async fn old_changes_go_when_new_ones_come() {
    let now = Instant::now();
    let many = CHANGES_MIN as u64 + 100;
    let mut state = State::default();
    changes(&mut state, 1..many + 1, now);
    assert_eq!(state.position_of(Revision(0)), Some(0), "however many, they are young");
    changes(&mut state, many + 1..many + 2, now + CHANGES_AGE_MAX + Duration::from_secs(1));
    assert_eq!(state.end(), many + 1, "positions go on");
    assert_eq!(state.position_of(Revision(100)), None, "whoever saw that much must start over");
    let kept = state.position_of(Revision(many - 1)).expect("the last ones stay, however old they are");
    let Read::Changes(entries, position) = state.read(kept, 10) else { panic!("the place is in the ring") };
    assert_eq!((entries.len(), position), (2, many + 1));
}
