//! The tree is tidy, and the checks would notice if it were not.

use std::collections::BTreeMap;

use crate::source::{File, Function, mask};
use crate::tidy::dependencies::is_permissive;
use crate::tidy::floors::may_import;
use crate::tidy::ratchet::differences;
use crate::tidy::words::stands_alone;
use crate::workspace::Workspace;

#[test]
fn the_tree_is_tidy() {
    let workspace = Workspace::load().unwrap();
    let problems: Vec<String> = crate::tidy::run(&workspace, &[]).iter().map(ToString::to_string).collect();
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn imports_go_down() {
    let cases = [
        ("engine", "ground", true),
        ("engine", "engine", true),
        ("logic", "engine", false),
        ("engine", "logic", false),
        ("component", "logic", true),
        ("component", "component", false),
        ("whole", "component", true),
        ("ground", "words", false),
        ("attic", "ground", false),
    ];
    for (from, to, expected) in cases {
        assert_eq!(may_import(from, to), expected, "{from} -> {to}");
    }
}

#[test]
fn licences_are_read_as_expressions() {
    let cases = [
        ("MIT OR Apache-2.0", true),
        ("MIT/Apache-2.0", true),
        ("ISC AND (Apache-2.0 OR ISC)", true),
        ("GPL-3.0", false),
        ("MIT AND GPL-2.0", false),
        ("GPL-2.0 OR MIT", true),
        ("Apache-2.0 WITH LLVM-exception", true),
    ];
    for (expression, expected) in cases {
        assert_eq!(is_permissive(expression), expected, "{expression}");
    }
}

#[test]
fn code_is_seen_without_its_words() {
    let text = "let a = \"sleep(\"; // sleep(\nlet b = 'x'; let c: &'a str = r#\"fn \"{ \"#;\n/* { */ f('\\'', '{');\n";
    let code = mask(text);
    assert_eq!(code.lines().count(), 3);
    assert!(!code.contains("sleep(") && !code.contains('{') && code.contains("&'a str"), "{code}");
}

#[test]
fn functions_are_measured_between_their_braces() {
    let text = "fn one() {}\n\ntrait T {\n    fn none(&self) -> [u8; 2];\n    fn two(\n        &self,\n    ) {\n        a();\n        b({});\n    }\n}\n";
    let file = File::new("x.rs".to_owned(), "x".to_owned(), "whole".to_owned(), text.to_owned());
    let function = |name: &str, line, body_lines| Function { name: name.to_owned(), line, body_lines };
    assert_eq!(file.functions(), [function("one", 1, 0), function("two", 5, 2)]);
}

#[test]
fn ratchets_only_tighten() {
    let list = |entries: &[(&str, usize)]| -> BTreeMap<String, usize> {
        entries.iter().map(|(what, lines)| ((*what).to_owned(), *lines)).collect()
    };
    let allowed = list(&[("same", 900), ("more", 900), ("less", 900), ("gone", 900)]);
    let measured = list(&[("same", 900), ("more", 901), ("less", 899), ("new", 801)]);
    let problems = differences(&allowed, &measured);
    assert_eq!(problems.len(), 4, "{problems:?}");
}

#[test]
fn words_stand_alone() {
    assert!(stands_alone("an e2e run", "e2e"));
    assert!(stands_alone("e2e", "e2e"));
    assert!(!stands_alone("0xe2e4", "e2e"));
}
