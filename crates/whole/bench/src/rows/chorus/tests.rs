//! Watchers that agree and watchers that do not.

use super::{Chorus, Lengths, lines};

/// What watchers hear in turn; how many events, whether all are together, how many heard something else.
type Case = (&'static [(usize, &'static str)], u64, bool, usize);

#[test]
fn watchers_are_held_against_whoever_is_ahead() {
    let cases: [Case; 5] = [
        (&[(0, "a\nb\n"), (1, "a\n"), (1, "b\n")], 2, true, 0),
        (&[(0, "a\n"), (1, "a\nb\n"), (0, "b\n")], 2, true, 0),
        (&[(0, "a\nb\n"), (1, "a\n")], 2, false, 0),
        (&[(0, "a\nb\n"), (1, "a\nc\n")], 2, true, 1),
        (&[(0, "a\n"), (1, "b\nc\n"), (0, "c\n")], 2, true, 1),
    ];
    for (said, events, together, different) in cases {
        let mut chorus = Chorus::new(2, Box::new(lines));
        said.iter().for_each(|(watcher, text)| chorus.hear(*watcher, text.as_bytes()));
        assert_eq!((chorus.events(), chorus.is_together()), (events, together), "{said:?}");
        assert_eq!(chorus.end().1, different, "{said:?}");
    }
}

#[test]
fn frames_are_counted_wherever_they_are_cut() {
    let text = [&3_u32.to_be_bytes(), b"abc".as_slice(), &1_u32.to_be_bytes(), b"d"].concat();
    for cut in 0..=text.len() {
        let mut lengths = Lengths::default();
        assert_eq!(lengths.count(&text[..cut]) + lengths.count(&text[cut..]), 2, "cut at {cut}");
    }
}
