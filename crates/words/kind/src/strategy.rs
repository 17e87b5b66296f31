//! What a kind promises to the one path per verb.

use jiff::Timestamp;
use object::schema::TypeId;
use object::{Path, Schema, Text, Value};

use crate::{Cell, Problem, Resource, User};

/// The circumstances of a write.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    /// Who asks.
    pub user: &'a User,
    /// When.
    pub now: Timestamp,
    /// The subresource written to; empty for the object itself.
    pub subresource: &'a str,
}

/// Properties of a kind that the paths act on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Facts {
    /// Whether the object has a `status` that only the status subresource may write.
    pub has_status: bool,
    /// Whether `metadata.generation` counts changes of everything but metadata and status.
    pub counts_generations: bool,
    /// Whether an update of an absent object creates it.
    pub creates_on_update: bool,
    /// Whether an update may leave out the resource version.
    pub unconditional_update: bool,
}

impl Facts {
    /// A kind with spec and status.
    pub const WORKLOAD: Facts =
        Facts { has_status: true, counts_generations: true, creates_on_update: false, unconditional_update: true };
    /// A kind that is plain data.
    pub const DATA: Facts =
        Facts { has_status: false, counts_generations: false, creates_on_update: false, unconditional_update: true };
}

/// How an object is deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deletion {
    /// At once (or when its finalizers are gone).
    Immediate,
    /// After a grace period that something else shortens: a pod's kubelet.
    Graceful {
        /// The period.
        seconds: i64,
    },
    /// When finalizers of the kind's own, outside of the metadata, are gone: a namespace's contents.
    Held,
}

/// One column of a kind's table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column {
    /// Header, as upstream writes it (`Up-to-date`).
    pub name: &'static str,
    /// `string`, `integer`, `number`, `boolean` or `date`.
    pub kind: &'static str,
    /// `name` for the column with the object's name.
    pub format: &'static str,
    /// 0: always shown, 1: only when asked for more.
    pub priority: u8,
    /// What the column means.
    pub description: &'static str,
}

/// What a kind promises. Every method works on canonical trees of the kind's storage version.
///
/// The default methods are those of a kind that is plain data and accepts whatever its schema accepts.
pub trait Strategy: Send + Sync {
    /// The row this belongs to.
    fn resource(&self) -> &Resource;

    /// The table that knows the kind's type, and the type.
    fn root(&self) -> (&Schema, TypeId);

    /// Properties the paths act on.
    fn facts(&self) -> Facts {
        Facts::DATA
    }

    /// Fills in what the request left out. Applied to every object read from a client or from the store.
    fn default(&self, _object: &mut Value) {}

    /// Completes an object before it is created, beyond what every kind has in common.
    fn prepare_create(&self, _context: &Context<'_>, _new: &mut Value) {}

    /// Completes an object before it is updated: fields that this kind, or this subresource, does not let clients write.
    fn prepare_update(&self, _context: &Context<'_>, _new: &mut Value, _old: &Value) {}

    /// What is wrong with a new object, beyond its metadata.
    fn validate_create(&self, _context: &Context<'_>, _new: &Value) -> Vec<Problem> {
        Vec::new()
    }

    /// What is wrong with a change, beyond the metadata.
    fn validate_update(&self, _context: &Context<'_>, _new: &Value, _old: &Value) -> Vec<Problem> {
        Vec::new()
    }

    /// What is wrong with the object's name.
    fn name_problems(&self, name: &str) -> Vec<String> {
        object::names::dns_subdomain(name)
    }

    /// What every client of the kind is told, whatever it asks: that there is something better.
    fn deprecation(&self) -> Option<&str> {
        None
    }

    /// What the client should be told of an object that is valid, whether or not the write succeeds.
    fn warnings(&self, _context: &Context<'_>, _new: &Value, _old: Option<&Value>) -> Vec<String> {
        Vec::new()
    }

    /// Whether what belongs to an object stays when its deletion does not say what becomes of it.
    fn orphans_dependents(&self) -> bool {
        false
    }

    /// How a deletion with the requested grace period goes.
    fn deletion(&self, _object: &Value, _requested_seconds: Option<i64>) -> Deletion {
        Deletion::Immediate
    }

    /// Marks an object whose deletion begins and will take time, beyond its metadata.
    fn begin_deletion(&self, _object: &mut Value) {}

    /// Fields that server-side apply must not own when `subresource` is written.
    fn reset_fields(&self, _subresource: &str) -> Vec<Path> {
        Vec::new()
    }

    /// Values that field selectors may ask for, beyond name and namespace.
    fn selectable_fields(&self, _object: &Value) -> Vec<(&'static str, Text)> {
        Vec::new()
    }

    /// Names of those fields.
    fn selectable_names(&self) -> &'static [&'static str] {
        &[]
    }

    /// What one of those fields is called in the form that is stored, where that is another name.
    fn stored_name(&self, _selectable: &str) -> Option<&'static str> {
        None
    }

    /// The table's columns.
    fn columns(&self) -> &'static [Column] {
        const { &[NAME, AGE] }
    }

    /// The object's row, one cell per column.
    fn row(&self, object: &Value) -> Vec<Cell> {
        vec![Cell::from(object::Meta::of(object).name()), crate::age(object)]
    }

    /// Turns an object of this row's version into the stored one.
    fn stored(&self, object: Value) -> Value {
        object
    }

    /// Turns a stored object into one of this row's version.
    fn served(&self, object: Value) -> Value {
        object
    }
}

/// The column of names.
pub const NAME: Column = Column {
    name: "Name",
    kind: "string",
    format: "name",
    priority: 0,
    description: "Unique among the objects of its kind and namespace.",
};

/// The column of ages.
pub const AGE: Column =
    Column { name: "Age", kind: "string", format: "", priority: 0, description: "Time since the object was created." };
