//! `$(VAR)` in commands, arguments, variables and sub-paths.
//!
//! `$$` stands for one dollar sign, so that `$$(VAR)` is not expanded; a reference to nothing stays as it is written.

/// Expands `text` with what `lookup` knows.
pub fn expand(text: &str, lookup: impl Fn(&str) -> Option<String>) -> String {
    let mut result = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        result.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        rest = if let Some(tail) = after.strip_prefix('$') {
            result.push('$');
            tail
        } else if let Some((name, tail)) = after.strip_prefix('(').and_then(|inner| inner.split_once(')')) {
            match lookup(name) {
                Some(value) => result.push_str(&value),
                None => result.push_str(&format!("$({name})")),
            }
            tail
        } else {
            result.push('$');
            after
        };
    }
    result.push_str(rest);
    result
}

/// Expands `text` and names the references that `lookup` does not know.
pub fn expand_known(text: &str, lookup: impl Fn(&str) -> Option<String>) -> Result<String, String> {
    let missing = std::cell::RefCell::new(None);
    let result = expand(text, |name| {
        let value = lookup(name);
        if value.is_none() {
            missing.borrow_mut().get_or_insert_with(|| name.to_owned());
        }
        value
    });
    missing.into_inner().map_or(Ok(result), Err)
}
