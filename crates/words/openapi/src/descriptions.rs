//! What the Kubernetes project says about the built-in types, their fields and the parameters of requests.
//!
//! Nobody needs the sentences but who reads a document, so they are kept packed in the program (RFC 1951) and are
//! unpacked for as long as a document is being written. `cargo xtask schema` makes the file.
//!
//! # Form
//! Entries, each ended by `0x1e`: the type's OpenAPI name, `0x1f`, the field's JSON name, `0x1f`, the sentence. Sorted
//! by type and field; the field is empty in what is said about the type itself, and the type in all entries of a type
//! but the first.

use std::cell::OnceCell;
use std::io::Read;

use flate2::read::DeflateDecoder;

use crate::Describe;

const PACKED: &[u8] = include_bytes!("../descriptions.deflate");
const ENTRY_END: u8 = 0x1e;
const PART_END: char = '\u{1f}';

/// The sentences; unpacked by the first question, freed with this.
#[derive(Debug, Default)]
pub struct Descriptions(OnceCell<Unpacked>);

#[derive(Debug)]
struct Unpacked {
    text: String,
    /// Where entries begin, with the beginning of the entry that names their type; in the order of the text.
    entries: Vec<(u32, u32)>,
}

impl Descriptions {
    fn of(&self, type_: &str, field: &str) -> Option<&str> {
        let unpacked = self.0.get_or_init(Unpacked::new);
        let compare = |entry: &(u32, u32)| {
            let (found, found_field, _) = unpacked.entry(*entry);
            found.cmp(type_).then_with(|| found_field.cmp(field))
        };
        let found = unpacked.entries.binary_search_by(compare).ok()?;
        Some(unpacked.entry(unpacked.entries[found]).2)
    }
}

impl Unpacked {
    fn new() -> Unpacked {
        let mut text = String::new();
        let read = DeflateDecoder::new(PACKED).read_to_string(&mut text);
        read.expect("the committed file is well-formed; the tests of this crate read it");
        let (mut entries, mut start, mut named) = (Vec::new(), 0, 0);
        let ends = text.bytes().enumerate().filter(|(_, byte)| *byte == ENTRY_END);
        for (end, _) in ends {
            if !text[start..].starts_with(PART_END) {
                named = start;
            }
            let offset = |at: usize| u32::try_from(at).expect("the sentences are a megabyte");
            entries.push((offset(start), offset(named)));
            start = end + 1;
        }
        Unpacked { text, entries }
    }

    /// Type, field, sentence.
    fn entry(&self, (start, named): (u32, u32)) -> (&str, &str, &str) {
        let type_ = self.text[named as usize..].split(PART_END).next();
        let entry = self.text[start as usize..].split(char::from(ENTRY_END)).next().unwrap_or_default();
        let mut parts = entry.splitn(3, PART_END).skip(1);
        (type_.unwrap_or_default(), parts.next().unwrap_or_default(), parts.next().unwrap_or_default())
    }
}

impl Describe for Descriptions {
    fn type_(&self, name: &str) -> Option<&str> {
        self.of(name, "")
    }

    fn field(&self, name: &str, field: &str) -> Option<&str> {
        self.of(name, field)
    }
}
