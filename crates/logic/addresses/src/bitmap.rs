//! A set of small numbers as bytes: how port ranges are stored.

/// A set of offsets below a size, kept as Go's big integers are: most significant byte first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Bitmap {
    /// Least significant byte first, without zero bytes at the end.
    bytes: Vec<u8>,
}

impl Bitmap {
    /// Reads the stored form.
    pub fn from_bytes(bytes: &[u8]) -> Bitmap {
        let mut bytes: Vec<u8> = bytes.iter().rev().copied().collect();
        trim(&mut bytes);
        Bitmap { bytes }
    }

    /// The stored form.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.bytes.iter().rev().copied().collect()
    }

    /// Whether `offset` is in the set.
    pub fn contains(&self, offset: usize) -> bool {
        self.bytes.get(offset / 8).is_some_and(|byte| byte & (1 << (offset % 8)) != 0)
    }

    /// Puts `offset` into the set; `false` when it was there.
    pub fn insert(&mut self, offset: usize) -> bool {
        if self.contains(offset) {
            return false;
        }
        if self.bytes.len() <= offset / 8 {
            self.bytes.resize(offset / 8 + 1, 0);
        }
        self.bytes[offset / 8] |= 1 << (offset % 8);
        true
    }

    /// Takes `offset` out of the set.
    pub fn remove(&mut self, offset: usize) {
        if let Some(byte) = self.bytes.get_mut(offset / 8) {
            *byte &= !(1 << (offset % 8));
        }
        trim(&mut self.bytes);
    }
}

fn trim(bytes: &mut Vec<u8>) {
    while bytes.last() == Some(&0) {
        bytes.pop();
    }
}
