//! Writes that change nothing but the time at which somebody last wrote.

use object::Value;

/// Gives `new` the owners of `live` when the two differ in nothing but the times of their entries, so that the write
/// can be seen to change nothing. Both are canonical and in one version; call it last, after defaulting and admission.
///
/// An applied configuration may spell a value differently from how it is stored (`1000m`, `1`), which looks like a
/// change until the result is canonical.
pub fn settle_times(live: &Value, new: &mut Value) {
    const PATH: [&str; 2] = ["metadata", "managedFields"];
    let (before, after) = (live.list_at(&PATH), new.list_at(&PATH));
    if before == after || before.len() != after.len() || !before.iter().zip(after).all(|(l, r)| same_but_time(l, r)) {
        return;
    }
    if is_same(live, new, 0) {
        new.set(&PATH, before.to_vec());
    }
}

fn same_but_time(left: &Value, right: &Value) -> bool {
    let (Value::Map(left), Value::Map(right)) = (left, right) else { return false };
    let without_time = |map: &'_ object::Map| map.iter().filter(|(key, _)| *key != "time").count();
    without_time(left) == without_time(right)
        && left.iter().filter(|(key, _)| *key != "time").all(|(key, value)| right.get(key) == Some(value))
}

/// Whether two objects are equal but for `metadata.managedFields`, whose entries were compared before.
fn is_same(left: &Value, right: &Value, depth: usize) -> bool {
    match (left, right) {
        (Value::Map(left), Value::Map(right)) if depth < 2 => {
            left.len() == right.len()
                && left.iter().zip(right.iter()).all(|((lk, lv), (rk, rv))| {
                    lk == rk && ((depth == 1 && lk == "managedFields") || is_same(lv, rv, depth + 1))
                })
        }
        _ => left == right,
    }
}
