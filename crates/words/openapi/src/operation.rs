//! What a document says about one path: its operations, and what each takes and answers.

use object::Text;

use crate::Source;
use crate::target::Target;

/// One path.
#[derive(Debug)]
pub(crate) struct PathItem<'a> {
    pub(crate) path: String,
    /// Parameters of every operation.
    pub(crate) parameters: Vec<Parameter<'a>>,
    /// At most one per method.
    pub(crate) operations: Vec<Operation<'a>>,
}

/// One method of a path.
#[derive(Debug)]
pub(crate) struct Operation<'a> {
    /// HTTP method in small letters.
    pub(crate) method: &'static str,
    pub(crate) id: String,
    pub(crate) tag: Text,
    /// What it does and with which kind, when that is a kind: verb, group, version, kind.
    pub(crate) action: Option<(&'static str, Text, Text, Text)>,
    pub(crate) parameters: Vec<Parameter<'a>>,
    pub(crate) body: Option<Request<'a>>,
    /// Status codes of success.
    pub(crate) codes: &'static [u16],
    /// Media types of the answer.
    pub(crate) media: Vec<&'static str>,
    /// What Swagger 2 says it consumes; empty: nothing is said.
    pub(crate) consumes: Vec<&'static str>,
    pub(crate) answer: Answer<'a>,
}

/// What is answered with success.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Answer<'a> {
    Text,
    Of(Target<'a>),
}

/// What is sent.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Request<'a> {
    pub(crate) target: Target<'a>,
    pub(crate) required: bool,
}

/// A parameter in the path or the query.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Parameter<'a> {
    pub(crate) name: &'a str,
    pub(crate) place: Place,
    /// OpenAPI type.
    pub(crate) type_: &'static str,
    /// The type whose field it stands for; empty when it stands for none.
    pub(crate) owner: &'a str,
}

/// Where a parameter stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Place {
    Path,
    Query,
}

impl Place {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Place::Path => "path",
            Place::Query => "query",
        }
    }
}

impl<'a> PathItem<'a> {
    /// A path with what its pattern takes; parameters that all operations have are said once.
    pub(crate) fn new(path: String, mut operations: Vec<Operation<'a>>) -> PathItem<'a> {
        let mut parameters: Vec<Parameter<'a>> = ["name", "namespace", "path"]
            .into_iter()
            .filter(|name| path.contains(&format!("/{{{name}}}")))
            .map(|name| Parameter { name, place: Place::Path, type_: "string", owner: "" })
            .collect();
        if let Some((first, others)) = operations.split_first() {
            let everywhere = |one: &&Parameter<'a>| others.iter().all(|other| other.parameters.contains(one));
            parameters.extend(first.parameters.iter().filter(everywhere));
        }
        parameters.sort();
        for operation in &mut operations {
            operation.parameters.retain(|one| !parameters.contains(one));
            operation.parameters.sort();
        }
        operations.sort_by_key(|operation| operation.method);
        PathItem { path, parameters, operations }
    }

    /// The named schemas that it mentions.
    pub(crate) fn targets(&self) -> impl Iterator<Item = Target<'a>> {
        self.operations.iter().flat_map(|operation| {
            let answer = match operation.answer {
                Answer::Text => None,
                Answer::Of(target) => Some(target),
            };
            answer.into_iter().chain(operation.body.map(|body| body.target))
        })
    }
}

impl<'a> Parameter<'a> {
    /// What it means.
    pub(crate) fn description(&self, source: &Source<'a>) -> Option<&'a str> {
        if self.owner.is_empty() { None } else { source.describe.field(self.owner, self.name) }
    }
}

/// What a status code says.
pub(crate) fn status(code: u16) -> &'static str {
    match code {
        201 => "Created",
        202 => "Accepted",
        401 => "Unauthorized",
        _ => "OK",
    }
}

/// `text` with a capital first letter.
pub(crate) fn capitalized(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(letters).collect()
}
