//! How the parts of the control plane are: asked anew each time, and told in upstream's words.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use apiserver::{Component, Way};
use env::task::{Fate, Shutdown};
use serving::{Door, Peer};
use vitals::{Delegated, Lives, Port, Vitals};

use crate::fixture::{Cluster, PROTOBUF, TABLE};

const STATUSES: &str = "/api/v1/componentstatuses";
const WARNING: &str = r#"299 - "v1 ComponentStatus is deprecated in v1.19+""#;

/// A component's port; nobody behind it says who may do what.
fn port(vitals: Arc<Vitals>) -> Arc<Port> {
    let nobody =
        Door::new(Arc::new(serving::from_fn(|_| Box::pin(async { http::Response::default() }))), Peer::in_memory(None));
    Arc::new(Port::new(vitals, Delegated::new(client::Client::through(nobody, "test"), None, Lives::COMPONENT)))
}

fn loopback() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, 0))
}

#[tokio::test]
async fn components_are_asked_wherever_they_are() {
    let is_well = Arc::new(AtomicBool::new(true));
    let (vitals, well) = (Vitals::new(), Arc::clone(&is_well));
    vitals.alive_while("loop", move || if well.load(Ordering::Relaxed) { Ok(()) } else { Err("it hangs".to_owned()) });
    let within = Arc::new(OnceLock::new());
    let (shutdown, listener) = (Shutdown::new(), env::net::listen_tcp(loopback()).await.expect("a port is free"));
    let listening = listener.address().expect("a TCP socket has an address");
    let server = Arc::clone(&port(Vitals::new())).server().expect("a certificate can be made");
    let _server = env::task::spawn(Fate::Local, "port", server.run(listener, shutdown.clone())).abort_on_drop();
    let closed = env::net::listen_tcp(loopback()).await.expect("a port is free").address().expect("an address");
    let ways = [
        ("controller-manager", Way::Within(Arc::clone(&within))),
        ("far", Way::At(listening)),
        ("gone", Way::At(closed)),
        ("scheduler", Way::Unknown("it is not part of this process".to_owned())),
    ];
    let components = ways.into_iter().map(|(name, way)| Component { name: name.to_owned(), way }).collect();
    let store = Arc::new(store::memory::Memory::default());
    let cluster = Cluster::with(store, |config| config.components = components).await;
    let admin = cluster.admin();
    let refused = format!("Get \"https://{closed}/healthz\": dial tcp {closed}: connect: connection refused");
    let expect = async |first: (&str, &str)| {
        let table = admin.with("accept", TABLE).get(STATUSES).await.is(200);
        assert_eq!(table.header("warning"), WARNING);
        let tree = table.tree();
        let cells = |row: &object::Value| -> Vec<String> {
            row.list_at(&["cells"]).iter().filter_map(|cell| cell.as_str().map(str::to_owned)).collect()
        };
        let rows: Vec<Vec<String>> = tree.list_at(&["rows"]).iter().map(cells).collect();
        let expected = [
            ["controller-manager", first.0, first.1, ""],
            ["etcd-0", "Healthy", "ok", ""],
            ["far", "Healthy", "ok", ""],
            ["gone", "Unhealthy", &refused, ""],
            ["scheduler", "Unhealthy", "it is not part of this process", ""],
        ];
        assert_eq!(rows, expected);
    };
    expect(("Unhealthy", "it has not started yet")).await;
    let service: Arc<dyn serving::Service> = port(vitals);
    within.set(Door::new(service, Peer::in_memory(None))).expect("it starts once");
    expect(("Healthy", "ok")).await;
    is_well.store(false, Ordering::Relaxed);
    expect(("Unhealthy", "HTTP probe failed with statuscode: 500")).await;
}

#[tokio::test]
async fn component_statuses_are_read_like_any_resource() {
    let admin = Cluster::start().await.admin();
    let one = admin.get(&format!("{STATUSES}/etcd-0")).await.is(200);
    assert_eq!(one.header("warning"), WARNING);
    assert_eq!(
        one.text(),
        concat!(
            r#"{"kind":"ComponentStatus","apiVersion":"v1","metadata":{"name":"etcd-0"},"#,
            r#""conditions":[{"type":"Healthy","status":"True","message":"ok"}]}"#,
            "\n"
        )
    );
    let list = admin.get(STATUSES).await.is(200);
    let object = one.text().replace(r#""kind":"ComponentStatus","apiVersion":"v1","#, "");
    let whole =
        format!(r#"{{"kind":"ComponentStatusList","apiVersion":"v1","metadata":{{}},"items":[{}]}}"#, object.trim());
    assert_eq!(list.text(), format!("{whole}\n"));
    let absent = admin.get(&format!("{STATUSES}/nobody")).await;
    absent.refuses(404, "NotFound", r#"componentstatuses "nobody" not found"#);
    let names = async |query: &str| admin.get(&format!("{STATUSES}?{query}")).await.is(200).names();
    assert_eq!(names("fieldSelector=metadata.name=etcd-0").await, ["etcd-0"]);
    assert!(names("fieldSelector=metadata.name!=etcd-0").await.is_empty());
    assert!(names("labelSelector=a=b").await.is_empty());
    assert_eq!(names("labelSelector=!a").await, ["etcd-0"]);
    for accept in [PROTOBUF, "application/yaml", "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"] {
        let body = admin.with("accept", accept).get(STATUSES).await.is(200).body;
        assert!(body.windows(6).any(|window| window == b"etcd-0"), "{accept}");
    }
    let method = "the server does not allow this method on the requested resource";
    admin.get(&format!("{STATUSES}?watch=true")).await.refuses(405, "MethodNotAllowed", method);
    admin.post(STATUSES, "{}").await.refuses(405, "MethodNotAllowed", method);
    admin.delete(&format!("{STATUSES}/etcd-0"), "").await.refuses(405, "MethodNotAllowed", method);
}
