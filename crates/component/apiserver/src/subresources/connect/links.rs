//! Links of what is behind a proxy, so that they lead through the proxy.
//!
//! A page that thinks it lives at `/` lives at `/api/v1/namespaces/NAMESPACE/services/NAME/proxy/`: absolute paths in its
//! links and redirects get that prefix. Links to other hosts, and relative ones, stay as they are.

use html5gum::emitters::default::DefaultEmitter;
use html5gum::{StartTag, Token, Tokenizer};

/// Attributes that hold URLs, by element (HTML 4.01 index of attributes, and HTML's living standard).
const URLS: [(&str, &[&str]); 25] = [
    ("a", &["href"]),
    ("applet", &["codebase"]),
    ("area", &["href"]),
    ("audio", &["src"]),
    ("base", &["href"]),
    ("blockquote", &["cite"]),
    ("body", &["background"]),
    ("button", &["formaction"]),
    ("command", &["icon"]),
    ("del", &["cite"]),
    ("embed", &["src"]),
    ("form", &["action"]),
    ("frame", &["longdesc", "src"]),
    ("head", &["profile"]),
    ("html", &["manifest"]),
    ("iframe", &["longdesc", "src"]),
    ("img", &["longdesc", "src", "usemap"]),
    ("input", &["src", "usemap", "formaction"]),
    ("ins", &["cite"]),
    ("link", &["href"]),
    ("object", &["classid", "codebase", "data", "usemap"]),
    ("q", &["cite"]),
    ("script", &["src"]),
    ("source", &["src"]),
    ("video", &["poster", "src"]),
];

/// Where a proxied place is, seen from both sides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Links {
    /// The path that leads to its root: `/api/v1/nodes/NAME/proxy`.
    pub(super) prefix: String,
    /// Its own names: address, and address with port.
    pub(super) own_hosts: [String; 2],
    /// The host that the client asked.
    pub(super) asked_host: String,
}

impl Links {
    /// Where a link of the place leads when it is followed through the proxy.
    pub(super) fn through(&self, link: &str) -> String {
        let (origin, rest) = split(link);
        let host = origin.rsplit('/').next().unwrap_or_default();
        let elsewhere = !host.is_empty() && host != self.asked_host && !self.own_hosts.iter().any(|own| own == host);
        if elsewhere || !rest.starts_with('/') {
            return link.to_owned();
        }
        let origin = if !host.is_empty() && host == self.asked_host { origin } else { "" };
        let prefix = if rest.starts_with(&self.prefix) { "" } else { &self.prefix };
        format!("{origin}{prefix}{rest}")
    }

    /// A page with its links changed; everything else stays byte for byte.
    pub(super) fn page(&self, html: &str) -> String {
        let mut emitter = DefaultEmitter::<usize>::new_with_span();
        emitter.naively_switch_states(true);
        let mut out = String::with_capacity(html.len());
        let mut copied = 0;
        for token in Tokenizer::new_with_emitter(html, emitter) {
            let Ok(Token::StartTag(mut tag)) = token else { continue };
            if !self.change(&mut tag) {
                continue;
            }
            // A place that is no border of characters would be a fault of the tokenizer: the tag stays as it was.
            if let (Some(before), true) = (html.get(copied..tag.span.start), html.is_char_boundary(tag.span.end)) {
                out.push_str(before);
                write(&mut out, &tag);
                copied = tag.span.end;
            }
        }
        out.push_str(html.get(copied..).unwrap_or_default());
        out
    }

    /// Changes a tag's links; whether there was one.
    fn change(&self, tag: &mut StartTag<usize>) -> bool {
        let Some((_, names)) = URLS.iter().find(|(element, _)| tag.name.as_slice() == element.as_bytes()) else {
            return false;
        };
        let mut changed = false;
        for (name, value) in &mut tag.attributes {
            let is_url = names.iter().any(|url| name.as_slice() == url.as_bytes());
            let Some(link) = std::str::from_utf8(value).ok().filter(|_| is_url) else { continue };
            let through = self.through(link);
            if through != link {
                value.value = through.into_bytes().into();
                changed = true;
            }
        }
        changed
    }
}

/// `https://host`, and what comes after it; without a host, nothing and all.
fn split(link: &str) -> (&str, &str) {
    let scheme = link.find("://").filter(|at| link[..*at].bytes().all(|byte| byte.is_ascii_alphanumeric()));
    let Some(host_at) = scheme.map(|at| at + 3).or_else(|| link.starts_with("//").then_some(2)) else {
        return ("", link);
    };
    let end = link[host_at..].find(['/', '?', '#']).map_or(link.len(), |at| host_at + at);
    link.split_at(end)
}

/// Writes a tag anew, with its attributes quoted.
fn write(out: &mut String, tag: &StartTag<usize>) {
    out.push('<');
    out.push_str(&String::from_utf8_lossy(&tag.name));
    for (name, value) in &tag.attributes {
        let value = String::from_utf8_lossy(value).replace('&', "&amp;").replace('"', "&#34;");
        out.push_str(&format!(" {}=\"{value}\"", String::from_utf8_lossy(name)));
    }
    out.push_str(if tag.self_closing { "/>" } else { ">" });
}

#[cfg(test)]
mod tests;
