//! A cluster of objects written in YAML, and requests in it.

use std::sync::Arc;

use admission::{Fact, Facts, Notes, Request};
use authz::Attributes;
use codec::yaml;
use kind::{Operation, Refusal, Resource, User};
use object::{Meta, Value};

/// What plugins can look up.
#[derive(Default)]
pub(crate) struct World {
    objects: Vec<(Fact, Arc<Value>)>,
    /// `user verb name`.
    allowed: Vec<String>,
}

impl World {
    /// A namespace `a` with its default account, and what `text` holds: `# FACT` before each YAML document.
    pub(crate) fn of(text: &str) -> World {
        let mut world = World::default();
        world.add(Fact::Namespace, "metadata: {name: a}\nstatus: {phase: Active}");
        world.add(Fact::ServiceAccount, "metadata: {name: default, namespace: a}");
        for document in text.split("# ").map(str::trim).filter(|document| !document.is_empty()) {
            let (fact, object) = document.split_once('\n').expect("a fact and its document");
            let fact = Fact::ALL.into_iter().find(|known| format!("{known:?}") == fact).expect("a known fact");
            world.add(fact, object);
        }
        world
    }

    pub(crate) fn allowing(mut self, allowed: &[&str]) -> World {
        self.allowed.extend(allowed.iter().map(|text| (*text).to_owned()));
        self
    }

    fn add(&mut self, fact: Fact, text: &str) {
        let object = read(text);
        let key = |object: &Value| (Meta::of(object).namespace().to_owned(), Meta::of(object).name().to_owned());
        self.objects.retain(|(known, held)| *known != fact || key(held) != key(&object));
        self.objects.push((fact, Arc::new(object)));
    }
}

impl Facts for World {
    fn get(&self, fact: Fact, namespace: &str, name: &str) -> Option<Arc<Value>> {
        self.list(fact, namespace).into_iter().find(|object| Meta::of(object).name() == name)
    }

    fn list(&self, fact: Fact, namespace: &str) -> Vec<Arc<Value>> {
        let mut found: Vec<Arc<Value>> = self
            .objects
            .iter()
            .filter(|(known, object)| *known == fact && Meta::of(object).namespace() == namespace)
            .map(|(_, object)| Arc::clone(object))
            .collect();
        found.sort_by_key(|object| Meta::of(object).name().to_owned());
        found
    }

    fn allows(&self, user: &User, attributes: &Attributes<'_>) -> bool {
        self.allowed.contains(&format!("{} {} {}", user.name, attributes.verb, attributes.name))
    }
}

pub(crate) fn read(text: &str) -> Value {
    yaml::parse(text.as_bytes()).expect("it is YAML")
}

fn row(plural: &str, group: &str) -> &'static Arc<Resource> {
    let row = kind::builtin().iter().find(|row| row.plural == plural && row.group == group);
    row.expect("it is a built-in resource")
}

/// A request, by default of `ann`.
pub(crate) struct Asked<'a> {
    pub(crate) operation: Operation,
    /// `plural[.group][/subresource]`.
    pub(crate) resource: &'a str,
    pub(crate) namespace: &'a str,
    pub(crate) name: &'a str,
    pub(crate) user: User,
    pub(crate) old: Option<Value>,
}

impl Asked<'_> {
    pub(crate) fn create(resource: &str) -> Asked<'_> {
        let user = User { name: "ann".to_owned(), ..User::default() };
        Asked { operation: Operation::Create, resource, namespace: "a", name: "", user, old: None }
    }

    pub(crate) fn update<'a>(resource: &'a str, old: &str) -> Asked<'a> {
        Asked { operation: Operation::Update, name: "x", old: Some(read(old)), ..Asked::create(resource) }
    }

    pub(crate) fn by_node(mut self, name: &str) -> Self {
        self.user.name = format!("system:node:{name}");
        self.user.groups = vec!["system:nodes".to_owned()];
        self
    }

    fn with<T>(&self, run: impl FnOnce(&Request<'_>) -> T) -> T {
        let (resource, subresource) = self.resource.split_once('/').unwrap_or((self.resource, ""));
        let (plural, group) = resource.split_once('.').unwrap_or((resource, ""));
        run(&Request {
            operation: self.operation,
            resource: row(plural, group),
            subresource,
            namespace: self.namespace,
            name: self.name,
            user: &self.user,
            old: self.old.as_ref(),
            dry_run: false,
            now: "2026-05-01T00:00:00Z".parse().expect("it is a time"),
            suffix: "abcde",
        })
    }

    /// Both passes: the object that would be stored, with the notes of both.
    pub(crate) fn admit(&self, world: &World, object: &str) -> Result<(Value, Notes), Refusal> {
        let mut object = read(object);
        self.with(|request| {
            let mut notes = admission::mutate(request, world, &mut object)?;
            let mutated = object.clone();
            admission::mutate(request, world, &mut object)?;
            assert_eq!(object, mutated, "a second pass changes nothing");
            notes.append(admission::validate(request, world, Some(&object))?);
            Ok((object, notes))
        })
    }

    /// A request that brings no object.
    pub(crate) fn judge(&self, world: &World) -> Result<Notes, Refusal> {
        self.with(|request| admission::validate(request, world, None))
    }

    /// The text of the refusal; empty when there is none.
    pub(crate) fn refusal(&self, world: &World, object: &str) -> String {
        self.admit(world, object).err().map(|refusal| refusal.to_string()).unwrap_or_default()
    }
}
