//! Corefiles as they are found in clusters.

use std::path::Path;
use std::time::Duration;

use super::{Around, Error, USUAL, read};
use crate::config::{Pods, Policy, Settings};
use crate::wire::encode_name;

fn files(path: &Path) -> Option<String> {
    match path.to_str()? {
        "/etc/resolv.conf" => Some("nameserver 192.0.2.53\nnameserver 10.96.0.10\n".to_owned()),
        "/etc/hosts" => Some("127.0.0.1 localhost # here\n::1 localhost\n".to_owned()),
        _ => None,
    }
}

fn parse(text: &str) -> Result<Settings, Error> {
    read(text, Around { file: &files, own: &["10.96.0.10".parse().unwrap()] })
}

fn name(text: &str) -> Vec<u8> {
    encode_name(text).unwrap()
}

#[test]
fn the_usual_one() {
    let settings = parse(USUAL).unwrap();
    let health = settings.health.unwrap();
    assert_eq!((health.address, health.lameduck), ("0.0.0.0:8080".parse().unwrap(), Duration::from_secs(5)));
    assert_eq!(settings.ready, Some("0.0.0.0:8181".parse().unwrap()));
    assert_eq!(settings.metrics, Some("0.0.0.0:9153".parse().unwrap()));
    assert_eq!(settings.reload.unwrap().interval, Duration::from_secs(30));
    let [block] = &settings.blocks[..] else { panic!("{settings:?}") };
    assert_eq!((&*block.zones, block.port), (&[(".".to_owned(), vec![0])][..], 53));
    assert!(block.errors && block.prometheus && block.loadbalance && block.detects_loops && block.log.is_none());
    let kubernetes = block.kubernetes.as_ref().unwrap();
    assert_eq!((&*kubernetes.zones, kubernetes.ttl_s), (&[name("cluster.local")][..], 30));
    assert_eq!(kubernetes.reverse_zones, [name("in-addr.arpa"), name("ip6.arpa")]);
    assert_eq!((&kubernetes.fallthrough, kubernetes.pods), (&kubernetes.reverse_zones, Pods::Insecure));
    let [forward] = &block.forwards[..] else { panic!("{block:?}") };
    assert_eq!((forward.concurrent_max, forward.policy), (1_000, Policy::Random));
    assert_eq!(forward.upstreams, ["192.0.2.53:53".parse().unwrap()], "it does not ask itself");
    let cache = block.cache.as_ref().unwrap();
    assert_eq!((cache.success.seconds_max, cache.denial.seconds_max), (30, 30));
    assert_eq!((&cache.success_off, &cache.denial_off), (&kubernetes.zones, &kubernetes.zones));
}

#[test]
fn servers_have_names_and_ports() {
    let cases = [
        (".:53 {\n}", "53 ."),
        (":1053 {\n}", "1053 ."),
        ("dns://Example.ORG {\n}", "53 example.org."),
        ("a.org b.org:54 c.org:54 {\n}", "53 a.org.; 54 b.org. c.org."),
        ("a.org,\nb.org, c.org {\n}", "53 a.org. b.org. c.org."),
        ("a.org {\n}\n\n# next\nb.org {\n}", "53 a.org.; 53 b.org."),
    ];
    for (text, expected) in cases {
        let settings = parse(text).unwrap();
        let block = |block: &crate::config::Block| {
            let zones: Vec<&str> = block.zones.iter().map(|(text, _)| text.as_str()).collect();
            format!("{} {}", block.port, zones.join(" "))
        };
        let blocks: Vec<String> = settings.blocks.iter().map(block).collect();
        assert_eq!(blocks.join("; "), expected, "{text}");
    }
}

#[test]
fn stub_domains_hosts_and_logs() {
    let text = "corp.example:53 {
    errors
    cache 10
    forward . 10.150.0.1 dns://10.150.0.2:5353 [fd00::1]:53 {
        except a.corp.example b.corp.example
        policy sequential
        force_tcp
    }
}
. {
    log . {
        class denial error
    }
    hosts {
        10.0.0.9 nine.example \"NINE\"
        ttl 60
        fallthrough
    }
    cache {
        success 100 60 10
        denial 5
        disable denial example.org
    }
    reload 10s 2s
}";
    let settings = parse(text).unwrap();
    let [stub, root] = &settings.blocks[..] else { panic!("{settings:?}") };
    let forward = &stub.forwards[0];
    let expected = ["10.150.0.1:53", "10.150.0.2:5353", "[fd00::1]:53"].map(|text| text.parse().unwrap());
    assert_eq!((&*forward.upstreams, forward.policy, forward.tcp_only), (&expected[..], Policy::Sequential, true));
    let takes = |text: &str| forward.takes(&name(text));
    assert!(takes("x.corp.example") && !takes("y.b.corp.example"));
    let log = root.log.as_ref().unwrap();
    assert_eq!((log.success, log.denial, log.error), (false, true, true));
    let hosts = root.hosts.as_ref().unwrap();
    assert_eq!(hosts.addresses[&name("nine")], ["10.0.0.9".parse::<std::net::IpAddr>().unwrap()]);
    assert_eq!(hosts.addresses[&name("localhost")].len(), 2, "the file of the machine as well");
    assert_eq!((hosts.ttl_s, &*hosts.fallthrough), (60, &[vec![0]][..]));
    assert_eq!(hosts.names[&"10.0.0.9".parse::<std::net::IpAddr>().unwrap()], [name("nine.example"), name("nine")]);
    let cache = root.cache.as_ref().unwrap();
    assert_eq!((cache.success.entries_max, cache.success.seconds_max, cache.success.seconds_min), (100, 60, 10));
    assert_eq!((cache.denial.entries_max, cache.denial.seconds_max, cache.denial.seconds_min), (5, 1_800, 5));
    assert_eq!(settings.reload.map(|it| (it.interval.as_secs(), it.jitter.as_secs())), Some((10, 2)));
}

#[test]
fn what_is_not_understood_is_named_with_its_line() {
    let cases = [
        (". {\n errors\n rewrite name a b\n}", 3, "the plugin \"rewrite\" is not supported"),
        (". {\n kubernetes cluster.local {\n  namespaces a\n }\n}", 3, "\"namespaces a\" is not supported"),
        (". {\n kubernetes cluster.local {\n  pods perhaps\n }\n}", 3, "\"pods perhaps\" is not supported"),
        (". {\n kubernetes cluster.local {\n  ttl 3601\n }\n}", 3, "ttl cannot be \"3601\""),
        (". {\n kubernetes in-addr.arpa\n}", 2, "kubernetes needs a zone"),
        (". {\n forward . tls://9.9.9.9\n}", 2, "the resolver \"tls://9.9.9.9\" is not supported"),
        (". {\n forward .\n}", 2, "forward needs a name and resolvers"),
        (". {\n forward . /absent\n}", 2, "the file \"/absent\" cannot be read"),
        (". {\n forward . 1.1.1.1 {\n  tls\n }\n}", 3, "\"tls\" is not supported"),
        (". {\n forward . 1.1.1.1 {\n  max_concurrent many\n }\n}", 3, "max_concurrent cannot be \"many\""),
        (". {\n cache {\n  prefetch 1\n }\n}", 3, "\"prefetch 1\" is not supported"),
        (". {\n cache {\n  success\n }\n}", 3, "success needs a capacity, and may have two times in seconds"),
        (". {\n errors\n errors\n}", 3, "the plugin \"errors\" can only be used once per server"),
        (". {\n errors\n", 1, "a brace is not closed"),
        ("}\n", 1, "a brace closes nothing"),
        (".:99999 {\n}", 1, "port \"99999\": number too large to fit in target type"),
        ("tls://. {\n}", 1, "\"tls://.\" is not supported: only dns:// is"),
        (". {\n health {\n  lameduck soon\n }\n}", 3, "lameduck cannot be \"soon\""),
        (". {\n health {\n  lameduck\n }\n}", 3, "lameduck needs one value"),
        (". {\n reload 1s\n}", 2, "reload needs at least 2s, and a jitter of at most half of it"),
        (". {\n log {\n  class odd\n }\n}", 3, "class cannot be \"odd\""),
        (". {\n hosts {\n  10.0.0.1\n }\n}", 3, "\"10.0.0.1\" is not supported"),
        (". {\n loadbalance weighted\n}", 2, "\"loadbalance weighted\" is not supported"),
        (". {\n ready :1\n}\na. {\n ready :2\n}", 5, "ready is something else in another server"),
        (". {\n}\n.:53 {\n}", 3, "cannot serve dns://.:53 - it is already defined"),
        ("a..b {\n}", 1, "\"a..b\" is not a zone"),
        (". \"open {\n}", 1, "a quote is not closed"),
        ("", 1, "there is no server"),
    ];
    for (text, line, message) in cases {
        assert_eq!(parse(text).unwrap_err(), Error { line, message: message.to_owned() }, "{text}");
    }
}

#[test]
fn braces_within_braces_have_a_bound() {
    let text = "a {\n".repeat(100_000);
    let error = parse(&text).unwrap_err();
    assert_eq!(error, Error { line: 9, message: "more than 8 braces are open".to_owned() });
}

/// Repeatable chance.
fn chance(state: &mut u64, below: usize) -> usize {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    usize::try_from(*state >> 33).unwrap() % below.max(1)
}

#[test]
fn no_text_breaks_the_reader() {
    const WORDS: [&str; 16] = [
        "{",
        "}",
        "\"",
        "#",
        "forward . 1.1.1.1",
        "cache 1 a",
        "hosts",
        "pods verified",
        "ttl 99999999999",
        "reload 4294967295h",
        "log",
        "\u{e9}",
        ":",
        ",",
        "dns://",
        "health :0",
    ];
    let mut state = 1;
    let (mut read, mut refused) = (0, 0);
    for _ in 0..20_000 {
        let mut lines: Vec<String> = USUAL.lines().map(str::to_owned).collect();
        for _ in 0..=chance(&mut state, 3) {
            let at = chance(&mut state, lines.len());
            let word = WORDS[chance(&mut state, WORDS.len())];
            match chance(&mut state, 4) {
                0 => drop(lines.remove(at)),
                1 => lines[at].push_str(word),
                2 => lines.insert(at, word.to_owned()),
                _ => lines[at] = lines[at].chars().rev().collect(),
            }
        }
        let text = lines.join("\n");
        match parse(&text) {
            Ok(settings) => {
                assert_eq!(parse(&text), Ok(settings), "{text}");
                read += 1;
            }
            Err(error) => {
                assert!((1..=lines.len()).contains(&error.line), "{error} in {text}");
                refused += 1;
            }
        }
    }
    assert!(read > 100 && refused > 100, "{read} are read, {refused} refused");
}
