//! Reads struct declarations out of Go source: just enough of the language for API types.

use std::collections::{BTreeMap, HashMap};

use anyhow::{Context, Result, bail};

use super::Package;

/// Everything the API packages declare, by `(import path, type name)`.
#[derive(Debug, Default)]
pub(crate) struct Source {
    structs: HashMap<(String, String), Struct>,
    aliases: HashMap<(String, String), GoType>,
    order: BTreeMap<String, Vec<String>>,
}

/// A struct, in declaration order.
#[derive(Debug, Clone, Default)]
pub(crate) struct Struct {
    pub(crate) fields: Vec<Field>,
    pub(crate) markers: Vec<String>,
    /// Whether it embeds TypeMeta, which makes it a kind.
    pub(crate) has_type_meta: bool,
}

/// One field with everything its declaration says.
#[derive(Debug, Clone)]
pub(crate) struct Field {
    pub(crate) json: String,
    /// 0 when it has no protobuf form.
    pub(crate) number: u32,
    pub(crate) go: GoType,
    pub(crate) inline: bool,
    pub(crate) omitempty: bool,
    pub(crate) omitzero: bool,
    pub(crate) patch_strategy: Option<String>,
    pub(crate) patch_merge_key: Option<String>,
    pub(crate) markers: Vec<String>,
}

/// A Go type expression with its names resolved to import paths.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum GoType {
    Basic(String),
    Named(String, String),
    Pointer(Box<GoType>),
    List(Box<GoType>),
    Map(Box<GoType>),
}

impl Source {
    pub(crate) fn read(packages: &[Package]) -> Result<Source> {
        let mut source = Source::default();
        for package in packages {
            for entry in std::fs::read_dir(&package.folder)? {
                let path = entry?.path();
                let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                let relevant = name.ends_with(".go") && !name.contains("_test") && !name.contains("generated");
                if relevant {
                    let text = std::fs::read_to_string(&path)?;
                    source.read_file(&package.import, &text).with_context(|| path.display().to_string())?;
                }
            }
            if let Some(names) = source.order.get_mut(&package.import) {
                names.sort();
            }
        }
        Ok(source)
    }

    pub(crate) fn structs_of<'a>(&'a self, import: &'a str) -> impl Iterator<Item = (&'a str, &'a Struct)> {
        let names = self.order.get(import).map(Vec::as_slice).unwrap_or_default();
        names.iter().map(move |name| (name.as_str(), &self.structs[&(import.to_owned(), name.clone())]))
    }

    /// Follows aliases (`type PodPhase string`) at the head of `go`, until a struct, a basic type or a container remains.
    ///
    /// A named list that has a protobuf message of its own (`ExtraValue`) resolves to the leaf `stringlist`.
    pub(crate) fn resolve_outer(&self, go: &GoType) -> GoType {
        let GoType::Named(import, name) = go else { return go.clone() };
        if name == "ExtraValue" || name == "Verbs" {
            return GoType::Named("k8s.io/apimachinery/pkg/apis/meta/v1".to_owned(), "Verbs".to_owned());
        }
        if name == "UID" || name == "NodeName" {
            return GoType::Basic("string".to_owned());
        }
        match self.aliases.get(&(import.clone(), name.clone())) {
            Some(target) => self.resolve_outer(target),
            None => go.clone(),
        }
    }

    fn read_file(&mut self, import: &str, text: &str) -> Result<()> {
        let imports = read_imports(text);
        let scope = Scope { import, imports: &imports };
        let mut markers = Vec::new();
        let mut lines = text.lines();
        while let Some(line) = lines.next() {
            let trimmed = line.trim();
            if let Some(comment) = trimmed.strip_prefix("//") {
                markers.extend(marker(comment));
            } else if let Some(name) = line.strip_prefix("type ").and_then(|rest| rest.strip_suffix(" struct {")) {
                let body = read_struct(&scope, &mut lines, std::mem::take(&mut markers))
                    .with_context(|| format!("type {name}"))?;
                self.order.entry(import.to_owned()).or_default().push(name.to_owned());
                self.structs.insert((import.to_owned(), name.to_owned()), body);
            } else if let Some(name) = line.strip_prefix("type ").and_then(|rest| rest.strip_suffix(" struct{}")) {
                self.order.entry(import.to_owned()).or_default().push(name.trim().to_owned());
                self.structs.insert((import.to_owned(), name.trim().to_owned()), Struct::default());
            } else if let Some((name, target)) = line.strip_prefix("type ").and_then(|rest| rest.split_once(' ')) {
                let target = target.trim_start_matches("= ").split("//").next().unwrap_or_default().trim();
                if !target.contains(['{', '(']) {
                    self.aliases.insert((import.to_owned(), name.to_owned()), scope.parse(target)?);
                }
                markers.clear();
            } else if trimmed.is_empty() {
                // A blank line ends a comment block; upstream places markers in blocks of their own above types.
            } else {
                markers.clear();
            }
        }
        Ok(())
    }
}

fn marker(comment: &str) -> Option<String> {
    comment.trim().strip_prefix('+').map(str::to_owned)
}

fn read_imports(text: &str) -> HashMap<String, String> {
    let mut imports = HashMap::new();
    for line in text.lines().map(str::trim) {
        let line = line.strip_prefix("import ").unwrap_or(line);
        let Some((alias, rest)) = line.split_once('"') else { continue };
        let Some(path) = rest.strip_suffix('"') else { continue };
        if alias.contains(|c: char| !c.is_alphanumeric() && c != ' ' && c != '_') {
            continue;
        }
        let name = if alias.trim().is_empty() { path.rsplit('/').next().unwrap_or_default() } else { alias.trim() };
        imports.insert(name.to_owned(), path.to_owned());
    }
    imports
}

fn read_struct<'a>(
    scope: &Scope<'_>,
    lines: &mut impl Iterator<Item = &'a str>,
    markers: Vec<String>,
) -> Result<Struct> {
    let mut body = Struct { markers, ..Struct::default() };
    let mut pending = Vec::new();
    for line in lines {
        let trimmed = line.trim();
        if trimmed == "}" {
            return Ok(body);
        }
        if let Some(comment) = trimmed.strip_prefix("//") {
            pending.extend(marker(comment));
            continue;
        }
        let Some((declaration, tags)) = trimmed.split_once('`') else { continue };
        let tags = tags.split('`').next().unwrap_or_default();
        let markers = std::mem::take(&mut pending);
        match read_field(scope, declaration.trim(), tags, markers)? {
            Some(field)
                if field.json.is_empty() && matches!(&field.go, GoType::Named(_, name) if name == "TypeMeta") =>
            {
                body.has_type_meta = true;
            }
            Some(field) => body.fields.push(field),
            None => {}
        }
    }
    bail!("the struct does not end")
}

fn read_field(scope: &Scope<'_>, declaration: &str, tags: &str, markers: Vec<String>) -> Result<Option<Field>> {
    let json = tag(tags, "json").unwrap_or_default();
    let mut parts = json.split(',');
    let name = parts.next().unwrap_or_default().to_owned();
    let options: Vec<&str> = parts.collect();
    if name == "-" {
        return Ok(None);
    }
    let inline = options.contains(&"inline");
    let go = match declaration.split_once(char::is_whitespace) {
        Some((_, go)) => go.trim(),
        None => declaration,
    };
    let protobuf = tag(tags, "protobuf").unwrap_or_default();
    let number = protobuf.split(',').nth(1).and_then(|number| number.parse().ok()).unwrap_or(0);
    Ok(Some(Field {
        json: name,
        number,
        go: scope.parse(go)?,
        inline,
        omitempty: options.contains(&"omitempty"),
        omitzero: options.contains(&"omitzero"),
        patch_strategy: tag(tags, "patchStrategy").map(str::to_owned),
        patch_merge_key: tag(tags, "patchMergeKey").map(str::to_owned),
        markers,
    }))
}

fn tag<'a>(tags: &'a str, key: &str) -> Option<&'a str> {
    let start = tags.find(&format!("{key}:\""))? + key.len() + 2;
    tags[start..].split('"').next()
}

struct Scope<'a> {
    import: &'a str,
    imports: &'a HashMap<String, String>,
}

impl Scope<'_> {
    fn parse(&self, text: &str) -> Result<GoType> {
        if let Some(inner) = text.strip_prefix('*') {
            return Ok(GoType::Pointer(Box::new(self.parse(inner)?)));
        }
        if text == "[]byte" {
            return Ok(GoType::Basic("bytes".to_owned()));
        }
        if let Some(inner) = text.strip_prefix("[]") {
            return Ok(GoType::List(Box::new(self.parse(inner)?)));
        }
        if let Some(rest) = text.strip_prefix("map[") {
            let (_, value) = rest.split_once(']').context("a map type has a key")?;
            return Ok(GoType::Map(Box::new(self.parse(value)?)));
        }
        if let Some((package, name)) = text.split_once('.') {
            let import = self.imports.get(package).with_context(|| format!("package {package} is imported"))?;
            return Ok(GoType::Named(import.clone(), name.to_owned()));
        }
        Ok(match text {
            "string" | "bool" | "int32" | "int64" | "float64" | "interface{}" => GoType::Basic(text.to_owned()),
            "int" => GoType::Basic("int64".to_owned()),
            "uint8" | "uint32" | "byte" => GoType::Basic("int32".to_owned()),
            _ => GoType::Named(self.import.to_owned(), text.to_owned()),
        })
    }
}
