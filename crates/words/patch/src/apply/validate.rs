//! Whether an applied configuration is of its type, with upstream's words when it is not.

use object::Value;
use object::schema::Shape;

use super::topology::{Node, Topology};
use crate::go::Printed;

/// Most problems that are reported at once.
const PROBLEMS_MAX: usize = 100;

/// The kinds of scalars that ownership tells apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scalar {
    Numeric,
    String,
    Boolean,
    Untyped,
}

impl<'s> Topology<'s> {
    /// What is wrong with a configuration of the type `root`, as one text; duplicate items are wrong too.
    pub(super) fn check(self, root: Node<'s>, config: &Value) -> Result<(), String> {
        let mut problems = Vec::new();
        let mut checker = Checker { topology: self, path: String::new(), problems: &mut problems };
        checker.value(root, config);
        match problems.as_slice() {
            [] => Ok(()),
            [only] => Err(only.clone()),
            many => Err(format!("errors:\n  {}", many.join("\n  "))),
        }
    }
}

struct Checker<'s, 'p> {
    topology: Topology<'s>,
    path: String,
    problems: &'p mut Vec<String>,
}

impl<'s> Checker<'s, '_> {
    fn value(&mut self, node: Node<'s>, value: &Value) {
        match (node, value) {
            (_, Value::Null) => {}
            (Node::Scalar(shape), _) => self.scalar(scalar_of(shape), value),
            (Node::Atomic(shape), _) => self.atomic(shape, value),
            (Node::Struct(_) | Node::Map(_), Value::Map(map)) => {
                for (key, member) in map.iter() {
                    let outer = self.path.len();
                    self.path.push('.');
                    self.path.push_str(key);
                    match self.topology.member(node, key) {
                        Some((below, _)) => self.value(below, member),
                        None => self.problem("field not declared in schema"),
                    }
                    self.path.truncate(outer);
                }
            }
            (Node::Struct(_) | Node::Map(_), _) => self.mismatch("map", value),
            (Node::Keyed { .. } | Node::Set(_), Value::List(items)) => self.items(node, items),
            (Node::Keyed { .. } | Node::Set(_), _) => self.mismatch("list", value),
            (Node::Deduced, _) => {}
        }
    }

    fn items(&mut self, node: Node<'s>, items: &[Value]) {
        let mut seen = std::collections::BTreeSet::new();
        for (at, item) in items.iter().enumerate() {
            let element = match self.topology.element(node, item) {
                Ok(element) => element,
                Err(problem) => return self.problem(&format!("element {at}: {problem}")),
            };
            let outer = self.path.len();
            let shown = element.to_string();
            if !seen.insert(element) {
                self.problem(&format!("duplicate entries for key {shown}"));
            }
            self.path.push_str(&shown);
            self.value(self.topology.item(node), item);
            self.path.truncate(outer);
        }
    }

    /// What is owned as one field is still checked inside; only its items have no names.
    fn atomic(&mut self, shape: &'s Shape, value: &Value) {
        match (shape, value) {
            (Shape::Struct(id), _) => self.value(self.topology.struct_of(*id), value),
            (Shape::Map(inner), _) => self.value(Node::Map(inner), value),
            (Shape::List(item), Value::List(items)) => {
                for (at, item_value) in items.iter().enumerate() {
                    let outer = self.path.len();
                    self.path.push_str(&format!("[{at}]"));
                    self.value(self.topology.of_shape(item), item_value);
                    self.path.truncate(outer);
                }
            }
            (Shape::List(_) | Shape::StringList, other) if !matches!(other, Value::List(_)) => {
                self.mismatch("list", value);
            }
            _ => {}
        }
    }

    fn scalar(&mut self, scalar: Scalar, value: &Value) {
        let is_number = matches!(value, Value::Int(_) | Value::Float(_));
        let is_text = matches!(value, Value::String(_));
        let is_flag = matches!(value, Value::Bool(_));
        match scalar {
            Scalar::Numeric if !is_number => {
                self.problem(&format!("expected numeric (int or float), got {}", go_type(value)));
            }
            Scalar::String if !is_text => {
                self.problem(&format!("expected string, got &value.valueUnstructured{{Value:{}}}", go_syntax(value)));
            }
            Scalar::Boolean if !is_flag => self.mismatch("boolean", value),
            Scalar::Untyped if !(is_number || is_text || is_flag) => self.mismatch("any scalar", value),
            _ => {}
        }
    }

    fn mismatch(&mut self, wanted: &str, value: &Value) {
        self.problem(&format!("expected {wanted}, got &{{{}}}", Printed(value)));
    }

    fn problem(&mut self, text: &str) {
        if self.problems.len() < PROBLEMS_MAX {
            let separator = if self.path.is_empty() { "" } else { ": " };
            self.problems.push(format!("{}{separator}{text}", self.path));
        }
    }
}

fn scalar_of(shape: &Shape) -> Scalar {
    match shape {
        Shape::String | Shape::Bytes | Shape::Duration => Scalar::String,
        Shape::Bool => Scalar::Boolean,
        Shape::Int32 | Shape::Int64 | Shape::Double => Scalar::Numeric,
        _ => Scalar::Untyped,
    }
}

/// What Go's `%T` says.
fn go_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "<nil>",
        Value::Bool(_) => "bool",
        Value::Int(_) => "int64",
        Value::Float(_) => "float64",
        Value::String(_) => "string",
        Value::List(_) => "[]interface {}",
        Value::Map(_) | Value::Raw(_) => "map[string]interface {}",
    }
}

/// What Go's `%#v` says.
fn go_syntax(value: &Value) -> String {
    match value {
        Value::Null => "interface {}(nil)".to_owned(),
        Value::Bool(flag) => flag.to_string(),
        Value::Int(number) => number.to_string(),
        Value::Float(number) => number.to_string(),
        Value::String(text) => format!("{:?}", text.as_str()),
        Value::List(items) => {
            let items: Vec<String> = items.iter().map(go_syntax).collect();
            format!("[]interface {{}}{{{}}}", items.join(", "))
        }
        Value::Map(map) => {
            let members: Vec<String> = map.iter().map(|(key, value)| format!("{key:?}:{}", go_syntax(value))).collect();
            format!("map[string]interface {{}}{{{}}}", members.join(", "))
        }
        Value::Raw(raw) => String::from_utf8_lossy(raw.bytes()).into_owned(),
    }
}
