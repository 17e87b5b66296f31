//! Who asks.

/// An authenticated user, or the anonymous one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct User {
    /// The user's name.
    pub name: String,
    /// An identifier that outlives renaming; empty when the authenticator knows none.
    pub uid: String,
    /// Groups, in the authenticator's order.
    pub groups: Vec<String>,
    /// Further facts, sorted by key.
    pub extra: Vec<(String, Vec<String>)>,
}

impl User {
    /// The name of requests without credentials.
    pub const ANONYMOUS: &str = "system:anonymous";
    /// Group of requests without credentials.
    pub const UNAUTHENTICATED: &str = "system:unauthenticated";
    /// Group of everybody with accepted credentials.
    pub const AUTHENTICATED: &str = "system:authenticated";
    /// Group that may do everything.
    pub const MASTERS: &str = "system:masters";

    /// The user of requests without credentials.
    pub fn anonymous() -> User {
        User { name: Self::ANONYMOUS.to_owned(), groups: vec![Self::UNAUTHENTICATED.to_owned()], ..User::default() }
    }

    /// Whether the user is in `group`.
    pub fn in_group(&self, group: &str) -> bool {
        self.groups.iter().any(|candidate| candidate == group)
    }
}
