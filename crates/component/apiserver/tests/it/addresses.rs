//! Cluster addresses and node ports: given once, taken back, refused in words that users know.

use std::collections::BTreeSet;

use futures::StreamExt as _;

use crate::fixture::{Client, Cluster, MERGE, SERVICES};

fn service(name: &str, spec: &str) -> String {
    format!(r#"{{"metadata":{{"name":"{name}"}},"spec":{spec}}}"#)
}

const PORT: &str = r#"{"ports":[{"port":80}]}"#;

async fn is_taken(admin: &Client, address: &str) -> bool {
    admin.get(&format!("/apis/networking.k8s.io/v1/ipaddresses/{address}")).await.code == 200
}

#[tokio::test]
async fn addresses_are_given_once_even_at_the_same_time() {
    const COUNT: usize = 60;
    let admin = Cluster::start().await.admin();
    let made = (0..COUNT).map(|number| {
        let admin = admin.clone();
        async move {
            let body = service(&format!("s{number}"), r#"{"type":"NodePort","ports":[{"port":80}]}"#);
            let made = admin.post(SERVICES, &body).await.is(201);
            (made.at("spec.clusterIP"), made.at("spec.ports.0.nodePort"))
        }
    });
    let given: Vec<(String, String)> = futures::stream::iter(made).buffer_unordered(16).collect().await;
    let addresses: BTreeSet<&String> = given.iter().map(|(address, _)| address).collect();
    let ports: BTreeSet<&String> = given.iter().map(|(_, port)| port).collect();
    assert_eq!((addresses.len(), ports.len()), (COUNT, COUNT));
    assert!(addresses.iter().all(|address| address.starts_with("10.96.0.")));
    assert!(!addresses.contains(&"10.96.0.1".to_owned()), "the first address is the API server's");
}

#[tokio::test]
async fn an_address_goes_back_when_its_service_goes() {
    let admin = Cluster::start().await.admin();
    let asked = service("one", r#"{"clusterIP":"10.96.0.77","ports":[{"port":80}]}"#);
    let made = admin.post(SERVICES, &asked).await.is(201);
    let facts = ["spec.clusterIP", "spec.clusterIPs", "spec.ipFamilies", "spec.ipFamilyPolicy", "spec.type"];
    assert_eq!(
        facts.map(|path| made.at(path)),
        ["10.96.0.77", r#"["10.96.0.77"]"#, r#"["IPv4"]"#, "SingleStack", "ClusterIP"]
    );
    assert!(is_taken(&admin, "10.96.0.77").await);
    let other = service("two", r#"{"clusterIP":"10.96.0.77","ports":[{"port":80}]}"#);
    admin.post(SERVICES, &other).await.refuses(
        422,
        "Invalid",
        r#"Service "two" is invalid: spec.clusterIPs: Invalid value: ["10.96.0.77"]: failed to allocate IP 10.96.0.77: provided IP is already allocated"#,
    );
    admin.delete(&format!("{SERVICES}/one"), "").await.is(200);
    assert!(!is_taken(&admin, "10.96.0.77").await);
    admin.post(SERVICES, &other).await.is(201);
    let path = format!("{SERVICES}/two");
    let moved = admin.patch(&path, MERGE, r#"{"spec":{"clusterIP":"10.96.0.78","clusterIPs":["10.96.0.78"]}}"#).await;
    let moved = moved.is(422).at("message");
    assert!(moved.contains("spec.clusterIPs[0]: ") && moved.contains("may not change once set"), "{moved}");
    let kept = admin.patch(&path, MERGE, r#"{"spec":{"ports":[{"port":81}]}}"#).await.is(200);
    assert_eq!(kept.at("spec.clusterIP"), "10.96.0.77", "an update that says nothing of the address keeps it");
    let external =
        r#"{"spec":{"type":"ExternalName","externalName":"example.com","clusterIP":null,"clusterIPs":null}}"#;
    let external = admin.patch(&path, MERGE, external).await.is(200);
    assert_eq!((external.at("spec.clusterIP"), external.at("spec.clusterIPs")), (String::new(), String::new()));
    assert!(!is_taken(&admin, "10.96.0.77").await, "a Service without address holds none");
    let outside = service("three", r#"{"clusterIP":"10.97.0.1","ports":[{"port":80}]}"#);
    admin.post(SERVICES, &outside).await.refuses(
        422,
        "Invalid",
        r#"Service "three" is invalid: spec.clusterIPs: Invalid value: ["10.97.0.1"]: failed to allocate IP 10.97.0.1: the provided network does not match the current range"#,
    );
}

#[tokio::test]
async fn node_ports_are_kept_within_their_range() {
    let admin = Cluster::start().await.admin();
    let ask = |name: &str, port: u32| {
        service(name, &format!(r#"{{"type":"NodePort","ports":[{{"port":80,"nodePort":{port}}}]}}"#))
    };
    admin.post(SERVICES, &ask("one", 30_080)).await.is(201);
    admin.post(SERVICES, &ask("two", 30_080)).await.refuses(
        422,
        "Invalid",
        r#"Service "two" is invalid: spec.ports[0].nodePort: Invalid value: 30080: provided port is already allocated"#,
    );
    admin.post(SERVICES, &ask("two", 80)).await.refuses(
        422,
        "Invalid",
        r#"Service "two" is invalid: spec.ports[0].nodePort: Invalid value: 80: provided port is not in the valid range. The range of valid ports is 30000-32767"#,
    );
    let path = format!("{SERVICES}/one");
    let plain = admin.patch(&path, MERGE, r#"{"spec":{"type":"ClusterIP"}}"#).await.is(200);
    assert_eq!(plain.at("spec.ports.0.nodePort"), "", "a change of type gives the port back");
    admin.post(SERVICES, &ask("two", 30_080)).await.is(201);
    admin.delete(&format!("{SERVICES}/two"), "").await.is(200);
    let both = r#"{"type":"NodePort","ports":[{"name":"t","port":80,"nodePort":30080},{"name":"u","port":80,"protocol":"UDP","nodePort":30080}]}"#;
    admin.post(SERVICES, &service("both", both)).await.is(201);
}

#[tokio::test]
async fn services_without_addresses_have_none() {
    let admin = Cluster::start().await.admin();
    let headless = service("headless", r#"{"clusterIP":"None","ports":[{"port":80}]}"#);
    let headless = admin.post(SERVICES, &headless).await.is(201);
    assert_eq!((headless.at("spec.clusterIP"), headless.at("spec.clusterIPs")), ("None".into(), r#"["None"]"#.into()));
    assert_eq!(
        (headless.at("spec.ipFamilies"), headless.at("spec.ipFamilyPolicy")),
        (r#"["IPv4","IPv6"]"#.into(), "RequireDualStack".into()),
        "without a selector a headless Service is a name for addresses of any family"
    );
    let chosen = service("chosen", r#"{"clusterIP":"None","selector":{"a":"b"},"ports":[{"port":80}]}"#);
    let chosen = admin.post(SERVICES, &chosen).await.is(201);
    assert_eq!(
        (chosen.at("spec.ipFamilies"), chosen.at("spec.ipFamilyPolicy")),
        (r#"["IPv4"]"#.into(), "SingleStack".into())
    );
    let path = format!("{SERVICES}/headless");
    let labelled = admin.patch(&path, MERGE, r#"{"metadata":{"labels":{"a":"b"}}}"#).await.is(200);
    assert_eq!(labelled.at("spec.ipFamilies"), headless.at("spec.ipFamilies"));
    let external = service("external", r#"{"type":"ExternalName","externalName":"example.com"}"#);
    let external = admin.post(SERVICES, &external).await.is(201);
    assert_eq!((external.at("spec.clusterIP"), external.at("spec.ipFamilies")), (String::new(), String::new()));
    let dual = service("dual", r#"{"ipFamilyPolicy":"RequireDualStack","ports":[{"port":80}]}"#);
    admin.post(SERVICES, &dual).await.refuses(
        422,
        "Invalid",
        r#"Service "dual" is invalid: spec.ipFamilyPolicy: Invalid value: "RequireDualStack": this cluster is not configured for dual-stack services"#,
    );
    let six = service("six", r#"{"ipFamilies":["IPv6"],"ports":[{"port":80}]}"#);
    admin.post(SERVICES, &six).await.refuses(
        422,
        "Invalid",
        r#"Service "six" is invalid: spec.ipFamilies[0]: Invalid value: "IPv6": not configured on this cluster"#,
    );
    let maybe = service("maybe", r#"{"ipFamilyPolicy":"PreferDualStack","ports":[{"port":80}]}"#);
    assert_eq!(admin.post(SERVICES, &maybe).await.is(201).at("spec.ipFamilies"), r#"["IPv4"]"#);
    admin.post(&format!("{SERVICES}?dryRun=All"), &service("dry", PORT)).await.is(201);
    let taken = admin.get("/apis/networking.k8s.io/v1/ipaddresses").await.is(200).names();
    assert_eq!(taken.len(), 2, "the API server's and one more: {taken:?}");
}

#[tokio::test]
async fn the_last_address_of_a_range_is_found() {
    // The range is a /24: 254 addresses, of which the API server has one.
    const COUNT: usize = 253;
    let admin = Cluster::start().await.admin();
    let made = (0..COUNT).map(|number| {
        let admin = admin.clone();
        async move { admin.post(SERVICES, &service(&format!("s{number}"), PORT)).await.is(201).at("spec.clusterIP") }
    });
    // Two at a time now and then choose the same; the slower one chooses again.
    let given: BTreeSet<String> = futures::stream::iter(made).buffer_unordered(4).collect().await;
    assert_eq!(given.len(), COUNT);
    let message = admin.post(SERVICES, &service("more", PORT)).await.is(500).at("message");
    assert!(message.contains("range is full"), "{message}");
}
