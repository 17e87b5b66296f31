//! The rules of one role, filed by resource.

use std::collections::HashMap;

use object::Text;
use typed::api::rbac::v1::PolicyRule;

use crate::Attributes;
use crate::rules::{self, ALL, name_matches, path_matches};

/// A role's rules, ready to be asked.
#[derive(Debug)]
pub(crate) struct Compiled {
    rules: Box<[PolicyRule]>,
    /// Rules for every resource.
    everywhere: Vec<u32>,
    /// Rules by `resource`, `resource/subresource` and `*/subresource`.
    by_resource: HashMap<Text, Vec<u32>>,
    /// Rules for paths.
    paths: Vec<u32>,
}

/// A request with the keys under which rules about it are filed.
#[derive(Debug)]
pub(crate) struct Question<'a> {
    attributes: &'a Attributes<'a>,
    resource: Text,
    any_with_subresource: Text,
}

impl<'a> Question<'a> {
    pub(crate) fn new(attributes: &'a Attributes<'a>) -> Question<'a> {
        let join = |left: &str| {
            let mut text = Text::with_capacity(left.len() + 1 + attributes.subresource.len());
            for part in [left, "/", attributes.subresource] {
                text.push_str(part);
            }
            text
        };
        let (resource, any_with_subresource) = match attributes.subresource {
            "" => (attributes.resource.into(), Text::default()),
            _ => (join(attributes.resource), join(ALL)),
        };
        Question { attributes, resource, any_with_subresource }
    }
}

impl Compiled {
    pub(crate) fn new(rules: &[PolicyRule]) -> Compiled {
        let mut compiled =
            Compiled { rules: rules.into(), everywhere: Vec::new(), by_resource: HashMap::new(), paths: Vec::new() };
        for (at, rule) in (0u32..).zip(rules) {
            for resource in rule.resources.iter().flatten() {
                match resource.as_str() {
                    ALL => compiled.everywhere.push(at),
                    resource => compiled.by_resource.entry(resource.into()).or_default().push(at),
                }
            }
            if rule.non_resource_urls.is_some() {
                compiled.paths.push(at);
            }
        }
        compiled
    }

    pub(crate) fn rules(&self) -> &[PolicyRule] {
        &self.rules
    }

    pub(crate) fn allows(&self, question: &Question<'_>) -> bool {
        let attributes = question.attributes;
        if !attributes.is_resource() {
            let speaks = |rule: &PolicyRule| {
                rule.non_resource_urls.iter().flatten().any(|pattern| path_matches(pattern, attributes.path))
            };
            return self.any(&self.paths, |rule| rules::verb_matches(rule, attributes.verb) && speaks(rule));
        }
        let accepts = |rule: &PolicyRule| {
            rules::verb_matches(rule, attributes.verb)
                && rules::group_matches(rule, attributes.group)
                && name_matches(rule.resource_names.as_deref().unwrap_or_default(), attributes.name)
        };
        let filed = |key: &str| self.by_resource.get(key).is_some_and(|filed| self.any(filed, accepts));
        self.any(&self.everywhere, accepts)
            || filed(&question.resource)
            || (!question.any_with_subresource.is_empty() && filed(&question.any_with_subresource))
    }

    fn any(&self, filed: &[u32], accepts: impl Fn(&PolicyRule) -> bool) -> bool {
        filed.iter().any(|at| accepts(&self.rules[*at as usize]))
    }
}
