//! Questions and replies, read back by a decoder that is not ours.

use hickory_proto::op::Message;
use hickory_proto::rr::RecordType;
use typed::api::core::v1::{Service, ServicePort, ServiceSpec};
use typed::api::discovery::v1::{Endpoint, EndpointConditions, EndpointPort, EndpointSlice};
use typed::meta::ObjectMeta;

use crate::config::{self, Kubernetes, Pods};
use crate::wire::encode_name;
use crate::{Index, Malformed, Outcome, Query, Rules};

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
    let mut index = Index::new(1);
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

fn kubernetes() -> Kubernetes {
    Kubernetes::usual("cluster.local", vec!["10.96.0.10".parse().unwrap()]).unwrap()
}

fn answer(index: &Index, kubernetes: &Kubernetes, query: &Query<'_>, out: &mut Vec<u8>) -> Outcome {
    index.answer(Rules { kubernetes, rotates: true }, query, out, query.udp_bytes_max())
}

fn ask(index: &Index, name: &str, kind: RecordType, size: Option<u16>) -> (Outcome, Vec<u8>) {
    let message = question(name, kind, size);
    let mut out = Vec::new();
    let outcome = answer(index, &kubernetes(), &Query::read(&message).unwrap(), &mut out);
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
    let text = "# made by hand\nsearch example.com\nnameserver 10.0.0.2\n nameserver fd00::2 \nnameserver 127.0.0.53\nnameserver ::1\nnameserver 10.96.0.10\n";
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
    let (rounds, kubernetes) = (100_000, kubernetes());
    let start = env::time::Instant::now();
    for _ in 0..rounds {
        answer(&index, &kubernetes, &Query::read(&message).unwrap(), &mut out);
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
    let mut cache = crate::cache::Cache::new(config::CacheRules::everything(100, 30));
    let seeds = [
        question("web.shop.svc.cluster.local", RecordType::A, Some(1_232)),
        question("_http._tcp.db.shop.svc.cluster.local", RecordType::SRV, None),
        question("1.0.1.10.in-addr.arpa", RecordType::PTR, Some(512)),
        ask(&index, "_http._tcp.db.shop.svc.cluster.local", RecordType::SRV, Some(4_096)).1,
    ];
    let sound = question("www.example.com", RecordType::A, None);
    let sound = Query::read(&sound).unwrap();
    let (mut state, kubernetes) = (1, kubernetes());
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
                if answer(&index, &kubernetes, &query, &mut out) != Outcome::Forward {
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

/// A pod of the namespace `shop`.
fn pod(name: &str, ip: &str, phase: &str) -> typed::api::core::v1::Pod {
    use typed::api::core::v1::{Pod, PodIP, PodStatus};
    let status = PodStatus {
        phase: Some(phase.to_owned()),
        pod_ips: Some(vec![PodIP { ip: ip.to_owned() }]),
        ..PodStatus::default()
    };
    Pod { metadata: metadata(name, None), status: Some(status), ..Pod::default() }
}

#[test]
fn rules_say_which_pods_have_names() {
    let mut index = index();
    index.pod_set(&pod("a", "10.1.2.3", "Running"));
    index.pod_set(&pod("b", "10.1.2.3", "Running"));
    index.pod_set(&pod("over", "10.1.2.4", "Succeeded"));
    let asked = |index: &Index, pods: Pods, name: &str| {
        let rules = Kubernetes { pods, ..kubernetes() };
        let message = question(&format!("{name}.shop.pod.cluster.local."), RecordType::A, None);
        let mut out = Vec::new();
        answer(index, &rules, &Query::read(&message).unwrap(), &mut out);
        Message::from_vec(&out).unwrap().answers.len()
    };
    let cases = [
        (Pods::Disabled, "10-1-2-3", 0),
        (Pods::Insecure, "10-1-2-3", 1),
        (Pods::Insecure, "10-9-9-9", 1),
        (Pods::Verified, "10-1-2-3", 1),
        (Pods::Verified, "10-1-2-4", 0),
        (Pods::Verified, "10-9-9-9", 0),
    ];
    for (pods, name, expected) in cases {
        assert_eq!(asked(&index, pods, name), expected, "{pods:?} {name}");
    }
    index.pod_remove("shop", "a");
    assert_eq!(asked(&index, Pods::Verified, "10-1-2-3"), 1, "another one has it");
    index.pod_set(&pod("b", "10.1.2.9", "Running"));
    assert_eq!((asked(&index, Pods::Verified, "10-1-2-3"), asked(&index, Pods::Verified, "10-1-2-9")), (0, 1));
    index.pod_remove("shop", "b");
    assert!(index.pods.is_empty(), "{:?}", index.pods);
}

#[test]
fn what_falls_through_and_what_does_not() {
    let index = index();
    let told = |fallthrough: &[&str], name: &str, kind: RecordType| {
        let fallthrough = fallthrough.iter().map(|zone| encode_name(zone).unwrap()).collect();
        let rules = Kubernetes { fallthrough, ..kubernetes() };
        let message = question(name, kind, None);
        let mut out = Vec::new();
        match answer(&index, &rules, &Query::read(&message).unwrap(), &mut out) {
            Outcome::Forward => "forward".to_owned(),
            _ => format!("{:?}", Message::from_vec(&out).unwrap().metadata.response_code),
        }
    };
    let (none, reverse) = ("none.shop.svc.cluster.local", "9.9.9.9.in-addr.arpa");
    let cases: [(&[&str], &str, RecordType, &str); 8] = [
        (&[], none, RecordType::A, "NXDomain"),
        (&["in-addr.arpa"], none, RecordType::A, "NXDomain"),
        (&["."], none, RecordType::A, "forward"),
        (&["shop.svc.cluster.local"], none, RecordType::A, "forward"),
        (&["."], "web.shop.svc.cluster.local", RecordType::MX, "NoError"),
        (&[], reverse, RecordType::PTR, "NXDomain"),
        (&["in-addr.arpa"], reverse, RecordType::PTR, "forward"),
        (&[], "7.0.96.10.in-addr.arpa", RecordType::PTR, "NoError"),
    ];
    for (fallthrough, name, kind, expected) in cases {
        assert_eq!(told(fallthrough, name, kind), expected, "{fallthrough:?} {name} {kind}");
    }
    let unread = Index::unread(1);
    for name in ["web.shop.svc.cluster.local", reverse] {
        let message = question(name, RecordType::A, None);
        let mut out = Vec::new();
        answer(&unread, &kubernetes(), &Query::read(&message).unwrap(), &mut out);
        let code = Message::from_vec(&out).unwrap().metadata.response_code;
        assert_eq!(format!("{code:?}"), "ServFail", "nothing is absent before the cluster is known: {name}");
    }
}

/// An answer with these addresses, of a name behind an alias.
fn addresses(ips: &[[u8; 4]]) -> Vec<u8> {
    let mut message = question("a.example", RecordType::A, None);
    message[2] |= 0x80;
    message[7] = u8::try_from(ips.len() + 1).unwrap();
    let alias_at = message.len() + 12;
    message.extend_from_slice(&[0xc0, 12, 0, 5, 0, 1, 0, 0, 0, 9, 0, 4, 1, b'b', 0xc0, 14]);
    for ip in ips {
        message.extend_from_slice(&[0xc0, u8::try_from(alias_at).unwrap(), 0, 1, 0, 1, 0, 0, 0, 9, 0, 4]);
        message.extend_from_slice(ip);
    }
    message
}

#[test]
fn addresses_of_others_take_turns() {
    let told = |turn: usize| {
        let mut message = addresses(&[[10, 0, 0, 1], [10, 0, 0, 2], [10, 0, 0, 3]]);
        crate::balance::rotate(&mut message, turn);
        let message = Message::from_vec(&message).unwrap();
        let data: Vec<String> = message.answers.iter().map(|record| record.data.to_string()).collect();
        data.join(" ")
    };
    assert!(told(0).ends_with(" 10.0.0.1 10.0.0.2 10.0.0.3"), "{}", told(0));
    assert!(told(1).ends_with(" 10.0.0.2 10.0.0.3 10.0.0.1"), "{}", told(1));
    assert!(told(5).ends_with(" 10.0.0.3 10.0.0.1 10.0.0.2"), "{}", told(5));
    let mut cut = addresses(&[[10, 0, 0, 1], [10, 0, 0, 2]]);
    cut.pop();
    let before = cut.clone();
    crate::balance::rotate(&mut cut, 1);
    assert_eq!(cut, before, "what cannot be read stays");
}

#[test]
fn what_is_remembered_of_others_answers() {
    use crate::cache::{Cache, Kind};
    use crate::config::{CacheRules, Kept};
    let kept = Kept { entries_max: 10, seconds_max: 30, seconds_min: 5 };
    let zone = |text: &str| encode_name(text).unwrap();
    let rules = CacheRules {
        zones: vec![zone("example")],
        success: kept,
        denial: Kept { seconds_max: 10, ..kept },
        success_off: vec![zone("off.example")],
        denial_off: Vec::new(),
    };
    // The name, the TTL of its address or none, how many seconds later, what is remembered.
    let cases = [
        ("a.example", Some(20), 19, Some(Kind::Success)),
        ("a.example", Some(20), 20, None),
        ("a.example", Some(3_600), 29, Some(Kind::Success)),
        ("a.example", Some(3_600), 30, None),
        ("a.example", Some(0), 4, Some(Kind::Success)),
        ("a.example", Some(0), 5, None),
        ("a.off.example", Some(20), 0, None),
        ("a.elsewhere", Some(20), 0, None),
    ];
    for (name, ttl, later, expected) in cases {
        let asked = question(name, RecordType::A, None);
        let query = Query::read(&asked).unwrap();
        let mut message = asked.clone();
        message[2] |= 0x80;
        if let Some(ttl) = ttl {
            message[7] = 1;
            message.extend_from_slice(&[0xc0, 12, 0, 1, 0, 1]);
            message.extend_from_slice(&u32::to_be_bytes(ttl));
            message.extend_from_slice(&[0, 4, 10, 0, 0, 1]);
        }
        let (mut cache, now) = (Cache::new(rules.clone()), env::time::Instant::now());
        cache.put(&query, &message, now);
        let found = cache.get(&query, now + std::time::Duration::from_secs(later));
        assert_eq!(found.map(|(_, kind)| kind), expected, "{name} {ttl:?} after {later} s");
    }
}

#[test]
fn names_by_hand() {
    let text = ". {\n hosts /hosts {\n 10.0.0.9 nine.example\n FALL\n}\n}";
    let file = |_: &std::path::Path| Some("10.0.0.8 eight.example\nfd00::8 eight.example\n".to_owned());
    let told = |fall: &str, name: &str, kind: RecordType| {
        let around = crate::corefile::Around { file: &file, own: &[] };
        let settings = crate::corefile::read(&text.replace("FALL", fall), around).unwrap();
        let message = question(name, kind, None);
        let mut out = Vec::new();
        let hosts = settings.blocks[0].hosts.as_ref().unwrap();
        if hosts.answer(&[0], &Query::read(&message).unwrap(), &mut out, 512) == Outcome::Forward {
            return "forward".to_owned();
        }
        let message = Message::from_vec(&out).unwrap();
        let data: Vec<String> = message.answers.iter().map(|record| record.data.to_string()).collect();
        format!("{:?} {}", message.metadata.response_code, data.join(" "))
    };
    let cases = [
        ("", "nine.example", RecordType::A, "NoError 10.0.0.9"),
        ("", "NINE.example", RecordType::A, "NoError 10.0.0.9"),
        ("", "nine.example", RecordType::AAAA, "NoError "),
        ("", "eight.example", RecordType::AAAA, "NoError fd00::8"),
        ("", "ten.example", RecordType::A, "ServFail "),
        ("fallthrough", "ten.example", RecordType::A, "forward"),
        ("fallthrough other", "ten.example", RecordType::A, "ServFail "),
        ("", "9.0.0.10.in-addr.arpa", RecordType::PTR, "NoError nine.example."),
        ("", "1.0.0.10.in-addr.arpa", RecordType::PTR, "forward"),
        ("no_reverse", "9.0.0.10.in-addr.arpa", RecordType::PTR, "forward"),
    ];
    for (fall, name, kind, expected) in cases {
        assert_eq!(told(fall, name, kind), expected, "{fall:?} {name} {kind}");
    }
}
