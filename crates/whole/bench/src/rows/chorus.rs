//! What the watchers of one connection hear, who all should hear the same.
//!
//! The bytes are kept once, of whoever is ahead; the others are held against them as they arrive, so that a thousand
//! watchers cost no more memory than one per connection.

/// Counts the events that end in some bytes.
pub(super) type Count = Box<dyn FnMut(&[u8]) -> u64 + Send>;

/// See the module's documentation.
pub(super) struct Chorus {
    text: Vec<u8>,
    count: Count,
    events: u64,
    /// How far each watcher is, and whether it heard something else than others did.
    watchers: Vec<(usize, bool)>,
}

impl Chorus {
    pub(super) fn new(watchers: usize, count: Count) -> Chorus {
        Chorus { text: Vec::new(), count, events: 0, watchers: vec![(0, false); watchers] }
    }

    /// A watcher hears `bytes`.
    pub(super) fn hear(&mut self, watcher: usize, bytes: &[u8]) {
        let (at, differs) = &mut self.watchers[watcher];
        let (known, new) = bytes.split_at(bytes.len().min(self.text.len() - *at));
        *differs |= self.text[*at..*at + known.len()] != *known;
        *at += bytes.len();
        if !new.is_empty() {
            self.events += (self.count)(new);
            self.text.extend_from_slice(new);
        }
    }

    /// Events heard by whoever is ahead.
    pub(super) fn events(&self) -> u64 {
        self.events
    }

    /// Whether nobody is behind.
    pub(super) fn is_together(&self) -> bool {
        self.watchers.iter().all(|(at, _)| *at == self.text.len())
    }

    /// What was heard, and how many watchers heard something else.
    pub(super) fn end(self) -> (Vec<u8>, usize) {
        let different = self.watchers.iter().filter(|(_, differs)| *differs).count();
        (self.text, different)
    }
}

/// How many lines end in `chunk`.
pub(super) fn lines(chunk: &[u8]) -> u64 {
    chunk.iter().filter(|byte| **byte == b'\n').count() as u64
}

/// Counts frames that open with their length in four bytes, wherever chunks are cut.
#[derive(Debug, Default)]
pub(super) struct Lengths {
    head: Vec<u8>,
    /// Bytes until the end of the frame under way.
    left: usize,
}

impl Lengths {
    /// How many frames end in `chunk`.
    pub(super) fn count(&mut self, mut chunk: &[u8]) -> u64 {
        let mut ended = 0;
        while !chunk.is_empty() {
            if self.left == 0 {
                let take = (4 - self.head.len()).min(chunk.len());
                self.head.extend_from_slice(&chunk[..take]);
                chunk = &chunk[take..];
                let Ok(head) = <[u8; 4]>::try_from(self.head.as_slice()) else { break };
                self.left = usize::try_from(u32::from_be_bytes(head)).expect("a length of 32 bits fits");
                self.head.clear();
            }
            let take = self.left.min(chunk.len());
            self.left -= take;
            chunk = &chunk[take..];
            ended += u64::from(self.left == 0);
        }
        ended
    }
}

#[cfg(test)]
mod tests;
