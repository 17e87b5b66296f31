//! A kind as a table of functions, and the one [`Strategy`] that reads it.

use std::sync::Arc;

use kind::{Cell, Column, Context, Deletion, Facts, Problem, Resource, Strategy};
use object::schema::TypeId;
use object::{Path, Schema, Text, Value};

/// What a kind does; whatever it does not name is done as for plain data.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Promises {
    pub facts: Facts,
    pub name: fn(&str) -> Vec<String>,
    pub default: fn(&mut Value),
    pub create: fn(&Context<'_>, &mut Value),
    pub update: fn(&Context<'_>, &mut Value, &Value),
    pub check_create: fn(&Context<'_>, &Value) -> Vec<Problem>,
    pub check_update: fn(&Context<'_>, &Value, &Value) -> Vec<Problem>,
    /// Whether what belongs to the object stays when a deletion does not say what becomes of it.
    pub orphans: bool,
    /// What clients are told whatever they ask.
    pub deprecation: Option<&'static str>,
    pub warn: fn(&Context<'_>, &Value, Option<&Value>) -> Vec<String>,
    pub deletion: fn(&Value, Option<i64>) -> Deletion,
    /// Marks an object whose deletion begins and will take time.
    pub begin_deletion: fn(&mut Value),
    /// Subresource and the dotted path that is reset when it is written.
    pub resets: &'static [(&'static str, &'static str)],
    pub selectable: &'static [&'static str],
    pub select: fn(&Value) -> Vec<(&'static str, Text)>,
    pub stored_name: fn(&str) -> Option<&'static str>,
    pub columns: &'static [Column],
    pub cells: fn(&Value) -> Vec<Cell>,
    pub stored: fn(Value) -> Value,
    pub served: fn(Value) -> Value,
}

/// What a status update resets, and what a main update does.
pub(crate) const STATUS_RESETS: &[(&str, &str)] = &[("", "status"), ("status", "spec")];

impl Promises {
    /// Plain data.
    pub(crate) const DATA: Promises = Promises {
        facts: Facts::DATA,
        name: object::names::dns_subdomain,
        default: |_| {},
        create: |_, _| {},
        update: |_, _, _| {},
        check_create: |_, _| Vec::new(),
        check_update: |_, _, _| Vec::new(),
        orphans: false,
        deprecation: None,
        warn: |_, _, _| Vec::new(),
        deletion: |_, _| Deletion::Immediate,
        begin_deletion: |_| {},
        resets: &[],
        selectable: &[],
        select: |_| Vec::new(),
        stored_name: |_| None,
        columns: const { &[kind::NAME, kind::AGE] },
        cells: crate::print::name_and_age,
        stored: |object| object,
        served: |object| object,
    };

    /// Spec, status and counted generations.
    pub(crate) const WORKLOAD: Promises = Promises { facts: Facts::WORKLOAD, resets: STATUS_RESETS, ..Promises::DATA };

    /// Spec and status, generations not counted.
    pub(crate) const STATUS: Promises = Promises {
        facts: Facts { counts_generations: false, ..Facts::WORKLOAD },
        resets: STATUS_RESETS,
        ..Promises::DATA
    };

    /// No status, generations counted.
    pub(crate) const COUNTED: Promises =
        Promises { facts: Facts { counts_generations: true, ..Facts::DATA }, ..Promises::DATA };

    /// An update of an absent object creates it.
    #[must_use]
    pub(crate) const fn created_on_update(mut self) -> Promises {
        self.facts.creates_on_update = true;
        self
    }

    /// An update has to name the version it is based on.
    #[must_use]
    pub(crate) const fn versioned_updates(mut self) -> Promises {
        self.facts.unconditional_update = false;
        self
    }
}

/// The strategy of a row.
#[derive(Debug)]
pub struct Row {
    resource: Arc<Resource>,
    root: TypeId,
    promises: &'static Promises,
}

impl Row {
    /// The strategy of `resource`, when the schema knows its type.
    pub(crate) fn new(resource: Arc<Resource>, promises: &'static Promises) -> Option<Row> {
        let root = Schema::builtin().kind(&resource.api_version(), &resource.kind)?;
        Some(Row { resource, root, promises })
    }
}

impl Strategy for Row {
    fn resource(&self) -> &Resource {
        &self.resource
    }

    fn root(&self) -> (&Schema, TypeId) {
        (Schema::builtin(), self.root)
    }

    fn facts(&self) -> Facts {
        self.promises.facts
    }

    fn default(&self, object: &mut Value) {
        (self.promises.default)(object);
    }

    fn prepare_create(&self, context: &Context<'_>, new: &mut Value) {
        (self.promises.create)(context, new);
    }

    fn prepare_update(&self, context: &Context<'_>, new: &mut Value, old: &Value) {
        (self.promises.update)(context, new, old);
    }

    fn validate_create(&self, context: &Context<'_>, new: &Value) -> Vec<Problem> {
        (self.promises.check_create)(context, new)
    }

    fn validate_update(&self, context: &Context<'_>, new: &Value, old: &Value) -> Vec<Problem> {
        (self.promises.check_update)(context, new, old)
    }

    fn name_problems(&self, name: &str) -> Vec<String> {
        (self.promises.name)(name)
    }

    fn orphans_dependents(&self) -> bool {
        self.promises.orphans
    }

    fn deprecation(&self) -> Option<&str> {
        self.promises.deprecation
    }

    fn warnings(&self, context: &Context<'_>, new: &Value, old: Option<&Value>) -> Vec<String> {
        (self.promises.warn)(context, new, old)
    }

    fn deletion(&self, object: &Value, requested_seconds: Option<i64>) -> Deletion {
        (self.promises.deletion)(object, requested_seconds)
    }

    fn begin_deletion(&self, object: &mut Value) {
        (self.promises.begin_deletion)(object);
    }

    fn reset_fields(&self, subresource: &str) -> Vec<Path> {
        let resets = self.promises.resets.iter().filter(|(name, _)| *name == subresource);
        resets.map(|(_, path)| Path::of(path)).collect()
    }

    fn selectable_fields(&self, object: &Value) -> Vec<(&'static str, Text)> {
        (self.promises.select)(object)
    }

    fn selectable_names(&self) -> &'static [&'static str] {
        self.promises.selectable
    }

    fn stored_name(&self, selectable: &str) -> Option<&'static str> {
        (self.promises.stored_name)(selectable)
    }

    fn columns(&self) -> &'static [Column] {
        self.promises.columns
    }

    fn row(&self, object: &Value) -> Vec<Cell> {
        (self.promises.cells)(object)
    }

    fn stored(&self, object: Value) -> Value {
        (self.promises.stored)(object)
    }

    fn served(&self, object: Value) -> Value {
        (self.promises.served)(object)
    }
}
