//! The row of a kind.

use object::Text;

/// A verb of the API, as authorization and discovery name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Verb {
    Create,
    Delete,
    DeleteCollection,
    Get,
    List,
    Patch,
    Update,
    Watch,
}

impl Verb {
    /// Every verb, in the order in which discovery lists them.
    pub const ALL: [Verb; 8] = [
        Verb::Create,
        Verb::Delete,
        Verb::DeleteCollection,
        Verb::Get,
        Verb::List,
        Verb::Patch,
        Verb::Update,
        Verb::Watch,
    ];

    /// The verb's name in the API.
    pub fn name(self) -> &'static str {
        match self {
            Verb::Create => "create",
            Verb::Delete => "delete",
            Verb::DeleteCollection => "deletecollection",
            Verb::Get => "get",
            Verb::List => "list",
            Verb::Patch => "patch",
            Verb::Update => "update",
            Verb::Watch => "watch",
        }
    }
}

/// A set of verbs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Verbs(u8);

impl Verbs {
    /// All eight.
    pub const ALL: Verbs = Verbs(u8::MAX);

    /// The set of the named verbs; unknown names are left out.
    pub fn of(names: &[&str]) -> Verbs {
        Verb::ALL.into_iter().filter(|verb| names.contains(&verb.name())).fold(Verbs(0), Verbs::with)
    }

    /// Whether `verb` is in the set.
    pub fn contains(self, verb: Verb) -> bool {
        self.0 & (1 << verb as u8) != 0
    }

    /// The verbs in discovery's order.
    pub fn iter(self) -> impl Iterator<Item = Verb> {
        Verb::ALL.into_iter().filter(move |verb| self.contains(*verb))
    }

    fn with(self, verb: Verb) -> Verbs {
        Verbs(self.0 | 1 << verb as u8)
    }
}

/// A group and a kind or resource name in it, written `name.group`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GroupKind {
    /// API group; empty for core.
    pub group: Text,
    /// Kind, or plural resource name.
    pub name: Text,
}

impl std::fmt::Display for GroupKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.group.is_empty() { f.write_str(&self.name) } else { write!(f, "{}.{}", self.name, self.group) }
    }
}

/// A resource in one version: the row from which routes, discovery and storage follow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resource {
    /// API group; empty for core.
    pub group: Text,
    /// Version, such as `v1`.
    pub version: Text,
    /// Plural name, as in paths.
    pub plural: Text,
    /// Singular name.
    pub singular: Text,
    /// Kind.
    pub kind: Text,
    /// Whether its objects live in namespaces.
    pub namespaced: bool,
    /// Short names for command lines.
    pub short_names: Vec<Text>,
    /// Groups of resources it belongs to, such as `all`.
    pub categories: Vec<Text>,
    /// What can be done with it.
    pub verbs: Verbs,
    /// Its subresources.
    pub subresources: Vec<Subresource>,
    /// How its objects are stored.
    pub stored: Stored,
}

/// A subresource such as `status`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subresource {
    /// Name, as in paths.
    pub name: Text,
    /// `apiVersion` of what is sent and returned.
    pub api_version: Text,
    /// Kind of what is sent and returned.
    pub kind: Text,
    /// What can be done with it.
    pub verbs: Verbs,
}

/// Where and as what objects are stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Path below `/registry/`, without slashes at its ends.
    pub prefix: Text,
    /// `apiVersion` of the stored form.
    pub api_version: Text,
}

impl Resource {
    /// `group/version`, or the version alone in the core group.
    pub fn api_version(&self) -> Text {
        if self.group.is_empty() {
            self.version.clone()
        } else {
            compact_str::format_compact!("{}/{}", self.group, self.version)
        }
    }

    /// `plural.group`, as errors and command lines name it.
    pub fn group_resource(&self) -> GroupKind {
        GroupKind { group: self.group.clone(), name: self.plural.clone() }
    }

    /// `Kind.group`.
    pub fn group_kind(&self) -> GroupKind {
        GroupKind { group: self.group.clone(), name: self.kind.clone() }
    }

    /// The subresource `name`.
    pub fn subresource(&self, name: &str) -> Option<&Subresource> {
        self.subresources.iter().find(|subresource| subresource.name == name)
    }

    /// The path at which clients find the collection (in `namespace`), an object in it, and a subresource of that;
    /// empty parts are left out.
    pub fn path(&self, namespace: &str, name: &str, subresource: &str) -> String {
        let mut path = if self.group.is_empty() {
            format!("/api/{}", self.version)
        } else {
            format!("/apis/{}/{}", self.group, self.version)
        };
        if self.namespaced && !namespace.is_empty() {
            path.push_str("/namespaces/");
            path.push_str(namespace);
        }
        for part in [self.plural.as_str(), name, subresource] {
            if !part.is_empty() {
                path.push('/');
                path.push_str(part);
            }
        }
        path
    }

    /// Whether objects of this version must be converted before they are stored.
    pub fn converts(&self) -> bool {
        self.stored.api_version != self.api_version()
    }
}
