//! Which resource is served where: the table that the verbs, discovery and look-ups share.

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use kind::Resource;
use object::Value;
use registry::{Freshness, Registry};

use crate::computed::Computed;

/// How a resource answers.
#[derive(Debug, Clone)]
pub(crate) enum Answerer {
    /// Its objects are stored.
    Stored(Arc<Registry>),
    /// Its objects are made when they are asked for.
    Computed(Computed),
    /// Its objects are answers to questions: reviews.
    Virtual(crate::reviews::Question),
}

/// One row of the table.
#[derive(Debug, Clone)]
pub(crate) struct Route {
    pub(crate) resource: Arc<Resource>,
    pub(crate) answerer: Answerer,
}

/// All rows. Custom resources join and leave while the server runs, so readers take a snapshot.
#[derive(Debug, Default)]
pub(crate) struct Routes {
    table: ArcSwap<Table>,
}

/// A snapshot of the rows.
#[derive(Debug, Default)]
pub(crate) struct Table {
    /// In discovery's order.
    pub(crate) rows: Vec<Route>,
    index: HashMap<(String, String, String), usize>,
}

impl Routes {
    /// Replaces all rows.
    pub(crate) fn install(&self, rows: Vec<Route>) {
        let key = |row: &Route| {
            let resource = &row.resource;
            (resource.group.to_string(), resource.version.to_string(), resource.plural.to_string())
        };
        let index = rows.iter().enumerate().map(|(at, row)| (key(row), at)).collect();
        self.table.store(Arc::new(Table { rows, index }));
    }

    /// The rows as they are now.
    pub(crate) fn snapshot(&self) -> Arc<Table> {
        self.table.load_full()
    }

    /// The row of a resource.
    pub(crate) fn find(&self, group: &str, version: &str, plural: &str) -> Option<Route> {
        let table = self.table.load();
        let key = (group.to_owned(), version.to_owned(), plural.to_owned());
        table.index.get(&key).map(|at| table.rows[*at].clone())
    }

    /// The registry of a resource in the first version that serves it.
    pub(crate) fn registry(&self, group: &str, plural: &str) -> Option<Arc<Registry>> {
        let table = self.table.load();
        let row = table.rows.iter().find(|row| row.resource.group == group && row.resource.plural == plural)?;
        match &row.answerer {
            Answerer::Stored(registry) => Some(Arc::clone(registry)),
            Answerer::Computed(_) | Answerer::Virtual(_) => None,
        }
    }

    /// An object, for the server's own judgement (authentication, admission); `None` when it is not there.
    pub(crate) async fn look_up(&self, group: &str, plural: &str, namespace: &str, name: &str) -> Option<Value> {
        let registry = self.registry(group, plural)?;
        let cached = registry.get(namespace, name, Freshness::Consistent).await.ok()?;
        registry.tree(&cached).ok()
    }
}
