//! An entry for the decoder that is hidden: what other resolvers answer.

use env::time::Instant;

use crate::cache::Cache;
use crate::config::CacheRules;
use crate::forward::answers;
use crate::wire::{HEADER, Query};

/// Takes `answer` for what another resolver answers to `question`, remembers it and recalls it.
pub fn forwarded(question: &[u8], answer: &[u8]) {
    let Ok(query) = Query::read(question) else { return };
    let id = query.id.to_be_bytes();
    for length in 0..HEADER.min(answer.len()) {
        assert!(!answers(&answer[..length], id, &query), "what is shorter than a header answers nothing");
    }
    if !answers(answer, id, &query) {
        return;
    }
    let (mut cache, now) = (Cache::new(CacheRules::everything(4, 60)), Instant::now());
    cache.put(&query, answer, now);
    if let Some((recalled, _)) = cache.get(&query, now) {
        assert_eq!(recalled.len(), answer.len(), "a message that is recalled is as long as it was");
    }
}
