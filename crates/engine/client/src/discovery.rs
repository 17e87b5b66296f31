//! What a server serves.

use kind::{Resource, Stored, Subresource, Verbs};
use object::{Text, Value};

use crate::call::Call;
use crate::{Client, Error};

const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json";

/// The resources of a server.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Discovered {
    /// Each resource of each version; the versions of a group stand in the server's order of preference.
    pub resources: Vec<Resource>,
    /// `group/version`s that the server knows but could not ask: their resources are missing here, not gone.
    pub incomplete: Vec<String>,
}

impl Discovered {
    /// Each resource once, in the most preferred version that has it.
    pub fn preferred(&self) -> Vec<&Resource> {
        let mut seen = std::collections::BTreeSet::new();
        self.resources.iter().filter(|row| seen.insert((row.group.clone(), row.plural.clone()))).collect()
    }
}

impl Client {
    /// Asks what the server serves.
    pub async fn discover(&self) -> Result<Discovered, Error> {
        let mut found = Discovered::default();
        for path in ["/api", "/apis"] {
            let tree = self.exchange(&Call::get(path.to_owned(), AGGREGATED)).await?.tree()?;
            match tree.str_at(&["kind"]) {
                Some("APIGroupDiscoveryList") => read_aggregated(&tree, &mut found),
                _ => self.discover_one_by_one(path, &tree, &mut found).await?,
            }
        }
        Ok(found)
    }

    /// The way of servers before aggregated discovery: a document per group and version.
    async fn discover_one_by_one(&self, path: &str, root: &Value, found: &mut Discovered) -> Result<(), Error> {
        let core = root.list_at(&["versions"]).iter().filter_map(Value::as_str).map(str::to_owned);
        let grouped = root.list_at(&["groups"]).iter().flat_map(|group| group.list_at(&["versions"]));
        let grouped = grouped.filter_map(|version| version.str_at(&["groupVersion"])).map(str::to_owned);
        for group_version in core.chain(grouped) {
            match self.get_document(&format!("{path}/{group_version}")).await {
                Ok(tree) => read_resource_list(&group_version, &tree, found),
                Err(error @ Error::Transport(_)) => return Err(error),
                Err(error) => {
                    tracing::debug!(%group_version, %error, "a group cannot be discovered");
                    found.incomplete.push(group_version);
                }
            }
        }
        Ok(())
    }
}

fn read_aggregated(tree: &Value, found: &mut Discovered) {
    for group in tree.list_at(&["items"]) {
        let name = text(group, &["metadata", "name"]);
        for version in group.list_at(&["versions"]) {
            let word = text(version, &["version"]);
            if version.str_at(&["freshness"]) == Some("Stale") {
                found.incomplete.push(if name.is_empty() { word.to_string() } else { format!("{name}/{word}") });
            }
            let rows = version.list_at(&["resources"]).iter().map(|one| aggregated_row(&name, &word, one));
            found.resources.extend(rows);
        }
    }
}

fn aggregated_row(group: &Text, version: &Text, tree: &Value) -> Resource {
    let mut row = Resource {
        plural: text(tree, &["resource"]),
        singular: text(tree, &["singularResource"]),
        kind: text(tree, &["responseKind", "kind"]),
        namespaced: tree.str_at(&["scope"]) == Some("Namespaced"),
        ..empty(group, version, tree)
    };
    for one in tree.list_at(&["subresources"]) {
        let (of_group, of_version) = (text(one, &["responseKind", "group"]), text(one, &["responseKind", "version"]));
        row.subresources.push(Subresource {
            name: text(one, &["subresource"]),
            api_version: if of_group.is_empty() { of_version } else { format!("{of_group}/{of_version}").into() },
            kind: text(one, &["responseKind", "kind"]),
            verbs: verbs(one),
        });
    }
    row
}

fn read_resource_list(group_version: &str, tree: &Value, found: &mut Discovered) {
    let (group, version) = group_version.split_once('/').unwrap_or(("", group_version));
    let (group, version) = (Text::from(group), Text::from(version));
    let begin = found.resources.len();
    for one in tree.list_at(&["resources"]) {
        let name = text(one, &["name"]);
        if let Some((of, subresource)) = name.split_once('/') {
            let row = found.resources[begin..].iter_mut().find(|row| row.plural == of);
            if let Some(row) = row {
                let (kind, verbs) = (text(one, &["kind"]), verbs(one));
                let api_version = group_version.into();
                row.subresources.push(Subresource { name: subresource.into(), api_version, kind, verbs });
            }
            continue;
        }
        found.resources.push(Resource {
            plural: name,
            singular: text(one, &["singularName"]),
            kind: text(one, &["kind"]),
            namespaced: one.at(&["namespaced"]).and_then(Value::as_bool).unwrap_or(false),
            ..empty(&group, &version, one)
        });
    }
}

/// What the two documents say in the same words.
fn empty(group: &Text, version: &Text, tree: &Value) -> Resource {
    let texts = |key: &str| tree.list_at(&[key]).iter().filter_map(Value::as_str).map(Text::from).collect();
    Resource {
        group: group.clone(),
        version: version.clone(),
        plural: Text::default(),
        singular: Text::default(),
        kind: Text::default(),
        namespaced: false,
        short_names: texts("shortNames"),
        categories: texts("categories"),
        verbs: verbs(tree),
        subresources: Vec::new(),
        // Where a server stores things is its own affair.
        stored: Stored { prefix: Text::default(), api_version: Text::default() },
    }
}

fn verbs(tree: &Value) -> Verbs {
    let names: Vec<&str> = tree.list_at(&["verbs"]).iter().filter_map(Value::as_str).collect();
    Verbs::of(&names)
}

fn text(tree: &Value, keys: &[&str]) -> Text {
    tree.str_at(keys).unwrap_or_default().into()
}
