//! Finding fields by name quickly: the walks of this module ask for every field of every object that is written.
//!
//! The types of the built-in table are indexed once by the first eight bytes of their field names; schemas made at run
//! time are asked directly.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::LazyLock;

use object::schema::{Field, Schema, TypeId};

/// The fields of one type.
#[derive(Debug)]
pub(super) struct Names<'s> {
    /// First bytes of the names, sorted; equal ones stand side by side.
    prefixes: Box<[u64]>,
    fields: Box<[&'s Field]>,
}

static BUILTIN: LazyLock<HashMap<TypeId, Names<'static>, BuildHasherDefault<ById>>> = LazyLock::new(|| {
    let schema = Schema::builtin();
    schema.types().map(|(id, _)| (id, Names::of(schema, id))).collect()
});

impl Names<'static> {
    /// The index of a type, when `schema` is the built-in one.
    pub(super) fn builtin(schema: &Schema, id: TypeId) -> Option<&'static Names<'static>> {
        if std::ptr::eq(schema, Schema::builtin()) { BUILTIN.get(&id) } else { None }
    }
}

impl<'s> Names<'s> {
    fn of(schema: &'s Schema, id: TypeId) -> Names<'s> {
        let mut fields: Vec<&Field> = schema.members(id).collect();
        fields.sort_by(|left, right| left.name.cmp(&right.name));
        Names { prefixes: fields.iter().map(|field| prefix(&field.name)).collect(), fields: fields.into() }
    }

    /// The field `name`.
    pub(super) fn find(&self, name: &str) -> Option<&'s Field> {
        let wanted = prefix(name);
        let start = self.prefixes.partition_point(|other| *other < wanted);
        let same = self.prefixes[start..].iter().take_while(|other| **other == wanted).count();
        self.fields[start..start + same].iter().copied().find(|field| field.name == name)
    }
}

/// The first eight bytes of a name as a number that sorts as the name does.
fn prefix(name: &str) -> u64 {
    let bytes = name.as_bytes();
    match bytes.first_chunk() {
        Some(first) => u64::from_be_bytes(*first),
        None => {
            let mut padded = [0; 8];
            padded[..bytes.len()].copy_from_slice(bytes);
            u64::from_be_bytes(padded)
        }
    }
}

/// Type ids are small numbers; they are their own hash.
#[derive(Debug, Default)]
struct ById(u64);

impl Hasher for ById {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = bytes.iter().fold(self.0, |sum, byte| sum.wrapping_mul(31).wrapping_add(u64::from(*byte)));
    }

    fn write_u32(&mut self, id: u32) {
        // Multiplied so that the high bits, which the table uses too, differ.
        self.0 = u64::from(id).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}
