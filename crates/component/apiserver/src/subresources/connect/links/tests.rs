//! Links and pages.

use super::Links;

fn links() -> Links {
    Links {
        prefix: "/api/v1/namespaces/proxy-1/pods/p/proxy".to_owned(),
        own_hosts: ["10.0.0.5".to_owned(), "10.0.0.5:80".to_owned()],
        asked_host: "127.0.0.1:8001".to_owned(),
    }
}

#[test]
fn links_lead_through_the_proxy() {
    let prefix = links().prefix;
    let cases = [
        ("/style.css?v=1#top", format!("{prefix}/style.css?v=1#top"), "an absolute path"),
        ("/", format!("{prefix}/"), "the root"),
        ("style.css", "style.css".to_owned(), "a relative path"),
        ("?page=2", "?page=2".to_owned(), "a query alone"),
        ("https://example.com/x", "https://example.com/x".to_owned(), "another host"),
        ("//example.com/x", "//example.com/x".to_owned(), "another host, whatever the scheme"),
        ("http://10.0.0.5:80/x/", format!("{prefix}/x/"), "the place's own address"),
        ("http://127.0.0.1:8001/x", format!("http://127.0.0.1:8001{prefix}/x"), "the host that was asked"),
        (&format!("{prefix}/x"), format!("{prefix}/x"), "a page that knows of the proxy"),
        ("mailto:a@b", "mailto:a@b".to_owned(), "no place at all"),
        ("", String::new(), "nothing"),
    ];
    for (link, expected, why) in cases {
        assert_eq!(links().through(link), expected, "{why}");
    }
}

#[test]
fn pages_change_in_their_links_alone() {
    let prefix = links().prefix;
    let cases = [
        ("<a href=\"/rewriteme\">test</a>", format!("<a href=\"{prefix}/rewriteme\">test</a>")),
        ("<p title='/x'>é &amp; /y</p>", "<p title='/x'>é &amp; /y</p>".to_owned()),
        (
            "<script>if (a < b) { x = '<a href=\"/no\">' }</script><IMG class=é src=/i.png />",
            format!(
                "<script>if (a < b) {{ x = '<a href=\"/no\">' }}</script><img class=\"é\" src=\"{prefix}/i.png\"/>"
            ),
        ),
        (
            "<!-- <a href='/no'> --><a href='/a?b=1&amp;c=2'>",
            format!("<!-- <a href='/no'> --><a href=\"{prefix}/a?b=1&amp;c=2\">"),
        ),
        ("<a href='/unfinished", "<a href='/unfinished".to_owned()),
    ];
    for (page, expected) in cases {
        assert_eq!(links().page(page), expected);
    }
}
