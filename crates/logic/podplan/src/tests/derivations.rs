//! The derivations beside the plan.

use std::collections::BTreeMap;

use jiff::SignedDuration;
use typed::api::core::v1::{
    ConfigMap, ConfigMapEnvSource, Container, EnvFromSource, EnvVar, EnvVarSource, HostAlias, ObjectFieldSelector,
    PodDNSConfig, PodDNSConfigOption, PodSecurityContext, Probe, ResourceFieldSelector, ResourceRequirements,
    SecurityContext, Service, ServicePort, ServiceSpec,
};
use typed::meta::ObjectMeta;
use typed::resource::Quantity;

use super::{now, pod, seconds};
use crate::environment::{self, Inputs, Sources};
use crate::expansion::{expand, expand_known};
use crate::fields::Facts;
use crate::network::{self, ClusterDns};
use crate::probe::{Kind, Machine, Settings};
use crate::qos::{self, Class};
use crate::{Role, identity, images, quantity, resources, security};

#[test]
fn quantities() {
    let cases = [
        ("1", Some(1), Some(1000)),
        ("100m", Some(1), Some(100)),
        ("1.5", Some(2), Some(1500)),
        ("1Ki", Some(1024), Some(1_024_000)),
        ("1.5Gi", Some(1_610_612_736), Some(1_610_612_736_000)),
        ("2e3", Some(2000), Some(2_000_000)),
        ("5E", Some(5_000_000_000_000_000_000), Some(i64::MAX)),
        ("-1", Some(-1), Some(-1000)),
        ("0.5", Some(1), Some(500)),
        ("1u", Some(1), Some(1)),
        ("", None, None),
        ("x", None, None),
        ("1.2.3", None, None),
        ("1Kb", None, None),
    ];
    for (text, value, milli) in cases {
        let quantity = Quantity(text.to_owned());
        assert_eq!((quantity::value(&quantity), quantity::milli(&quantity)), (value, milli), "{text}");
    }
}

#[test]
fn expansion() {
    let known = |name: &str| (name == "A").then(|| "1".to_owned());
    let cases = [
        ("$(A)", "1"),
        ("x$(A)y", "x1y"),
        ("$$(A)", "$(A)"),
        ("$(B)", "$(B)"),
        ("$A", "$A"),
        ("$", "$"),
        ("$(A", "$(A"),
        ("$$$(A)", "$1"),
        ("ä$(A)ö", "ä1ö"),
    ];
    for (text, expected) in cases {
        assert_eq!(expand(text, known), expected, "{text}");
    }
    assert_eq!(expand_known("$(A)/$(B)", known), Err("B".to_owned()));
}

fn amounts(pairs: &[(&str, &str)]) -> Option<BTreeMap<String, Quantity>> {
    Some(pairs.iter().map(|(name, amount)| ((*name).to_owned(), Quantity((*amount).to_owned()))).collect())
}

fn with_resources(requests: &[(&str, &str)], limits: &[(&str, &str)]) -> typed::api::core::v1::Pod {
    let mut pod = pod("main:m");
    let resources = ResourceRequirements { requests: amounts(requests), limits: amounts(limits), ..Default::default() };
    pod.spec.as_mut().expect("a specification").containers[0].resources = Some(resources);
    pod
}

#[test]
fn quality_of_service_and_what_follows() {
    type Pairs = &'static [(&'static str, &'static str)];
    let cases: [(Pairs, Pairs, Class, i64, &str); 4] = [
        (&[], &[], Class::BestEffort, 1000, "kubepods/besteffort/podu"),
        (&[], &[("cpu", "1"), ("memory", "1Gi")], Class::Guaranteed, -997, "kubepods/podu"),
        (&[("cpu", "500m"), ("memory", "1Gi")], &[("cpu", "1")], Class::Burstable, 750, "kubepods/burstable/podu"),
        (&[("cpu", "500m")], &[], Class::Burstable, 999, "kubepods/burstable/podu"),
    ];
    for (requests, limits, class, score, path) in cases {
        let pod = with_resources(requests, limits);
        let container = &pod.spec.as_ref().expect("a specification").containers[0];
        assert_eq!(qos::class(&pod), class);
        assert_eq!(qos::oom_score_adj(&pod, Role::Regular, container, 4 << 30), score);
        assert_eq!(resources::cgroup_path(&pod).join("/"), path);
    }
    let pod = with_resources(&[("cpu", "500m")], &[("cpu", "1"), ("memory", "64Mi"), ("hugepages-2Mi", "4Mi")]);
    let limits = resources::container(&pod, &pod.spec.as_ref().expect("a specification").containers[0]);
    assert_eq!(
        (limits.cpu_shares, limits.cpu_quota_micros, limits.memory_bytes),
        (Some(512), Some(100_000), Some(64 << 20))
    );
    assert_eq!(limits.huge_pages, BTreeMap::from([("2Mi".to_owned(), 4 << 20)]));
    assert_eq!((resources::shares(0), resources::shares(1), resources::quota_micros(1)), (2, 2, Some(1000)));
}

#[test]
fn environments() {
    let facts = Facts { pod_ips: vec!["10.0.0.9".to_owned()], allocatable_cpu_milli: 2000, ..Default::default() };
    let map = ConfigMap {
        data: Some(BTreeMap::from([("good".to_owned(), "1".to_owned()), ("bad=key".to_owned(), "2".to_owned())])),
        ..Default::default()
    };
    let sources = Sources { config_maps: BTreeMap::from([("cm".to_owned(), map)]), ..Default::default() };
    let field = |path: &str| EnvVarSource {
        field_ref: Some(ObjectFieldSelector { field_path: path.to_owned(), ..Default::default() }),
        ..Default::default()
    };
    let plain =
        |name: &str, value: &str| EnvVar { name: name.to_owned(), value: Some(value.to_owned()), value_from: None };
    let from = |name: &str, source| EnvVar { name: name.to_owned(), value: None, value_from: Some(source) };
    let cpu = ResourceFieldSelector { resource: "limits.cpu".to_owned(), ..Default::default() };
    let container = Container {
        env_from: Some(vec![EnvFromSource {
            prefix: Some("P_".to_owned()),
            config_map_ref: Some(ConfigMapEnvSource { name: "cm".to_owned(), optional: None }),
            ..Default::default()
        }]),
        env: Some(vec![
            plain("A", "$(SVC_HOST)/$(P_good)"),
            plain("B", "$(A)$$(A)$(LATER)"),
            from("IP", field("status.podIP")),
            from("NS", field("metadata.namespace")),
            from("CPU", EnvVarSource { resource_field_ref: Some(cpu), ..Default::default() }),
            plain("LATER", "x"),
        ]),
        ..Default::default()
    };
    let pod = pod("main:m");
    let services = [("SVC_HOST".to_owned(), "h".to_owned())];
    let inputs = Inputs { pod: &pod, container: &container, services: &services, sources: &sources, facts: &facts };
    let made = environment::environment(&inputs).expect("an environment");
    let text: Vec<String> = made.variables.iter().map(|(name, value)| format!("{name}={value}")).collect();
    assert_eq!(
        text,
        ["SVC_HOST=h", "P_good=1", "A=h/1", "B=h/1$(A)$(LATER)", "IP=10.0.0.9", "NS=ns", "CPU=2", "LATER=x"]
    );
    assert_eq!(
        made.skipped,
        [
            "Keys [P_bad=key] from the EnvFrom ConfigMap ns/cm were skipped since they are considered invalid environment variable names."
        ]
    );
    let nothing = Sources::default();
    let inputs = Inputs { sources: &nothing, ..inputs };
    assert_eq!(environment::environment(&inputs), Err("configmap \"cm\" not found".to_owned()));
}

#[test]
fn service_variables() {
    let port = |name: &str, port| ServicePort { name: Some(name.to_owned()), port, ..Default::default() };
    let service = |name: &str, namespace: &str, ip: &str, ports| Service {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            namespace: Some(namespace.to_owned()),
            ..Default::default()
        },
        spec: Some(ServiceSpec { cluster_ip: Some(ip.to_owned()), ports: Some(ports), ..Default::default() }),
        ..Default::default()
    };
    let all = [
        service("kubernetes", "default", "10.96.0.1", vec![port("https", 443)]),
        service("my-db", "ns", "10.96.0.2", vec![port("sql", 5432)]),
        service("headless", "ns", "None", vec![port("x", 1)]),
    ];
    let made = environment::services(all.iter(), "ns", true);
    let text: Vec<String> = made.iter().map(|(name, value)| format!("{name}={value}")).collect();
    assert_eq!(
        &text[..7],
        [
            "KUBERNETES_SERVICE_HOST=10.96.0.1",
            "KUBERNETES_SERVICE_PORT=443",
            "KUBERNETES_SERVICE_PORT_HTTPS=443",
            "KUBERNETES_PORT=tcp://10.96.0.1:443",
            "KUBERNETES_PORT_443_TCP=tcp://10.96.0.1:443",
            "KUBERNETES_PORT_443_TCP_PROTO=tcp",
            "KUBERNETES_PORT_443_TCP_PORT=443",
        ]
    );
    assert!(text.contains(&"MY_DB_SERVICE_PORT_SQL=5432".to_owned()) && text.len() == 16, "{text:?}");
    assert_eq!(environment::services(all.iter(), "ns", false).len(), 8, "only the API server's");
}

#[test]
fn resolver_configurations() {
    let cluster = ClusterDns { servers: vec!["10.96.0.10".to_owned()], domain: "cluster.local".to_owned() };
    let host = network::parse_resolv_conf("nameserver 1.1.1.1\nsearch example.com.\noptions timeout:1\n");
    let (dns, messages) = network::dns(&pod("main:m"), &cluster, &host);
    assert_eq!(dns.searches, ["ns.svc.cluster.local", "svc.cluster.local", "cluster.local", "example.com"]);
    assert_eq!(
        (&dns.servers[..], &dns.options[..], messages.len()),
        (&["10.96.0.10".to_owned()][..], &["ndots:5".to_owned()][..], 0)
    );
    let (dns, _) = network::dns(&pod("main:m hostnet"), &cluster, &host);
    assert_eq!(dns, host);
    let mut own = pod("main:m");
    let spec = own.spec.as_mut().expect("a specification");
    spec.dns_policy = Some("None".to_owned());
    spec.dns_config = Some(PodDNSConfig {
        nameservers: Some(["1", "2", "3", "4"].map(str::to_owned).to_vec()),
        options: Some(vec![PodDNSConfigOption { name: Some("ndots".to_owned()), value: Some("2".to_owned()) }]),
        ..Default::default()
    });
    let (dns, messages) = network::dns(&own, &cluster, &host);
    assert_eq!((dns.servers.len(), dns.options, messages.len()), (3, vec!["ndots:2".to_owned()], 1));
}

#[test]
fn host_names_and_hosts() {
    let mut own = pod("main:m");
    assert_eq!(network::host_name(&own, "c.l"), Ok(("p".to_owned(), None)));
    let spec = own.spec.as_mut().expect("a specification");
    spec.hostname = Some("h".to_owned());
    spec.subdomain = Some("sub".to_owned());
    assert_eq!(network::host_name(&own, "c.l"), Ok(("h".to_owned(), Some("sub.ns.svc.c.l".to_owned()))));
    let aliases = [HostAlias { ip: "1.2.3.4".to_owned(), hostnames: Some(vec!["a".to_owned(), "b".to_owned()]) }];
    let text = network::hosts_file(&["10.0.0.1".to_owned()], "h", Some("sub.ns"), &aliases);
    assert!(text.starts_with("# Kubernetes-managed hosts file.\n127.0.0.1\tlocalhost\n"), "{text}");
    assert!(text.ends_with("10.0.0.1\th.sub.ns\th\n\n# Entries added by HostAliases.\n1.2.3.4\ta\tb\n"), "{text}");
    assert_eq!(network::host_name(&pod("main:m"), ""), Ok(("p".to_owned(), None)));
}

#[test]
fn security_contexts() {
    let mut own = pod("main:m");
    let spec = own.spec.as_mut().expect("a specification");
    spec.security_context = Some(PodSecurityContext {
        run_as_user: Some(1000),
        fs_group: Some(2000),
        supplemental_groups: Some(vec![3000]),
        run_as_non_root: Some(true),
        ..Default::default()
    });
    let container = spec.containers[0].clone();
    let made = security::security(&own, &container, false).expect("a security context");
    assert_eq!(
        (made.user, &made.groups[..], made.seccomp),
        (Some(1000), &[2000, 3000][..], Some(security::Profile::Unconfined))
    );
    let root = Container {
        security_context: Some(SecurityContext { run_as_user: Some(0), ..Default::default() }),
        ..container
    };
    let refusal = security::security(&own, &root, false).expect_err("root is refused");
    assert_eq!(refusal, "container's runAsUser breaks non-root policy (pod: \"p_ns(u)\", container: m)");
}

#[test]
fn pulls() {
    let cases = [
        ("a", None, true, images::Choice::Pull),
        ("a:latest", None, true, images::Choice::Pull),
        ("a:1", None, true, images::Choice::Use),
        ("h:5000/a", None, true, images::Choice::Pull),
        ("a@sha256:00", None, true, images::Choice::Use),
        ("a:1", None, false, images::Choice::Pull),
        ("a", Some("IfNotPresent"), true, images::Choice::Use),
        ("a", Some("Never"), false, images::Choice::Refuse),
    ];
    for (image, policy, present, expected) in cases {
        assert_eq!(images::choose(policy, image, present), expected, "{image} {policy:?} {present}");
    }
    assert_eq!(images::normalized("h:5000/a"), "h:5000/a:latest");
    assert!(images::check("A/B").is_err() && images::check("ok/a:1").is_ok() && images::check("a b").is_err());
    let message = images::pulled_message("a", SignedDuration::from_millis(1250), SignedDuration::ZERO, 5);
    assert_eq!(message, "Successfully pulled image \"a\" in 1.25s (1.25s including waiting). Image size: 5 bytes.");
}

#[test]
fn probe_thresholds_and_gates() {
    let probe = Probe {
        failure_threshold: Some(2),
        period_seconds: Some(5),
        initial_delay_seconds: Some(3),
        ..Default::default()
    };
    let mut liveness = Machine::new(Kind::Liveness, Settings::of(&probe), now());
    assert_eq!(liveness.due(false), None, "it waits for the start");
    assert_eq!(liveness.due(true), Some(seconds(3)));
    assert_eq!(liveness.step(seconds(3), Some(false)), None);
    assert_eq!(liveness.step(seconds(8), Some(true)), None, "a success in between begins anew");
    assert_eq!(liveness.step(seconds(13), Some(false)), None);
    assert_eq!(liveness.step(seconds(18), None), None, "no outcome decides nothing");
    assert_eq!(liveness.step(seconds(23), Some(false)), Some(false));
    assert_eq!(liveness.due(true), None, "until the container is another");
    let mut readiness = Machine::new(Kind::Readiness, Settings::of(&probe), now());
    assert_eq!(readiness.verdict(), Some(false));
    assert_eq!(readiness.step(seconds(3), Some(true)), Some(true));
    assert_eq!(readiness.due(true), Some(seconds(8)));
    let startup = Machine::new(Kind::Startup, Settings::of(&probe), now());
    assert_eq!((startup.due(false), startup.due(true), startup.verdict()), (Some(seconds(3)), None, None));
}

#[test]
fn identities() {
    let container = Container { name: "c".to_owned(), image: Some("i:1".to_owned()), ..Default::default() };
    assert_eq!(identity::container_hash(&container), 0x9015_d90e, "FNV-1a of {{\"image\":\"i:1\",\"name\":\"c\"}}");
    assert_eq!(identity::log_link("ns", "p", "c", "id"), "p_ns_c-id.log");
    let mut own = pod("main:m");
    identity::adopt_static(&mut own, "Node1", "abc", now());
    assert_eq!(own.metadata.name.as_deref(), Some("p-node1"));
    assert!(identity::is_static(&own) && !identity::is_mirror(&own));
    let mirror = identity::mirror(&own);
    assert!(identity::is_mirror(&mirror) && mirror.metadata.uid.is_none());
}
