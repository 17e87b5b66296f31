//! The smallest change between two renderings, and stable places for endpoints.

use std::cmp::Ordering;

use crate::render::Item;
use crate::slice::Endpoint;

/// What leads from `old` to `new`: elements to delete, then elements to add. One whose value changes is in both.
pub(crate) fn items(mut old: Vec<Item>, mut new: Vec<Item>) -> (Vec<Item>, Vec<Item>) {
    if old.is_empty() {
        return (old, new);
    }
    old.sort_unstable();
    new.sort_unstable();
    let (mut gone, mut come) = (Vec::new(), Vec::new());
    let (mut old, mut new) = (old.into_iter().peekable(), new.into_iter().peekable());
    loop {
        let order = match (old.peek(), new.peek()) {
            (Some(before), Some(after)) => before.cmp(after),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => return (gone, come),
        };
        if order != Ordering::Greater {
            let before = old.next();
            gone.extend(before.filter(|_| order == Ordering::Less));
        }
        if order != Ordering::Less {
            let after = new.next();
            come.extend(after.filter(|_| order == Ordering::Greater));
        }
    }
}

/// Gives `wanted` (sorted, without duplicates) places such that those in `placed` keep theirs as far as possible:
/// newcomers fill the holes, then the last ones move.
pub(crate) fn place(placed: &[Endpoint], wanted: &[Endpoint]) -> Vec<Endpoint> {
    if placed.is_empty() {
        return wanted.to_vec();
    }
    let mut known = placed.to_vec();
    known.sort_unstable();
    let mut newcomers = wanted.iter().filter(|endpoint| known.binary_search(endpoint).is_err()).copied();
    let mut places: Vec<Endpoint> = Vec::with_capacity(wanted.len());
    let mut holes = Vec::new();
    for endpoint in placed {
        if wanted.binary_search(endpoint).is_ok() {
            places.push(*endpoint);
        } else if let Some(newcomer) = newcomers.next() {
            places.push(newcomer);
        } else {
            holes.push(places.len());
            places.push(*endpoint);
        }
    }
    places.extend(newcomers);
    for hole in holes.into_iter().rev() {
        places.swap_remove(hole);
    }
    places
}
