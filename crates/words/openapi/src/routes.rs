//! Rows to paths: what can be done where.

use kind::{Resource, Subresource, Verb, Verbs};
use object::Text;
use object::schema::Shape;

use crate::Source;
use crate::operation::{Answer, Operation, Parameter, PathItem, Place, Request, capitalized};
use crate::target::Target;

const JSON: &str = "application/json";
const YAML: &str = "application/yaml";
const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";
const WATCHED_JSON: &str = "application/json;stream=watch";
const WATCHED_PROTOBUF: &str = "application/vnd.kubernetes.protobuf;stream=watch";
const MERGE_PATCHES: [&str; 2] = ["application/json-patch+json", "application/merge-patch+json"];
const STRATEGIC_PATCH: &str = "application/strategic-merge-patch+json";
const APPLY_PATCH: &str = "application/apply-patch+yaml";

const OK: &[u16] = &[200];
const OK_OR_CREATED: &[u16] = &[200, 201];
const OK_OR_ACCEPTED: &[u16] = &[200, 202];
const CREATED: &[u16] = &[200, 201, 202];

/// Methods of a connection that can be written to, each with its name in operation ids.
const METHODS: [&str; 7] = ["delete", "get", "head", "options", "patch", "post", "put"];

/// Resources that answer a deletion with what they deleted; all others answer with a `Status`.
const RETURN_DELETED: [(&str, &[&str]); 3] = [
    (
        "",
        &[
            "persistentvolumeclaims",
            "persistentvolumes",
            "pods",
            "podtemplates",
            "resourcequotas",
            "serviceaccounts",
            "services",
        ],
    ),
    (
        "resource.k8s.io",
        &[
            "deviceclasses",
            "devicetaintrules",
            "resourceclaims",
            "resourceclaimtemplates",
            "resourcepoolstatusrequests",
            "resourceslices",
        ],
    ),
    ("storage.k8s.io", &["csidrivers", "csinodes", "storageclasses", "volumeattachments", "volumeattributesclasses"]),
];

/// The paths of `group` in `version`, sorted; empty when no row is in it.
pub(crate) fn of_version<'a>(source: &Source<'a>, group: &str, version: &str) -> Vec<PathItem<'a>> {
    let rows = || source.rows.iter().filter(|row| row.group == group && row.version == version);
    if rows().next().is_none() {
        return Vec::new();
    }
    let name = [words(group).iter().map(|word| capitalized(word)).collect(), capitalized(version)].concat();
    let tag = tag(group, version);
    let base = if group.is_empty() { format!("/api/{version}") } else { format!("/apis/{group}/{version}") };
    let mut out = Vec::new();
    if let Some(list) = Target::meta(source.schema, "APIResourceList") {
        let id = format!("get{name}APIResources");
        out.push(document(format!("{base}/"), id, tag.clone(), vec![JSON, YAML, PROTOBUF], Answer::Of(list)));
    }
    for row in rows() {
        Row { source, row, base: &base, name: &name, tag: &tag }.paths(&mut out);
    }
    out.sort_by(|left, right| left.path.cmp(&right.path));
    out
}

/// The path `/apis/<group>/`.
pub(crate) fn of_group<'a>(source: &Source<'a>, group: &str) -> Option<PathItem<'a>> {
    source.rows.iter().find(|row| row.group == group && !group.is_empty())?;
    let name: String = words(group).iter().map(|word| capitalized(word)).collect();
    let answer = Answer::Of(Target::meta(source.schema, "APIGroup")?);
    let media = vec![JSON, YAML, PROTOBUF];
    Some(document(format!("/apis/{group}/"), format!("get{name}APIGroup"), tag(group, ""), media, answer))
}

/// The path `path` when it is one of those that belong to no group.
pub(crate) fn of_server<'a>(source: &Source<'a>, path: &str) -> Option<PathItem<'a>> {
    let machinery = |name| Target::meta(source.schema, name).map(Answer::Of);
    let (id, tag, media, answer) = match path {
        "api" => ("getCoreAPIVersions", "core", vec![JSON, YAML, PROTOBUF], machinery("APIVersions")?),
        "apis" => ("getAPIVersions", "apis", vec![JSON, YAML, PROTOBUF], machinery("APIGroupList")?),
        "version" => ("getCodeVersion", "version", vec![JSON], Answer::Of(Target::version())),
        ".well-known/openid-configuration" => {
            ("getServiceAccountIssuerOpenIDConfiguration", "WellKnown", vec![JSON], Answer::Text)
        }
        "openid/v1/jwks" => {
            ("getServiceAccountIssuerOpenIDKeyset", "openid", vec!["application/jwk-set+json"], Answer::Text)
        }
        _ => return None,
    };
    Some(document(format!("/{path}/"), id.to_owned(), tag.into(), media, answer))
}

/// The paths that [`of_server`] knows.
pub(crate) const SERVER: [&str; 5] = [".well-known/openid-configuration", "api", "apis", "openid/v1/jwks", "version"];

/// A path that only answers with a document about the server.
fn document<'a>(path: String, id: String, tag: Text, media: Vec<&'static str>, answer: Answer<'a>) -> PathItem<'a> {
    let consumes = if matches!(answer, Answer::Text) { Vec::new() } else { media.clone() };
    let operation = Operation {
        method: "get",
        id,
        tag,
        action: None,
        parameters: Vec::new(),
        body: None,
        codes: OK,
        media,
        consumes,
        answer,
    };
    PathItem::new(path, vec![operation])
}

/// The words that a group is called by in names: `rbac.authorization.k8s.io` is rbac authorization.
fn words(group: &str) -> Vec<&str> {
    if group.is_empty() { vec!["core"] } else { group.trim_end_matches(".k8s.io").split('.').collect() }
}

fn tag(group: &str, version: &str) -> Text {
    let words = words(group);
    let mut tag = Text::default();
    for (at, word) in words.iter().enumerate() {
        if at == 0 { tag.push_str(word) } else { tag.push_str(&capitalized(word)) }
    }
    if !version.is_empty() {
        tag.push('_');
        tag.push_str(version);
    }
    tag
}

/// A row within its group-version.
#[derive(Clone, Copy)]
struct Row<'r, 'a> {
    source: &'r Source<'a>,
    row: &'a Resource,
    base: &'r str,
    /// Group-version in operation ids.
    name: &'r str,
    tag: &'r Text,
}

/// What is sent to and returned by a path of a row: the resource's own kind, or a subresource's.
#[derive(Clone, Copy)]
struct Handled<'r, 'a> {
    api_version: &'r str,
    kind: &'r str,
    target: Target<'a>,
    verbs: Verbs,
    /// What follows group-version and verb in operation ids.
    name: &'r str,
}

impl<'r, 'a> Row<'r, 'a> {
    fn paths(&self, out: &mut Vec<PathItem<'a>>) {
        let (row, schema) = (self.row, self.source.schema);
        let (api_version, scoped) = (row.api_version(), self.scoped(""));
        let Some(target) = Target::kind(schema, &api_version, &row.kind) else { return };
        let handled = Handled { api_version: &api_version, kind: &row.kind, target, verbs: row.verbs, name: &scoped };
        let everywhere = format!("{}/{}", self.base, row.plural);
        let collection = self.collection("");
        let object = format!("{collection}/{{name}}");
        let list = Target::kind(schema, &api_version, &format!("{}List", row.kind));
        if row.namespaced
            && row.verbs.contains(Verb::List)
            && let Some(list) = list
        {
            let name = format!("{}ForAllNamespaces", row.kind);
            out.extend(item(everywhere, vec![self.list(handled, list, &name)]));
        }
        out.extend(item(collection, self.on_collection(handled, list)));
        out.extend(item(object.clone(), self.on_object(handled)));
        self.watches(handled, out);
        for subresource in &row.subresources {
            self.subresource(subresource, &object, out);
        }
    }

    /// The path of the collection in a namespace, or of the whole when there are none.
    fn collection(&self, before: &str) -> String {
        let namespace = if self.row.namespaced { "/namespaces/{namespace}" } else { "" };
        format!("{}{before}{namespace}/{}", self.base, self.row.plural)
    }

    fn scoped(&self, after: &str) -> String {
        format!("{}{}{after}", if self.row.namespaced { "Namespaced" } else { "" }, self.row.kind)
    }

    fn on_collection(&self, of: Handled<'_, 'a>, list: Option<Target<'a>>) -> Vec<Operation<'a>> {
        let mut operations = Vec::new();
        if let Some(list) = list.filter(|_| of.verbs.contains(Verb::List)) {
            operations.push(self.list(of, list, of.name));
        }
        if of.verbs.contains(Verb::Create) {
            operations.push(self.create(of));
        }
        if of.verbs.contains(Verb::DeleteCollection) {
            let mut parameters = self.options("ListOptions", &["allowWatchBookmarks", "watch"]);
            parameters.extend(self.options("DeleteOptions", &[]));
            let name = format!("Collection{}", of.name);
            let operation = self.operation(of, ("delete", "deletecollection"), &name, parameters);
            operations.push(self.deleting(Operation { answer: self.status(of), ..operation }));
        }
        operations
    }

    fn on_object(&self, of: Handled<'_, 'a>) -> Vec<Operation<'a>> {
        let mut operations = Vec::new();
        if of.verbs.contains(Verb::Get) {
            operations.push(self.operation(of, ("read", "get"), of.name, Vec::new()));
        }
        if of.verbs.contains(Verb::Update) {
            let operation = self.operation(of, ("replace", "put"), of.name, self.options("UpdateOptions", &[]));
            let body = Some(Request { target: of.target, required: true });
            operations.push(Operation { body, codes: OK_OR_CREATED, ..operation });
        }
        if of.verbs.contains(Verb::Patch) {
            operations.push(self.patch(of));
        }
        if of.verbs.contains(Verb::Delete) {
            let parameters = self.options("DeleteOptions", &[]);
            let operation = self.operation(of, ("delete", "delete"), of.name, parameters);
            let answer = if self.returns_deleted() { operation.answer } else { self.status(of) };
            operations.push(self.deleting(Operation { codes: OK_OR_ACCEPTED, answer, ..operation }));
        }
        operations
    }

    fn list(&self, of: Handled<'_, 'a>, list: Target<'a>, name: &str) -> Operation<'a> {
        let operation = self.operation(of, ("list", "list"), name, self.options("ListOptions", &[]));
        Operation { answer: Answer::Of(list), media: self.watched(of), ..operation }
    }

    fn create(&self, of: Handled<'_, 'a>) -> Operation<'a> {
        let parameters = self.options("CreateOptions", &[]);
        let operation = self.operation(of, ("create", "post"), of.name, parameters);
        Operation { body: Some(Request { target: of.target, required: true }), codes: CREATED, ..operation }
    }

    fn patch(&self, of: Handled<'_, 'a>) -> Operation<'a> {
        let operation = self.operation(of, ("patch", "patch"), of.name, self.options("PatchOptions", &[]));
        let mut consumes = MERGE_PATCHES.to_vec();
        // A strategic merge needs the declarations of a built-in type, which are those that have a protobuf form.
        consumes.extend(self.has_protobuf(of).then_some(STRATEGIC_PATCH));
        consumes.push(APPLY_PATCH);
        let body = Target::meta(self.source.schema, "Patch").map(|target| Request { target, required: true });
        Operation { body, consumes, codes: OK_OR_CREATED, ..operation }
    }

    fn deleting(&self, operation: Operation<'a>) -> Operation<'a> {
        let options = Target::meta(self.source.schema, "DeleteOptions");
        Operation { body: options.map(|target| Request { target, required: false }), ..operation }
    }

    /// The paths below `/watch`, which upstream deprecates and still serves.
    fn watches(&self, of: Handled<'_, 'a>, out: &mut Vec<PathItem<'a>>) {
        let Some(event) = Target::meta(self.source.schema, "WatchEvent").filter(|_| of.verbs.contains(Verb::Watch))
        else {
            return;
        };
        let watch = |verb: &'static str, name: &str| {
            let operation = self.operation(of, ("watch", verb), name, self.options("ListOptions", &[]));
            vec![Operation { answer: Answer::Of(event), media: self.watched(of), ..operation }]
        };
        let collection = self.collection("/watch");
        if self.row.namespaced {
            let name = format!("{}ListForAllNamespaces", self.row.kind);
            out.extend(item(format!("{}/watch/{}", self.base, self.row.plural), watch("watchlist", &name)));
        }
        out.extend(item(format!("{collection}/{{name}}"), watch("watch", of.name)));
        out.extend(item(collection, watch("watchlist", &format!("{}List", of.name))));
    }

    fn subresource(&self, subresource: &'a Subresource, object: &str, out: &mut Vec<PathItem<'a>>) {
        let (api_version, kind) = (subresource.api_version.as_str(), subresource.kind.as_str());
        let Some(target) = Target::kind(self.source.schema, api_version, kind) else { return };
        let path = format!("{object}/{}", subresource.name);
        let name = self.scoped(&capitalized(&subresource.name));
        let of = Handled { api_version, kind, target, verbs: subresource.verbs, name: &name };
        if kind.ends_with("Options") {
            if subresource.name == "proxy" {
                let with_path = Handled { name: &format!("{name}WithPath"), ..of };
                out.extend(item(format!("{path}/{{path}}"), self.connect(with_path)));
            }
            out.extend(item(path, self.connect(of)));
        } else if subresource.name == "log" {
            out.extend(item(path, vec![self.log(of)]));
        } else {
            let mut operations = self.on_object(of);
            if of.verbs.contains(Verb::Create) {
                operations.push(self.create(of));
            }
            out.extend(item(path, operations));
        }
    }

    /// A connection to what runs behind the object, by every method that can begin one.
    fn connect(&self, of: Handled<'_, 'a>) -> Vec<Operation<'a>> {
        let methods =
            METHODS.iter().filter(|method| of.verbs.contains(Verb::Update) || matches!(**method, "get" | "post"));
        let connect = |method: &&'static str| {
            let operation = self.operation(of, ("connect", "connect"), "", self.fields(of.target, &[]));
            let id = format!("connect{}{}{}", self.name, capitalized(method), of.name);
            Operation { id, method, media: vec!["*/*"], answer: Answer::Text, ..operation }
        };
        methods.map(connect).collect()
    }

    fn log(&self, of: Handled<'_, 'a>) -> Operation<'a> {
        let options = Target::kind(self.source.schema, of.api_version, "PodLogOptions");
        let parameters = options.map(|options| self.fields(options, &[])).unwrap_or_default();
        let operation = self.operation(of, ("read", "get"), of.name, parameters);
        let media = std::iter::once("text/plain").chain(operation.media.iter().copied()).collect();
        Operation { media, answer: Answer::Text, ..operation }
    }

    /// An operation that answers with the handled kind; `words` are its verbs in the id and as an action.
    fn operation(
        &self,
        of: Handled<'_, 'a>,
        words: (&str, &'static str),
        name: &str,
        parameters: Vec<Parameter<'a>>,
    ) -> Operation<'a> {
        let (group, version) = of.api_version.split_once('/').unwrap_or(("", of.api_version));
        let method = match words.1 {
            "delete" | "deletecollection" => "delete",
            action @ ("patch" | "post" | "put") => action,
            _ => "get",
        };
        Operation {
            method,
            id: [words.0, self.name, name].concat(),
            tag: self.tag.clone(),
            action: Some((words.1, group.into(), version.into(), of.kind.into())),
            parameters: if words.1 == "connect" { parameters } else { with_pretty(parameters) },
            body: None,
            codes: OK,
            media: self.media(of),
            consumes: vec!["*/*"],
            answer: Answer::Of(of.target),
        }
    }

    fn status(&self, of: Handled<'_, 'a>) -> Answer<'a> {
        Answer::Of(Target::meta(self.source.schema, "Status").unwrap_or(of.target))
    }

    fn returns_deleted(&self) -> bool {
        let plurals = RETURN_DELETED.iter().filter(|(group, _)| *group == self.row.group).map(|(_, plurals)| *plurals);
        plurals.flatten().any(|plural| *plural == self.row.plural)
    }

    fn has_protobuf(&self, of: Handled<'_, 'a>) -> bool {
        let schema = self.source.schema;
        schema.named(of.target.name).is_some_and(|id| schema.numbered(id).next().is_some())
    }

    fn media(&self, of: Handled<'_, 'a>) -> Vec<&'static str> {
        if self.has_protobuf(of) { vec![JSON, YAML, PROTOBUF] } else { vec![JSON, YAML] }
    }

    fn watched(&self, of: Handled<'_, 'a>) -> Vec<&'static str> {
        if self.has_protobuf(of) {
            vec![JSON, YAML, PROTOBUF, WATCHED_JSON, WATCHED_PROTOBUF]
        } else {
            vec![JSON, YAML, WATCHED_JSON]
        }
    }

    /// The query parameters that an options type of the API machinery stands for.
    fn options(&self, name: &str, without: &[&str]) -> Vec<Parameter<'a>> {
        let options = Target::meta(self.source.schema, name);
        options.map(|options| self.fields(options, without)).unwrap_or_default()
    }

    /// The fields of `options` that fit into a query.
    fn fields(&self, options: Target<'a>, without: &[&str]) -> Vec<Parameter<'a>> {
        let schema = self.source.schema;
        let Some(id) = schema.named(options.name) else { return Vec::new() };
        let fields = schema.members(id).filter(|field| {
            !without.contains(&field.name.as_str()) && !matches!(field.name.as_str(), "apiVersion" | "kind")
        });
        let parameter = |field: &'a object::schema::Field| {
            Some(Parameter {
                name: &field.name,
                place: Place::Query,
                type_: scalar(&field.shape)?,
                owner: options.name,
            })
        };
        fields.filter_map(parameter).collect()
    }
}

fn with_pretty(mut parameters: Vec<Parameter<'_>>) -> Vec<Parameter<'_>> {
    parameters.push(Parameter { name: "pretty", place: Place::Query, type_: "string", owner: "" });
    parameters
}

fn item<'a>(path: String, operations: Vec<Operation<'a>>) -> Option<PathItem<'a>> {
    (!operations.is_empty()).then(|| PathItem::new(path, operations))
}

fn scalar(shape: &Shape) -> Option<&'static str> {
    match shape {
        Shape::String => Some("string"),
        Shape::Bool => Some("boolean"),
        Shape::Int32 | Shape::Int64 => Some("integer"),
        Shape::List(inner) => scalar(inner),
        _ => None,
    }
}
