//! Label and field selectors: their text form, and whether they match.
//!
//! Rules: `k8s.io/apimachinery/pkg/labels` and `pkg/fields`.

use std::fmt;

use crate::{Map, Text, Value, names};

/// How a requirement compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operator {
    /// The value is one of a set.
    In,
    /// The key is absent or its value is none of a set.
    NotIn,
    /// The key is there.
    Exists,
    /// The key is not there.
    DoesNotExist,
    /// The value, as an integer, is greater.
    Gt,
    /// The value, as an integer, is less.
    Lt,
}

/// One condition on one label.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Requirement {
    /// The label's key.
    pub key: Text,
    /// The comparison.
    pub operator: Operator,
    /// The operands; empty for `Exists` and `DoesNotExist`.
    pub values: Vec<Text>,
}

/// Conditions of which all must hold; none at all matches everything.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct LabelSelector {
    requirements: Vec<Requirement>,
    nothing: bool,
}

/// Why a selector's text cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SelectorError(String);

impl Requirement {
    /// Whether a label of this key with `value` (or its absence) satisfies the condition.
    pub fn matches(&self, value: Option<&str>) -> bool {
        let one_of = |value: &str| self.values.iter().any(|candidate| candidate == value);
        match self.operator {
            Operator::In => value.is_some_and(one_of),
            Operator::NotIn => !value.is_some_and(one_of),
            Operator::Exists => value.is_some(),
            Operator::DoesNotExist => value.is_none(),
            Operator::Gt | Operator::Lt => self.compares(value),
        }
    }

    /// One entry of `matchExpressions`.
    fn from_tree(tree: &Value) -> Option<Requirement> {
        let operator = match tree.str_at(&["operator"])? {
            "In" => Operator::In,
            "NotIn" => Operator::NotIn,
            "Exists" => Operator::Exists,
            "DoesNotExist" => Operator::DoesNotExist,
            _ => return None,
        };
        let values =
            tree.list_at(&["values"]).iter().map(|value| value.as_str().map(Text::from)).collect::<Option<_>>()?;
        Some(Requirement { key: tree.str_at(&["key"])?.into(), operator, values })
    }

    fn compares(&self, value: Option<&str>) -> bool {
        let parse = |text: &str| text.parse::<i64>().ok();
        let pair = value.and_then(parse).zip(self.values.first().and_then(|bound| parse(bound)));
        pair.is_some_and(|(value, bound)| if self.operator == Operator::Gt { value > bound } else { value < bound })
    }

    /// The formats of key and values, as upstream checks them when it parses.
    fn check(&self) -> Result<(), SelectorError> {
        if let Some(problem) = names::qualified_name(&self.key).into_iter().next() {
            return Err(SelectorError(format!("key: Invalid value: \"{}\": {problem}", self.key)));
        }
        for (at, value) in self.values.iter().enumerate() {
            if let Some(problem) = names::label_value(value).into_iter().next() {
                return Err(SelectorError(format!(
                    "values[{at}][{}]: Invalid value: \"{value}\": {problem}",
                    self.key
                )));
            }
        }
        let numeric = matches!(self.operator, Operator::Gt | Operator::Lt);
        if numeric && self.values.iter().any(|value| value.parse::<i64>().is_err()) {
            return Err(SelectorError(format!(
                "values[0]: Invalid value: \"{}\": for 'Gt', 'Lt' operators, the value must be an integer",
                self.values.first().map(Text::as_str).unwrap_or_default()
            )));
        }
        Ok(())
    }
}

impl LabelSelector {
    /// Matches every object.
    pub fn everything() -> LabelSelector {
        LabelSelector::default()
    }

    /// Matches no object, as an absent selector of a controller does.
    pub fn nothing() -> LabelSelector {
        LabelSelector { requirements: Vec::new(), nothing: true }
    }

    /// The conjunction of `requirements`.
    pub fn all_of(requirements: impl IntoIterator<Item = Requirement>) -> LabelSelector {
        LabelSelector { requirements: requirements.into_iter().collect(), nothing: false }
    }

    /// Labels that must have exactly these values.
    pub fn from_labels<'a>(labels: impl IntoIterator<Item = (&'a str, &'a str)>) -> LabelSelector {
        LabelSelector::all_of(labels.into_iter().map(|(key, value)| Requirement {
            key: key.into(),
            operator: Operator::In,
            values: vec![value.into()],
        }))
    }

    /// The selector that a `LabelSelector` in a tree means: `matchLabels` and `matchExpressions`, or a plain map of
    /// labels as older kinds have it. What it does not understand matches nothing.
    pub fn from_tree(tree: &Value) -> LabelSelector {
        let Some(map) = tree.as_map() else { return LabelSelector::nothing() };
        let structured = map.contains("matchLabels") || map.contains("matchExpressions");
        let labels = if structured { map.get("matchLabels").and_then(Value::as_map) } else { Some(map) };
        let equal = labels.into_iter().flat_map(Map::iter).map(|(key, value)| {
            let values = vec![value.as_str()?.into()];
            Some(Requirement { key: key.into(), operator: Operator::In, values })
        });
        let expressions = if structured { tree.list_at(&["matchExpressions"]) } else { &[] };
        let all: Option<Vec<Requirement>> = equal.chain(expressions.iter().map(Requirement::from_tree)).collect();
        all.map_or_else(LabelSelector::nothing, LabelSelector::all_of)
    }

    /// Reads the text form: `a=b,c!=d,e in (x,y),f notin (z),g,!h,i>1`.
    pub fn parse(text: &str) -> Result<LabelSelector, SelectorError> {
        let mut parser = Parser { rest: text };
        let mut requirements = Vec::new();
        while !parser.at_end() {
            let requirement = parser.requirement()?;
            requirement.check()?;
            requirements.push(requirement);
            parser.separator()?;
        }
        Ok(LabelSelector::all_of(requirements))
    }

    /// The conditions.
    pub fn requirements(&self) -> &[Requirement] {
        &self.requirements
    }

    /// Whether every object matches.
    pub fn is_everything(&self) -> bool {
        !self.nothing && self.requirements.is_empty()
    }

    /// Whether labels, given as a lookup, satisfy all conditions.
    pub fn matches<'a>(&self, lookup: impl Fn(&str) -> Option<&'a str>) -> bool {
        !self.nothing && self.requirements.iter().all(|requirement| requirement.matches(lookup(&requirement.key)))
    }
}

impl fmt::Display for LabelSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, requirement) in self.requirements.iter().enumerate() {
            if at > 0 {
                f.write_str(",")?;
            }
            write!(f, "{requirement}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = &self.key;
        let mut values = self.values.clone();
        values.sort();
        let joined = values.join(",");
        match self.operator {
            Operator::In if self.values.len() == 1 => write!(f, "{key}={joined}"),
            Operator::NotIn if self.values.len() == 1 => write!(f, "{key}!={joined}"),
            Operator::In => write!(f, "{key} in ({joined})"),
            Operator::NotIn => write!(f, "{key} notin ({joined})"),
            Operator::Exists => write!(f, "{key}"),
            Operator::DoesNotExist => write!(f, "!{key}"),
            Operator::Gt => write!(f, "{key}>{joined}"),
            Operator::Lt => write!(f, "{key}<{joined}"),
        }
    }
}

/// Walks the text form token by token.
struct Parser<'a> {
    rest: &'a str,
}

impl<'a> Parser<'a> {
    fn at_end(&mut self) -> bool {
        self.rest = self.rest.trim_start();
        self.rest.is_empty()
    }

    fn word(&mut self) -> &'a str {
        self.rest = self.rest.trim_start();
        let end = self.rest.find(|c: char| c.is_whitespace() || "=!(),<>".contains(c)).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        word
    }

    fn take(&mut self, symbol: &str) -> bool {
        self.rest = self.rest.trim_start();
        match self.rest.strip_prefix(symbol) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn requirement(&mut self) -> Result<Requirement, SelectorError> {
        if self.take("!") {
            let key = self.key()?;
            return Ok(Requirement { key, operator: Operator::DoesNotExist, values: Vec::new() });
        }
        let key = self.key()?;
        let (operator, values) = self.comparison()?;
        Ok(Requirement { key, operator, values })
    }

    fn key(&mut self) -> Result<Text, SelectorError> {
        match self.word() {
            "" => Err(self.unexpected("identifier, '!'")),
            word => Ok(word.into()),
        }
    }

    fn comparison(&mut self) -> Result<(Operator, Vec<Text>), SelectorError> {
        for (symbol, operator) in [
            ("==", Operator::In),
            ("=", Operator::In),
            ("!=", Operator::NotIn),
            (">", Operator::Gt),
            ("<", Operator::Lt),
        ] {
            if self.take(symbol) {
                return Ok((operator, vec![self.word().into()]));
            }
        }
        self.rest = self.rest.trim_start();
        if self.rest.is_empty() || self.rest.starts_with(',') {
            return Ok((Operator::Exists, Vec::new()));
        }
        match self.word() {
            "in" => Ok((Operator::In, self.set()?)),
            "notin" => Ok((Operator::NotIn, self.set()?)),
            other => Err(SelectorError(format!("found '{other}', expected: in, notin, =, ==, !=, gt, lt"))),
        }
    }

    fn set(&mut self) -> Result<Vec<Text>, SelectorError> {
        if !self.take("(") {
            return Err(self.unexpected("'('"));
        }
        let mut values = Vec::new();
        loop {
            values.push(self.word().into());
            if self.take(")") {
                return Ok(values);
            }
            if !self.take(",") {
                return Err(self.unexpected("',', or ')'"));
            }
        }
    }

    fn separator(&mut self) -> Result<(), SelectorError> {
        if self.at_end() {
            return Ok(());
        }
        if !self.take(",") {
            return Err(self.unexpected("',' or 'end of string'"));
        }
        if self.at_end() { Err(SelectorError("found '', expected: identifier after ','".to_owned())) } else { Ok(()) }
    }

    fn unexpected(&self, expected: &str) -> SelectorError {
        let found: String = self.rest.chars().take(1).collect();
        SelectorError(format!("found '{found}', expected: {expected}"))
    }
}

/// One condition on one field: equal, or not equal.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct FieldRequirement {
    /// The field's label, such as `spec.nodeName`.
    pub field: Text,
    /// The value.
    pub value: Text,
    /// Whether the field must differ from the value.
    pub negated: bool,
}

/// Conditions on fields, of which all must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct FieldSelector {
    /// The conditions.
    pub requirements: Vec<FieldRequirement>,
}

impl FieldSelector {
    /// Reads the text form: `a=b,c==d,e!=f`, with `\` escaping `,`, `=` and itself in values.
    pub fn parse(text: &str) -> Result<FieldSelector, SelectorError> {
        let terms = split_unescaped(text, ',').into_iter().filter(|term| !term.is_empty());
        let requirements = terms.map(field_requirement).collect::<Result<_, _>>()?;
        Ok(FieldSelector { requirements })
    }

    /// Whether fields, given as a lookup, satisfy all conditions; an unknown field counts as empty.
    pub fn matches<'a>(&self, lookup: impl Fn(&str) -> Option<&'a str>) -> bool {
        self.requirements.iter().all(|requirement| {
            (lookup(&requirement.field).unwrap_or_default() == requirement.value) != requirement.negated
        })
    }

    /// The value a field must equal, when exactly that is required.
    pub fn exact(&self, field: &str) -> Option<&str> {
        let found = self.requirements.iter().find(|requirement| requirement.field == field && !requirement.negated);
        found.map(|requirement| requirement.value.as_str())
    }
}

impl fmt::Display for FieldSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, requirement) in self.requirements.iter().enumerate() {
            let comma = if at > 0 { "," } else { "" };
            let operator = if requirement.negated { "!=" } else { "=" };
            let value = requirement.value.replace('\\', "\\\\").replace(',', "\\,").replace('=', "\\=");
            write!(f, "{comma}{}{operator}{value}", requirement.field)?;
        }
        Ok(())
    }
}

fn field_requirement(term: &str) -> Result<FieldRequirement, SelectorError> {
    for (symbol, negated) in [("!=", true), ("==", false), ("=", false)] {
        if let Some((field, value)) = term.split_once(symbol)
            && !field.contains(['=', '!'])
        {
            return Ok(FieldRequirement { field: field.into(), value: unescape(value)?, negated });
        }
    }
    Err(SelectorError(format!("invalid selector: '{term}'; can't understand '{term}'")))
}

fn split_unescaped(text: &str, separator: char) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut start, mut escaped) = (0, false);
    for (at, c) in text.char_indices() {
        if escaped {
            escaped = false;
        } else if c == '\\' {
            escaped = true;
        } else if c == separator {
            parts.push(&text[start..at]);
            start = at + c.len_utf8();
        }
    }
    parts.push(&text[start..]);
    parts
}

fn unescape(value: &str) -> Result<Text, SelectorError> {
    let mut text = Text::default();
    let mut characters = value.chars();
    while let Some(c) = characters.next() {
        match c {
            '\\' => match characters.next() {
                Some(escaped @ ('\\' | ',' | '=')) => text.push(escaped),
                other => {
                    let shown = other.map(String::from).unwrap_or_default();
                    return Err(SelectorError(format!("invalid escape sequence: \\{shown}")));
                }
            },
            ',' | '=' => return Err(SelectorError(format!("unescaped character in selector: {c}"))),
            other => text.push(other),
        }
    }
    Ok(text)
}

#[cfg(test)]
mod tests;
