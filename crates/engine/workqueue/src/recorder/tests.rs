//! Merging and limiting, without a server.

use super::*;

fn spoken(object: &str, message: &str) -> Spoken {
    let regarding = ObjectReference { name: Some(object.to_owned()), ..ObjectReference::default() };
    Spoken { regarding, event_type: "Normal", reason: "Pulled".to_owned(), message: message.to_owned() }
}

fn hear(correlator: &mut Correlator, message: &str, now: Instant) -> Option<(String, bool)> {
    let heard = correlator.hear(spoken("a", message), now)?;
    let is_new = heard.known.is_none();
    let count = heard.known.as_ref().map_or(1, |known| known.count + 1);
    correlator.sent(&heard, Named { namespace: String::new(), name: "e".to_owned(), count });
    Some((heard.spoken.message, is_new))
}

#[test]
fn the_same_words_raise_a_count() {
    let (mut correlator, now) = (Correlator::default(), Instant::now());
    assert_eq!(hear(&mut correlator, "x", now), Some(("x".to_owned(), true)));
    assert_eq!(hear(&mut correlator, "x", now), Some(("x".to_owned(), false)));
    assert_eq!(hear(&mut correlator, "y", now), Some(("y".to_owned(), true)));
}

#[test]
fn many_similar_words_become_one_event() {
    let (mut correlator, now) = (Correlator::default(), Instant::now());
    for number in 0..9 {
        let message = format!("number {number}");
        assert_eq!(hear(&mut correlator, &message, now), Some((message.clone(), true)));
    }
    let combined = |number: u32| format!("(combined from similar events): number {number}");
    assert_eq!(hear(&mut correlator, "number 9", now), Some((combined(9), true)));
    assert_eq!(hear(&mut correlator, "number 10", now), Some((combined(10), false)));
    let later = now + SIMILAR_WINDOW + Duration::from_secs(1);
    assert_eq!(hear(&mut correlator, "number 11", later), Some(("number 11".to_owned(), true)));
}

#[test]
fn who_talks_too_much_is_not_heard_for_a_while() {
    let (mut correlator, now) = (Correlator::default(), Instant::now());
    let heard = (0..30).filter(|_| hear(&mut correlator, "x", now).is_some()).count();
    assert_eq!(heard, 25);
    assert!(correlator.hear(spoken("b", "x"), now).is_some(), "others are heard");
    assert!(hear(&mut correlator, "x", now + ONE_MORE_AFTER).is_some());
    assert!(hear(&mut correlator, "x", now + ONE_MORE_AFTER).is_none());
}

#[test]
fn memory_is_bounded() {
    let mut remembered = Remembered::default();
    for number in 0..REMEMBERED_MAX * 2 {
        remembered.entry(number, || number);
    }
    assert_eq!(remembered.entries.len(), REMEMBERED_MAX);
    assert_eq!(remembered.get(&0), None);
}
