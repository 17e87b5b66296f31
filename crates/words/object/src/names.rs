//! The formats of names: what may be called what, with upstream's words when it may not.
//!
//! Rules: RFC 1123 labels and subdomains, RFC 1035 labels, and qualified names as in
//! `k8s.io/apimachinery/pkg/util/validation`.

const LABEL_MAX: usize = 63;
const SUBDOMAIN_MAX: usize = 253;

const LABEL_FMT: &str = "[a-z0-9]([-a-z0-9]*[a-z0-9])?";
const SUBDOMAIN_FMT: &str = "[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*";
const QUALIFIED_FMT: &str = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]";

/// What is wrong with `value` as an RFC 1123 label (a name of up to 63 characters, digits allowed first).
pub fn dns_label(value: &str) -> Vec<String> {
    let mut problems = length_problems(value, LABEL_MAX);
    if !is_label(value) {
        let text = if is_subdomain(value) {
            "must not contain dots".to_owned()
        } else {
            format!(
                "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end \
                 with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '{LABEL_FMT}')"
            )
        };
        problems.push(text);
    }
    problems
}

/// What is wrong with `value` as an RFC 1123 subdomain (dotted labels of up to 253 characters).
pub fn dns_subdomain(value: &str) -> Vec<String> {
    let mut problems = length_problems(value, SUBDOMAIN_MAX);
    problems.extend(subdomain_shape(value));
    problems
}

fn subdomain_shape(value: &str) -> Option<String> {
    (!is_subdomain(value)).then(|| {
        format!(
            "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and \
             end with an alphanumeric character (e.g. 'example.com', regex used for validation is '{SUBDOMAIN_FMT}')"
        )
    })
}

/// What is wrong with `value` as an RFC 1035 label (starts with a letter), which names of Services once had to be.
pub fn dns1035_label(value: &str) -> Vec<String> {
    let mut problems = length_problems(value, LABEL_MAX);
    let shaped = is_label(value) && value.starts_with(|c: char| c.is_ascii_lowercase());
    if !shaped {
        problems.push(
            "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and \
             end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is \
             '[a-z]([-a-z0-9]*[a-z0-9])?')"
                .to_owned(),
        );
    }
    problems
}

/// What is wrong with `value` as a qualified name: an optional subdomain prefix and `/`, then a name of 63 characters.
pub fn qualified_name(value: &str) -> Vec<String> {
    let mut problems = Vec::new();
    let name = match value.split_once('/') {
        None => value,
        Some((_, rest)) if rest.contains('/') => {
            return vec![format!(
                "a valid label key must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an \
                 alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is \
                 '{QUALIFIED_FMT}') with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
            )];
        }
        Some((prefix, name)) => {
            if prefix.is_empty() {
                problems.push("prefix part must be non-empty".to_owned());
            } else {
                problems.extend(prefix_problems(prefix).into_iter().map(|problem| format!("prefix part {problem}")));
            }
            name
        }
    };
    if name.is_empty() {
        problems.push("name part must be non-empty".to_owned());
    } else if name.len() > LABEL_MAX {
        problems.push(format!("name part must be no more than {LABEL_MAX} bytes"));
    }
    if !is_qualified(name) {
        problems.push(format!(
            "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric \
             character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '{QUALIFIED_FMT}')"
        ));
    }
    problems
}

/// A subdomain before a `/`, whose length upstream counts in bytes where it counts that of names in characters.
fn prefix_problems(prefix: &str) -> Vec<String> {
    let mut problems = bytes_problems(prefix, SUBDOMAIN_MAX);
    problems.extend(subdomain_shape(prefix));
    problems
}

/// What is wrong with `value` as a label's value: empty, or up to 63 bytes of a qualified name's alphabet.
pub fn label_value(value: &str) -> Vec<String> {
    let mut problems = bytes_problems(value, LABEL_MAX);
    if !value.is_empty() && !is_qualified(value) {
        problems.push(
            "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end \
             with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is \
             '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
                .to_owned(),
        );
    }
    problems
}

/// What is wrong with `value` as one segment of a URL path: RBAC objects may be named with nearly anything else.
pub fn path_segment(value: &str) -> Vec<String> {
    if value == "." || value == ".." {
        return vec![format!("may not be '{value}'")];
    }
    ['/', '%'].iter().filter(|c| value.contains(**c)).map(|c| format!("may not contain '{c}'")).collect()
}

fn length_problems(value: &str, max: usize) -> Vec<String> {
    if value.len() > max { vec![format!("must be no more than {max} characters")] } else { Vec::new() }
}

fn bytes_problems(value: &str, max: usize) -> Vec<String> {
    if value.len() > max { vec![format!("must be no more than {max} bytes")] } else { Vec::new() }
}

fn is_label(value: &str) -> bool {
    let alnum = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = value.as_bytes();
    match (bytes.first(), bytes.last()) {
        (Some(first), Some(last)) => {
            alnum(*first) && alnum(*last) && bytes.iter().all(|byte| alnum(*byte) || *byte == b'-')
        }
        _ => false,
    }
}

fn is_subdomain(value: &str) -> bool {
    value.split('.').all(is_label)
}

fn is_qualified(value: &str) -> bool {
    let bytes = value.as_bytes();
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    match (bytes.first(), bytes.last()) {
        (Some(first), Some(last)) => {
            first.is_ascii_alphanumeric() && last.is_ascii_alphanumeric() && bytes.iter().all(|byte| inner(*byte))
        }
        _ => false,
    }
}

/// Orders API versions as clients prefer them: `v2` after `v1` after `v1beta2` after `v1alpha1` after anything else.
pub fn version_order(left: &str, right: &str) -> std::cmp::Ordering {
    version_key(left).cmp(&version_key(right)).then_with(|| right.cmp(left))
}

/// Stability (0: no version at all, 1: alpha, 2: beta, 3: stable), major and minor.
fn version_key(text: &str) -> (u8, u32, u32) {
    let Some(rest) = text.strip_prefix('v') else { return (0, 0, 0) };
    let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    let Ok(major) = rest[..digits].parse() else { return (0, 0, 0) };
    let (stability, minor) = match &rest[digits..] {
        "" => return (3, major, 0),
        tail => match (tail.strip_prefix("beta"), tail.strip_prefix("alpha")) {
            (Some(minor), _) => (2, minor),
            (_, Some(minor)) => (1, minor),
            _ => return (0, 0, 0),
        },
    };
    minor.parse().map_or((0, 0, 0), |minor| (stability, major, minor))
}
