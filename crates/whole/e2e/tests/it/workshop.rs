//! A control plane in one process: a real API server over a store in memory, the scheduler and the controllers through its
//! front door with certificates of their own, and a stand-in for kubelets that says of pods what kubelets would say.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use apiserver::{Config, Place, Range, Server};
use client::{Client, DeleteOptions, Patch};
use env::task::{Fate, Shutdown};
use informer::{Informer, Informers};
use object::Value;
use pki::trust::{PeerChain, Roots};
use pki::{Authority, Leaf, PrivateKey, Subject, Usage, layout};
use serving::{Door, Peer};
use typed::Kind;
use typed::api::coordination::v1::Lease;
use typed::api::core::v1::{Node, Pod, ServiceAccount};
use typed::meta::MicroTime;
use vitals::{Delegated, Lives, Port, Vitals};

/// How long anything may take.
const DEADLINE: Duration = Duration::from_secs(20);

/// A running control plane; ends when dropped.
pub(crate) struct Workshop {
    pub(crate) admin: Client,
    pub(crate) informers: Informers,
    /// What scheduler and controllers say of themselves, to whom the API server lets in.
    pub(crate) ports: [Arc<Port>; 2],
    authority: Authority,
    shutdown: Shutdown,
    folder: PathBuf,
}

impl Drop for Workshop {
    fn drop(&mut self) {
        self.shutdown.cancel();
        // What cannot be removed lies in the machine's folder for such things.
        let _left = env::fs::remove_dir_all(&self.folder);
    }
}

/// Settings that tests change.
#[derive(Default)]
pub(crate) struct Settings {
    pub(crate) node_health: controller_manager::NodeHealth,
}

impl Workshop {
    pub(crate) async fn open(settings: Settings) -> Workshop {
        observe::logging::start(2);
        let folder = std::env::temp_dir().join(format!("workshop-{}", env::rand::uuid()));
        let pki = folder.join("pki");
        env::fs::create_dir_all(&pki).expect("a folder can be made");
        let now = env::time::now();
        let local = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
        let ranges = vec![Range::parse("10.96.0.0/12").expect("a range")];
        let first = ranges[0].at(0).expect("a range has addresses");
        layout::ensure_all(&pki, &layout::Site::new("localhost", "cluster.local", local, first), now)
            .expect("keys can be made");
        let authority = pki::files::load_authority(&pki, "ca").expect("it was made above").expect("it was made above");
        let place = Place {
            advertise_address: local,
            secure_port: 6443,
            service_ranges: ranges,
            dns_domain: "cluster.local".to_owned(),
        };
        let shutdown = Shutdown::new();
        let config =
            Config::from_pki(&pki, &place, Arc::new(store::memory::Memory::default())).expect("keys are there");
        let server = Server::start(config, shutdown.clone()).await.expect("a server starts");
        let enter = |name: &str, groups: &[&str]| {
            Client::through(
                server.door(Some(certificate(&authority, name, groups))),
                name.rsplit(':').next().unwrap_or(name),
            )
        };
        let admin = enter("kubernetes-admin", &["system:masters"]);
        let mut scheduler = scheduler::Config::new(enter("system:kube-scheduler", &[]));
        scheduler.candidate = Some("workshop_s".to_owned());
        let mut manager = controller_manager::Config::new(enter("system:kube-controller-manager", &[]));
        manager.candidate = Some("workshop_m".to_owned());
        manager.root_ca_pem = Some(authority.certificate().to_pem());
        manager.cluster_ranges = vec![("10.244.0.0/16".to_owned(), 24)];
        manager.node_health = settings.node_health;
        manager.signer = Some(Arc::new(
            pki::files::load_authority(&pki, "ca").expect("it was read before").expect("it was read before"),
        ));
        let port = |vitals: Arc<Vitals>, client: &Client| {
            let roots = Roots::new(vec![authority.certificate().clone()]).expect("a root");
            Arc::new(Port::new(vitals, Delegated::new(client.clone(), Some(roots), Lives::COMPONENT)))
        };
        let ports = [port(scheduler.vitals(), &scheduler.client), port(manager.vitals(), &manager.client)];
        let door = Arc::new(server.door(None));
        manager.clients = Some(controller_manager::accounts(manager.client.clone(), door));
        let ends = (shutdown.clone(), shutdown.clone());
        env::task::spawn(Fate::Vital, "scheduler", async move {
            scheduler::run(scheduler, ends.0).await.expect("the configuration is good");
        });
        env::task::spawn(Fate::Vital, "controllers", async move {
            controller_manager::run(manager, ends.1).await.expect("the configuration is good");
        });
        // The server itself lives in its doors.
        let informers = Informers::new(admin.clone());
        Workshop { admin, informers, ports, authority, shutdown, folder }
    }

    /// The way to a component's port for a user with a certificate; for nobody when the name is empty.
    pub(crate) fn look_at(&self, port: &Arc<Port>, name: &str, groups: &[&str]) -> Door {
        let chain = (!name.is_empty()).then(|| certificate(&self.authority, name, groups));
        Door::new(Arc::clone(port) as Arc<dyn serving::Service>, Peer::in_memory(chain))
    }

    /// Waits until a kind's objects are as `wanted`; what they were at the deadline is the failure's message.
    pub(crate) async fn until<K: Kind>(&self, what: &str, wanted: impl Fn(&[Arc<K>]) -> bool) {
        let informer = self.informers.of::<K>();
        let mut news = informer.subscribe();
        let reached = async {
            informer.synced().await;
            while !wanted(&informer.all()) {
                news.batch().await;
            }
        };
        if env::time::timeout(DEADLINE, reached).await.is_err() {
            let events = self.admin.list::<typed::api::core::v1::Event>(&client::ListOptions::default()).await;
            let said: Vec<String> = events
                .map(|all| all.items)
                .unwrap_or_default()
                .into_iter()
                .map(|event| format!("{:?} {:?}: {:?}", event.involved_object.name, event.reason, event.message))
                .collect();
            let seen: Vec<Value> = informer.all().iter().map(|object| object.to_tree()).collect();
            panic!("not within {DEADLINE:?}: {what}\nevents: {said:#?}\nseen: {seen:#?}");
        }
    }

    /// Waits until pods can be made in a namespace.
    pub(crate) async fn account(&self, namespace: &str) {
        let there = |one: &Arc<ServiceAccount>| one.namespace() == namespace && one.name() == "default";
        self.until::<ServiceAccount>("the default account", |all| all.iter().any(there)).await;
    }

    /// Adds a ready node with a kubelet that runs every pod at once and never falls silent.
    pub(crate) async fn node(&self, name: &str) {
        self.silent_node(name).await;
        let stand_in = StandIn { client: self.admin.clone(), pods: self.informers.of::<Pod>(), node: name.to_owned() };
        env::task::spawn(Fate::Vital, "kubelet", stand_in.run());
        env::task::spawn(
            Fate::Vital,
            "heartbeat",
            heartbeat(self.admin.clone(), name.to_owned(), self.shutdown.clone()),
        );
    }

    /// Adds a node that says once that it is ready, and then nothing more.
    pub(crate) async fn silent_node(&self, name: &str) {
        let mut node = Node::default();
        node.metadata.name = Some(name.to_owned());
        self.admin.create(&node).await.expect("a node can be made");
        self.patch::<Node>("", name, "status", &[(&["status"], node_status(env::time::now()))]).await;
    }

    /// Merges changes into an object.
    pub(crate) async fn patch<K: Kind>(&self, namespace: &str, name: &str, part: &str, changes: &[(&[&str], Value)]) {
        let mut patch = Value::map();
        for (path, value) in changes {
            patch.set(path, value.clone());
        }
        self.admin.patch::<K>(namespace, name, part, &Patch::Merge(patch)).await.expect("it can be patched");
    }

    pub(crate) async fn delete<K: Kind>(&self, namespace: &str, name: &str, propagation: client::Propagation) {
        let options = DeleteOptions { propagation: Some(propagation), ..DeleteOptions::default() };
        self.admin.delete::<K>(namespace, name, &options).await.expect("it can be deleted");
    }
}

fn certificate(authority: &Authority, name: &str, groups: &[&str]) -> PeerChain {
    let key = PrivateKey::generate(pki::Algorithm::default()).expect("a key can be made");
    let leaf = Leaf::new(Subject::new(name, groups), &[Usage::Client], env::time::now(), layout::LEAF_VALIDITY);
    let issued = authority.issue(&leaf, &key.public()).expect("an authority issues");
    PeerChain::new(vec![issued.der().clone()]).expect("a chain of one")
}

fn node_status(now: jiff::Timestamp) -> Value {
    let mut status = Value::map();
    let amounts =
        Value::from_pairs([("cpu", "8"), ("memory", "32Gi"), ("pods", "110"), ("ephemeral-storage", "100Gi")]);
    status.set(&["capacity"], amounts.clone());
    status.set(&["allocatable"], amounts);
    let now = object::timestamp::seconds(now);
    let ready = Value::from_pairs([
        ("type", Value::from("Ready")),
        ("status", Value::from("True")),
        ("reason", Value::from("KubeletReady")),
        ("lastHeartbeatTime", Value::from(now.clone())),
        ("lastTransitionTime", Value::from(now)),
    ]);
    status.set(&["conditions"], vec![ready]);
    status
}

/// Renews a node's lease, often.
async fn heartbeat(client: Client, node: String, shutdown: Shutdown) {
    let mut lease = Lease::default();
    lease.metadata.name = Some(node);
    lease.metadata.namespace = Some("kube-node-lease".to_owned());
    let mut lease = client.create(&lease).await.expect("a lease can be made");
    let mut clock = tokio::time::interval(Duration::from_millis(300));
    while !shutdown.is_cancelled() {
        clock.tick().await;
        lease.spec.get_or_insert_default().renew_time = Some(MicroTime(env::time::now()));
        lease = client.update(&lease).await.expect("a lease can be renewed");
    }
}

/// What a kubelet says, without containers.
struct StandIn {
    client: Client,
    pods: Informer<Pod>,
    node: String,
}

impl StandIn {
    async fn run(self) {
        let mut news = self.pods.subscribe();
        let mut address = 1_u8;
        while let Some(changed) = news.next().await {
            let Some(pod) = changed.new else { continue };
            let here = pod.spec.as_ref().and_then(|spec| spec.node_name.as_deref()) == Some(self.node.as_str());
            let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
            if !here {
                continue;
            }
            if pod.metadata.deletion_timestamp.is_some() {
                let options = DeleteOptions { grace_seconds: Some(0), ..DeleteOptions::of_uid(pod.uid()) };
                let gone = self.client.delete::<Pod>(pod.namespace(), pod.name(), &options).await;
                assert!(gone.is_ok() || gone.is_err_and(|error| error.is_not_found() || error.is_conflict()));
            } else if matches!(phase, None | Some("Pending")) {
                address = address.wrapping_add(1);
                let status = status(&pod, address);
                let mut patch = Value::map();
                patch.set(&["metadata", "uid"], pod.uid());
                patch.set(&["status"], status);
                let told =
                    self.client.patch::<Pod>(pod.namespace(), pod.name(), "status", &Patch::Strategic(patch)).await;
                assert!(
                    told.as_ref().is_ok()
                        || told.as_ref().is_err_and(|error| error.is_not_found() || error.is_conflict()),
                    "{told:?}"
                );
            }
        }
    }
}

/// Running and ready; pods that say so in a label end well instead.
fn status(pod: &Pod, address: u8) -> Value {
    let ends = pod.metadata.labels.as_ref().is_some_and(|labels| labels.contains_key("ends"));
    let now = object::timestamp::seconds(env::time::now());
    let mut status = Value::map();
    status.set(&["phase"], if ends { "Succeeded" } else { "Running" });
    status.set(&["podIP"], format!("10.244.0.{address}"));
    status.set(&["podIPs"], vec![Value::from_pairs([("ip", format!("10.244.0.{address}"))])]);
    let condition = |kind: &str| {
        Value::from_pairs([
            ("type", Value::from(kind)),
            ("status", Value::from(if ends { "False" } else { "True" })),
            ("lastTransitionTime", Value::from(now.clone())),
        ])
    };
    status.set(&["conditions"], vec![condition("Ready"), condition("ContainersReady")]);
    let container = pod.spec.as_ref().map(|spec| spec.containers[0].clone()).unwrap_or_default();
    let mut container = Value::from_pairs([
        ("name", Value::from(container.name)),
        ("image", Value::from(container.image.unwrap_or_default())),
        ("imageID", Value::from("")),
        ("ready", Value::from(!ends)),
        ("restartCount", Value::from(0)),
    ]);
    if ends {
        container.set(&["state", "terminated", "exitCode"], 0);
        container.set(&["state", "terminated", "finishedAt"], now.clone());
    } else {
        container.set(&["state", "running", "startedAt"], now.clone());
    }
    status.set(&["containerStatuses"], vec![container]);
    status
}

/// Labels from pairs.
pub(crate) fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}
