//! What a request asks for, read from its method and path.
//!
//! Rules: `k8s.io/apiserver/pkg/endpoints/request/requestinfo.go`.

use http::Method;
use object::selector::FieldSelector;

/// What a request asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestInfo {
    /// The verb: one of the API's for resources, the lower-case method for other paths.
    pub verb: &'static str,
    /// The path, percent-decoded.
    pub path: String,
    /// What the path names, when it names a resource.
    pub target: Option<Target>,
    /// The query.
    pub query: Query,
}

/// A resource, object or subresource that a path names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Target {
    /// API group; empty for core.
    pub group: String,
    /// Version.
    pub version: String,
    /// Namespace; empty for cluster scope and for all namespaces.
    pub namespace: String,
    /// Plural resource name.
    pub resource: String,
    /// Object name; empty for the collection. For list and watch, the name that a field selector pins.
    pub name: String,
    /// Subresource; empty for the object itself.
    pub subresource: String,
    /// What follows the subresource, for proxies; no leading slash.
    pub rest: String,
    /// Whether `name` stood in the path.
    pub named: bool,
}

/// Query parameters, decoded, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Query(Vec<(String, String)>);

impl Query {
    /// Reads a query string.
    pub fn parse(text: &str) -> Query {
        let pairs = text.split('&').filter(|pair| !pair.is_empty());
        Query(
            pairs
                .map(|pair| {
                    let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
                    (decode(&key.replace('+', " ")), decode(&value.replace('+', " ")))
                })
                .collect(),
        )
    }

    /// The first value of `key`.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.iter().find(|(candidate, _)| candidate == key).map(|(_, value)| value.as_str())
    }

    /// All values of `key`.
    pub fn all<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(candidate, _)| candidate == key).map(|(_, value)| value.as_str())
    }

    /// All pairs.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// Whether `key` is set to something that Go reads as true; present without a value counts.
    pub fn flag(&self, key: &str) -> bool {
        self.get(key).is_some_and(|value| !matches!(value.to_ascii_lowercase().as_str(), "false" | "0"))
    }
}

impl RequestInfo {
    /// Reads method, path and query.
    pub fn parse(method: &Method, path: &str, query: &str) -> RequestInfo {
        let query = Query::parse(query);
        let segments: Vec<String> = path.trim_matches('/').split('/').map(decode).collect();
        let parts: Vec<&str> = segments.iter().map(String::as_str).collect();
        let decoded = decode(path);
        let Some((legacy_watch, mut target)) = versioned(&parts) else {
            return RequestInfo { verb: method_name(method), path: decoded, target: None, query };
        };
        let verb = if legacy_watch { "watch" } else { verb(method, &target, &query) };
        if !target.named && matches!(verb, "list" | "watch" | "deletecollection") {
            target.name = pinned_name(&query).unwrap_or_default();
        }
        RequestInfo { verb, path: decoded, target: Some(target), query }
    }
}

/// What a path names, and whether it begins with the `watch` of old; `None` for a path that names no resource.
fn versioned(parts: &[&str]) -> Option<(bool, Target)> {
    let (group, version, parts) = match parts {
        ["api", version, rest @ ..] if !rest.is_empty() => ("", version, rest),
        ["apis", group, version, rest @ ..] if !rest.is_empty() && !group.is_empty() => (*group, version, rest),
        _ => return None,
    };
    let (legacy_watch, parts) = match parts {
        ["watch", rest @ ..] if !rest.is_empty() => (true, rest),
        _ => (false, parts),
    };
    let target = Target { group: group.to_owned(), version: (*version).to_owned(), ..target(parts)? };
    (!version.is_empty()).then_some((legacy_watch, target))
}

/// `None` where something has an empty name, which nothing has.
fn target(parts: &[&str]) -> Option<Target> {
    let (namespace, parts) = match parts {
        // A namespace's own subresources look like resources in it.
        ["namespaces", namespace] | ["namespaces", namespace, "status" | "finalize"] => (*namespace, parts),
        ["namespaces", namespace, rest @ ..] if !namespace.is_empty() => (*namespace, rest),
        _ => ("", parts),
    };
    let (named, rest) = parts.split_at(parts.len().min(3));
    // What follows `proxy` is somebody else's path.
    let ours = if named.get(2) == Some(&"proxy") { named } else { parts };
    if ours.iter().any(|part| part.is_empty()) {
        return None;
    }
    let part = |at: usize| named.get(at).copied().unwrap_or_default().to_owned();
    Some(Target {
        namespace: namespace.to_owned(),
        resource: part(0),
        name: part(1),
        subresource: part(2),
        rest: rest.join("/"),
        named: named.len() > 1,
        ..Target::default()
    })
}

fn verb(method: &Method, target: &Target, query: &Query) -> &'static str {
    match (method, target.named) {
        (&Method::POST, _) => "create",
        (&Method::PUT, _) => "update",
        (&Method::PATCH, _) => "patch",
        (&Method::DELETE, true) => "delete",
        (&Method::DELETE, false) => "deletecollection",
        (&Method::GET | &Method::HEAD, named) => match (query.flag("watch"), named) {
            (true, false) => "watch",
            (true, true) if target.subresource.is_empty() => "watch",
            (_, true) => "get",
            (false, false) => "list",
        },
        _ => "",
    }
}

/// The one name that `fieldSelector=metadata.name=x` allows: authorization by name works for such lists.
fn pinned_name(query: &Query) -> Option<String> {
    let selector = FieldSelector::parse(query.get("fieldSelector")?).ok()?;
    selector.exact("metadata.name").map(str::to_owned)
}

fn method_name(method: &Method) -> &'static str {
    match *method {
        Method::GET => "get",
        Method::HEAD => "head",
        Method::POST => "post",
        Method::PUT => "put",
        Method::PATCH => "patch",
        Method::DELETE => "delete",
        Method::OPTIONS => "options",
        _ => "",
    }
}

/// Percent-decodes; what is malformed stays as it is.
fn decode(text: &str) -> String {
    if !text.contains('%') {
        return text.to_owned();
    }
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let hex = |offset: usize| bytes.get(at + offset).and_then(|byte| char::from(*byte).to_digit(16));
        match (bytes[at], hex(1), hex(2)) {
            (b'%', Some(high), Some(low)) => {
                out.push(u8::try_from(high * 16 + low).expect("two hexadecimal digits fit a byte"));
                at += 3;
            }
            (byte, ..) => {
                out.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests;
