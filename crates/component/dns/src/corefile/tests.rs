//! Corefiles as they are found in clusters.

use super::{Error, read};

const USUAL: &str = "
.:53 {
    errors
    health {
       lameduck 5s
    }
    ready
    kubernetes cluster.local in-addr.arpa ip6.arpa {
       pods insecure
       fallthrough in-addr.arpa ip6.arpa
       ttl 30
    }
    prometheus :9153
    forward . /etc/resolv.conf {
       max_concurrent 1000
    }
    cache 30 {
       disable success cluster.local
       disable denial cluster.local
    }
    loop
    reload
    loadbalance
}
# somebody's own
example.org:53 {
    errors
    cache 30
    forward . 10.150.0.1 10.150.0.2:5353
}
";

#[test]
fn the_usual_one() {
    let settings = read(USUAL, "nameserver 192.0.2.53\n", &[]).unwrap();
    let config = &settings.config;
    assert_eq!((settings.port, settings.lameduck_s), (53, 5));
    assert_eq!(settings.health, Some("0.0.0.0:8080".parse().unwrap()));
    assert_eq!(settings.ready, Some("0.0.0.0:8181".parse().unwrap()));
    assert_eq!(settings.metrics, Some("0.0.0.0:9153".parse().unwrap()));
    assert_eq!((config.zone.as_str(), config.ttl_s, config.pods), ("cluster.local", 30, true));
    assert_eq!((config.forwards_max, config.cache_s_max), (1_000, 30));
    assert_eq!(config.upstreams, ["192.0.2.53:53".parse().unwrap()]);
    assert_eq!(config.stubs[0].zone, "example.org");
    assert_eq!(config.stubs[0].upstreams, ["10.150.0.1:53".parse().unwrap(), "10.150.0.2:5353".parse().unwrap()]);
}

#[test]
fn what_is_not_understood_is_named() {
    let cases = [
        (". {\n errors\n rewrite name a b\n}", 3, "the plugin \"rewrite\" is not supported"),
        (". {\n kubernetes cluster.local {\n  namespaces a\n }\n}", 3, "\"namespaces a\" is not supported"),
        (". {\n forward . tls://9.9.9.9\n}", 2, "the resolver \"tls://9.9.9.9\" is not supported"),
        (". {\n errors\n", 1, "a brace is not closed"),
        ("}\n", 1, "a brace closes nothing"),
        (".:99999 {\n}", 1, "port \"99999\": number too large to fit in target type"),
        (". {\n health {\n  lameduck soon\n }\n}", 3, "lameduck needs a value"),
    ];
    for (text, line, message) in cases {
        let error = read(text, "", &[]).unwrap_err();
        assert_eq!(error, Error { line, message: message.to_owned() }, "{text}");
    }
}

#[test]
fn braces_within_braces_have_a_bound() {
    let text = "a {\n".repeat(100_000);
    let error = read(&text, "", &[]).unwrap_err();
    assert_eq!(error, Error { line: 9, message: "more than 8 braces are open".to_owned() });
}
