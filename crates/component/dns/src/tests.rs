//! Questions and replies, read back by a decoder that is not ours.

use hickory_proto::op::Message;
use hickory_proto::rr::RecordType;
use typed::api::core::v1::{Service, ServicePort, ServiceSpec};
use typed::api::discovery::v1::{Endpoint, EndpointConditions, EndpointPort, EndpointSlice};
use typed::meta::ObjectMeta;

use crate::wire::encode_name;
use crate::{Config, Index, Malformed, Outcome, Query, config};

fn metadata(name: &str, service: Option<&str>) -> ObjectMeta {
    let labels = service.map(|service| [("kubernetes.io/service-name".to_owned(), service.to_owned())].into());
    ObjectMeta { namespace: Some("shop".to_owned()), name: Some(name.to_owned()), labels, ..ObjectMeta::default() }
}

fn service(name: &str, cluster_ips: &[&str]) -> Service {
    let port = ServicePort {
        name: Some("http".to_owned()),
        port: 80,
        protocol: Some("TCP".to_owned()),
        ..ServicePort::default()
    };
    let spec = ServiceSpec {
        cluster_ips: Some(cluster_ips.iter().map(|ip| (*ip).to_owned()).collect()),
        ports: Some(vec![port]),
        ..ServiceSpec::default()
    };
    Service { metadata: metadata(name, None), spec: Some(spec), ..Service::default() }
}

fn alias(name: &str, target: &str) -> Service {
    let spec = ServiceSpec {
        type_: Some("ExternalName".to_owned()),
        external_name: Some(target.to_owned()),
        ..ServiceSpec::default()
    };
    Service { metadata: metadata(name, None), spec: Some(spec), ..Service::default() }
}

/// Endpoints are (address, hostname, ready).
fn slice(name: &str, service: &str, endpoints: &[(&str, Option<&str>, bool)]) -> EndpointSlice {
    let endpoint = |(address, hostname, ready): &(&str, Option<&str>, bool)| Endpoint {
        addresses: vec![(*address).to_owned()],
        hostname: hostname.map(str::to_owned),
        conditions: Some(EndpointConditions { ready: Some(*ready), ..EndpointConditions::default() }),
        ..Endpoint::default()
    };
    let port = EndpointPort {
        name: Some("http".to_owned()),
        port: Some(8080),
        protocol: Some("TCP".to_owned()),
        ..EndpointPort::default()
    };
    EndpointSlice {
        address_type: if endpoints.iter().any(|(address, ..)| address.contains(':')) { "IPv6" } else { "IPv4" }
            .to_owned(),
        metadata: metadata(name, Some(service)),
        endpoints: Some(endpoints.iter().map(endpoint).collect()),
        ports: Some(vec![port]),
    }
}

fn index() -> Index {
    let config = Config { own_addresses: vec!["10.96.0.10".parse().unwrap()], ..Config::default() };
    let mut index = Index::new(&config, 1);
    index.namespace_set("shop");
    index.service_set(&service("web", &["10.96.0.7", "fd00::7"]));
    index.service_set(&service("db", &["None"]));
    let db = [("10.1.0.1", Some("db-0"), true), ("10.1.0.2", None, true), ("10.1.0.3", Some("db-2"), false)];
    index.slice_set(&slice("db-a", "db", &db));
    index.slice_set(&slice("db-b", "db", &[("fd00:1::1", Some("db-0"), true)]));
    index.service_set(&alias("away", "www.example.com"));
    index.service_set(&alias("near", "web.shop.svc.cluster.local"));
    index
}

/// A question as clients send it, with EDNS when `size` says so.
fn question(name: &str, kind: RecordType, size: Option<u16>) -> Vec<u8> {
    let mut message = vec![0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    let mut encoded = Vec::new();
    for label in name.trim_end_matches('.').split('.') {
        encoded.push(u8::try_from(label.len()).unwrap());
        encoded.extend_from_slice(label.as_bytes());
    }
    encoded.push(0);
    message.extend_from_slice(&encoded);
    message.extend_from_slice(&u16::from(kind).to_be_bytes());
    message.extend_from_slice(&[0, 1]);
    if let Some(size) = size {
        message[11] = 1;
        message.extend_from_slice(&[0, 0, 41]);
        message.extend_from_slice(&size.to_be_bytes());
        message.extend_from_slice(&[0; 6]);
    }
    message
}

fn ask(index: &Index, name: &str, kind: RecordType, size: Option<u16>) -> (Outcome, Vec<u8>) {
    let message = question(name, kind, size);
    let mut out = Vec::new();
    let outcome = index.answer_udp(&Query::read(&message).unwrap(), &mut out);
    (outcome, out)
}

/// The reply in words: its code, then each record with its section.
fn told(index: &Index, name: &str, kind: RecordType) -> Vec<String> {
    let (outcome, bytes) = ask(index, name, kind, Some(1_232));
    if outcome == Outcome::Forward {
        return vec!["forward".to_owned()];
    }
    let message = Message::from_vec(&bytes).unwrap();
    let mut lines = vec![format!("{:?}", message.metadata.response_code)];
    let sections = [("", &message.answers), ("authority ", &message.authorities), ("also ", &message.additionals)];
    for (section, records) in sections {
        let records = records.iter().filter(|record| record.record_type() != RecordType::OPT);
        let mut of_section: Vec<String> = records
            .map(|record| format!("{section}{} {} {}", record.name, record.record_type(), record.data))
            .collect();
        of_section.sort();
        lines.extend(of_section);
    }
    lines
}

fn check(index: &Index, name: &str, kind: RecordType, expected: &[&str]) {
    let told = told(index, name, kind);
    let begins = told.iter().zip(expected).all(|(told, expected)| told.starts_with(expected));
    assert!(begins && told.len() == expected.len(), "{name} {kind}:\n{told:#?}\nexpected\n{expected:#?}");
}

const SOA: &str = "authority cluster.local. SOA ns.dns.cluster.local. hostmaster.cluster.local. ";

#[test]
fn services_with_addresses() {
    let index = index();
    let web = "web.shop.svc.cluster.local.";
    check(&index, web, RecordType::A, &["NoError", "web.shop.svc.cluster.local. A 10.96.0.7"]);
    check(&index, web, RecordType::AAAA, &["NoError", "web.shop.svc.cluster.local. AAAA fd00::7"]);
    check(&index, web, RecordType::MX, &["NoError", SOA]);
    let port = "_http._tcp.web.shop.svc.cluster.local.";
    check(
        &index,
        port,
        RecordType::SRV,
        &[
            "NoError",
            "_http._tcp.web.shop.svc.cluster.local. SRV 0 100 80 web.shop.svc.cluster.local.",
            "also web.shop.svc.cluster.local. A 10.96.0.7",
            "also web.shop.svc.cluster.local. AAAA fd00::7",
        ],
    );
    check(&index, port, RecordType::A, &["NoError", SOA]);
    check(&index, "_https._tcp.web.shop.svc.cluster.local.", RecordType::SRV, &["NXDomain", SOA]);
    check(
        &index,
        "7.0.96.10.in-addr.arpa.",
        RecordType::PTR,
        &["NoError", "7.0.96.10.in-addr.arpa. PTR web.shop.svc.cluster.local."],
    );
    check(&index, "7.0.96.11.in-addr.arpa.", RecordType::PTR, &["forward"]);
    let six = "7.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.d.f.ip6.arpa.";
    check(&index, six, RecordType::PTR, &["NoError", &format!("{six} PTR web.shop.svc.cluster.local.")]);
}

#[test]
fn headless_services() {
    let index = index();
    let db = "db.shop.svc.cluster.local.";
    check(
        &index,
        db,
        RecordType::A,
        &["NoError", "db.shop.svc.cluster.local. A 10.1.0.1", "db.shop.svc.cluster.local. A 10.1.0.2"],
    );
    check(
        &index,
        "db-0.db.shop.svc.cluster.local.",
        RecordType::AAAA,
        &["NoError", "db-0.db.shop.svc.cluster.local. AAAA fd00:1::1"],
    );
    check(
        &index,
        "10-1-0-2.db.shop.svc.cluster.local.",
        RecordType::A,
        &["NoError", "10-1-0-2.db.shop.svc.cluster.local. A 10.1.0.2"],
    );
    check(&index, "db-2.db.shop.svc.cluster.local.", RecordType::A, &["NXDomain", SOA]);
    check(
        &index,
        "_http._tcp.db.shop.svc.cluster.local.",
        RecordType::SRV,
        &[
            "NoError",
            "_http._tcp.db.shop.svc.cluster.local. SRV 0 33 8080 10-1-0-2.db.shop.svc.cluster.local.",
            "_http._tcp.db.shop.svc.cluster.local. SRV 0 33 8080 db-0.db.shop.svc.cluster.local.",
            "_http._tcp.db.shop.svc.cluster.local. SRV 0 33 8080 db-0.db.shop.svc.cluster.local.",
            "also 10-1-0-2.db.shop.svc.cluster.local. A 10.1.0.2",
            "also db-0.db.shop.svc.cluster.local. A 10.1.0.1",
            "also db-0.db.shop.svc.cluster.local. AAAA fd00:1::1",
        ],
    );
    check(
        &index,
        "1.0.1.10.in-addr.arpa.",
        RecordType::PTR,
        &["NoError", "1.0.1.10.in-addr.arpa. PTR db-0.db.shop.svc.cluster.local."],
    );
    check(&index, "2.0.1.10.in-addr.arpa.", RecordType::PTR, &["forward"]);
}

#[test]
fn aliases_pods_and_the_zone_itself() {
    let index = index();
    let cname = "away.shop.svc.cluster.local. CNAME www.example.com.";
    check(&index, "away.shop.svc.cluster.local.", RecordType::A, &["NoError", cname]);
    let (outcome, _) = ask(&index, "away.shop.svc.cluster.local", RecordType::A, None);
    assert_eq!(outcome, Outcome::Alias(encode_name("www.example.com").unwrap()));
    check(
        &index,
        "near.shop.svc.cluster.local.",
        RecordType::A,
        &[
            "NoError",
            "near.shop.svc.cluster.local. CNAME web.shop.svc.cluster.local.",
            "web.shop.svc.cluster.local. A 10.96.0.7",
        ],
    );
    let pod = "10-1-2-3.shop.pod.cluster.local.";
    check(&index, pod, RecordType::A, &["NoError", "10-1-2-3.shop.pod.cluster.local. A 10.1.2.3"]);
    check(&index, pod, RecordType::AAAA, &["NoError", SOA]);
    check(
        &index,
        "fd00--5.shop.pod.cluster.local.",
        RecordType::AAAA,
        &["NoError", "fd00--5.shop.pod.cluster.local. AAAA fd00::5"],
    );
    check(&index, "10-1-2-3.nowhere.pod.cluster.local.", RecordType::A, &["NXDomain", SOA]);
    check(&index, "dns-version.cluster.local.", RecordType::TXT, &["NoError", "dns-version.cluster.local. TXT 1.1.0"]);
    check(&index, "cluster.local.", RecordType::SOA, &["NoError", "cluster.local. SOA ns.dns.cluster.local."]);
    check(&index, "cluster.local.", RecordType::NS, &["NoError", "cluster.local. NS ns.dns.cluster.local."]);
    check(&index, "ns.dns.cluster.local.", RecordType::A, &["NoError", "ns.dns.cluster.local. A 10.96.0.10"]);
    check(&index, "shop.svc.cluster.local.", RecordType::A, &["NoError", SOA]);
    check(&index, "nowhere.svc.cluster.local.", RecordType::A, &["NXDomain", SOA]);
    check(&index, "www.example.com.", RecordType::A, &["forward"]);
    check(&index, "xcluster.local.", RecordType::A, &["forward"]);
}

#[test]
fn the_clients_spelling_comes_back() {
    let index = index();
    let (_, bytes) = ask(&index, "WeB.shop.SVC.cluster.local", RecordType::A, None);
    let message = Message::from_vec(&bytes).unwrap();
    assert_eq!(message.queries[0].name().to_string(), "WeB.shop.SVC.cluster.local.");
    assert_eq!(message.answers.len(), 1);
}

#[test]
fn changes_are_seen_and_leave_nothing_behind() {
    let mut index = index();
    index.slice_set(&slice("db-a", "db", &[("10.1.0.9", Some("db-9"), true)]));
    check(&index, "db.shop.svc.cluster.local.", RecordType::A, &["NoError", "db.shop.svc.cluster.local. A 10.1.0.9"]);
    check(&index, "1.0.1.10.in-addr.arpa.", RecordType::PTR, &["forward"]);
    index.service_remove("shop", "web");
    check(&index, "web.shop.svc.cluster.local.", RecordType::A, &["NXDomain", SOA]);
    check(&index, "7.0.96.10.in-addr.arpa.", RecordType::PTR, &["forward"]);
    for name in ["db", "away", "near"] {
        index.service_remove("shop", name);
    }
    index.slice_remove("shop", "db-a");
    index.slice_remove("shop", "db-b");
    assert!(index.services.is_empty() && index.reverse.is_empty(), "{index:?}");
}

#[test]
fn a_reply_that_does_not_fit_is_marked() {
    let mut index = index();
    let addresses: Vec<String> = (0..100).map(|last| format!("10.2.0.{last}")).collect();
    let many: Vec<_> = addresses.iter().map(|address| (address.as_str(), None, true)).collect();
    index.slice_set(&slice("db-a", "db", &many));
    for (size, fits) in [(None, 29), (Some(1_232), 73), (Some(4_096), 100)] {
        let (_, bytes) = ask(&index, "db.shop.svc.cluster.local", RecordType::A, size);
        let message = Message::from_vec(&bytes).unwrap();
        assert!(bytes.len() <= usize::from(size.unwrap_or(512)), "{size:?}: {} bytes", bytes.len());
        assert_eq!(message.metadata.truncation, fits < 100, "{size:?}");
        assert_eq!(message.answers.len(), fits, "{size:?}");
    }
}

#[test]
fn broken_questions() {
    let whole = question("web.shop.svc.cluster.local", RecordType::A, Some(1_232));
    for length in 0..whole.len() {
        let outcome = Query::read(&whole[..length]).map(|_| ());
        let expected = if length < 12 { Malformed::Ignored } else { Malformed::Unreadable };
        assert_eq!(outcome, Err(expected), "{length} bytes");
    }
    let with = |at: usize, byte: u8| {
        let mut message = whole.clone();
        message[at] = byte;
        Query::read(&message).map(|_| ())
    };
    assert_eq!(with(2, 0x80), Err(Malformed::Ignored), "a reply");
    assert_eq!(with(2, 0x28), Err(Malformed::Unsupported), "an update");
    assert_eq!(with(5, 2), Err(Malformed::Unreadable), "two questions");
    assert_eq!(with(12, 0xc0), Err(Malformed::Unreadable), "a pointer to itself");
    let mut refusal = Vec::new();
    assert!(crate::wire::refuse(&whole, Malformed::Unreadable, &mut refusal));
    assert!(Message::from_vec(&refusal).is_ok());
}

#[test]
fn resolvers_from_a_file() {
    let text = "# made by hand\nsearch example.com\nnameserver 10.0.0.2\n nameserver fd00::2 \nnameserver 10.96.0.10\n";
    let found = config::upstreams(text, &["10.96.0.10".parse().unwrap()]);
    assert_eq!(found, ["10.0.0.2:53".parse().unwrap(), "[fd00::2]:53".parse().unwrap()]);
}

/// Generous for a debug build; an index that was searched instead of looked up would take a thousand times as long.
const ANSWER_MAX: std::time::Duration = std::time::Duration::from_micros(200);

#[test]
fn answers_do_not_depend_on_the_number_of_services() {
    let mut index = index();
    for number in 0..10_000 {
        index.service_set(&service(&format!("s{number}"), &[&format!("10.100.{}.{}", number / 256, number % 256)]));
    }
    let message = question("s9999.shop.svc.cluster.local", RecordType::A, None);
    let mut out = Vec::new();
    let rounds = 100_000;
    let start = env::time::Instant::now();
    for _ in 0..rounds {
        index.answer_udp(&Query::read(&message).unwrap(), &mut out);
    }
    let each = start.elapsed() / rounds;
    println!("an answer among 10,000 services: {each:?}");
    assert_eq!(Message::from_vec(&out).unwrap().answers.len(), 1);
    assert!(each < ANSWER_MAX, "an answer took {each:?}");
}

/// Repeatable chance.
fn chance(state: &mut u64) -> usize {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    usize::try_from(*state >> 33).unwrap()
}

#[test]
fn no_message_breaks_the_reader() {
    let index = index();
    let now = env::time::Instant::now();
    let mut cache = crate::cache::Cache::new(100, 30);
    let seeds = [
        question("web.shop.svc.cluster.local", RecordType::A, Some(1_232)),
        question("_http._tcp.db.shop.svc.cluster.local", RecordType::SRV, None),
        question("1.0.1.10.in-addr.arpa", RecordType::PTR, Some(512)),
        ask(&index, "_http._tcp.db.shop.svc.cluster.local", RecordType::SRV, Some(4_096)).1,
    ];
    let sound = question("www.example.com", RecordType::A, None);
    let sound = Query::read(&sound).unwrap();
    let mut state = 1;
    let mut out = Vec::new();
    for _ in 0..50_000 {
        let mut message = seeds[chance(&mut state) % seeds.len()].clone();
        for _ in 0..=chance(&mut state) % 4 {
            let at = chance(&mut state) % message.len();
            message[at] = u8::try_from(chance(&mut state) % 256).unwrap();
        }
        message.truncate(1 + chance(&mut state) % (2 * message.len()));
        match Query::read(&message) {
            Ok(query) => {
                if index.answer_udp(&query, &mut out) != Outcome::Forward {
                    assert!(out.len() <= 4_096 && Message::from_vec(&out).is_ok(), "{message:?} gave {out:?}");
                }
            }
            Err(malformed) => _ = crate::wire::refuse(&message, malformed, &mut out),
        }
        cache.put(&sound, &message, now);
        cache.get(&sound, now);
    }
}

#[test]
fn what_is_cut_short_answers_nothing() {
    let question = [0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, b'a', 0, 0, 1, 0, 1];
    let query = Query::read(&question).expect("it is a question");
    let mut answer = question;
    answer[2] = 0x80;
    for length in 0..=answer.len() {
        let taken = crate::forward::answers(&answer[..length], [0x12, 0x34], &query);
        assert_eq!(taken, length == answer.len(), "{length} bytes");
    }
}
