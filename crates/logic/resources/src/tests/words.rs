//! Refusals and warnings whose words were seen to differ from upstream's.

use super::*;

const POD: &str = "containers: [{name: c, image: i}]";

/// What is said of a new object, apart from what it is refused for.
fn warned(api_version: &str, kind: &str, text: &str) -> Vec<String> {
    let (strategy, object) = created(api_version, kind, text);
    let user = User::default();
    let context = Context { user: &user, now: Timestamp::UNIX_EPOCH, subresource: "" };
    strategy.warnings(&context, &object, None)
}

#[test]
fn warnings_of_new_objects() {
    let cases: &[(&str, &str, String, &[&str])] = &[
        (
            "v1",
            "Pod",
            format!("{{metadata: {{name: p}}, spec: {{nodeSelector: {{beta.kubernetes.io/os: l}}, {POD}}}}}"),
            &["spec.nodeSelector[beta.kubernetes.io/os]: deprecated since v1.14; use \"kubernetes.io/os\" instead"],
        ),
        (
            "v1",
            "Pod",
            format!("{{metadata: {{name: p}}, spec: {{hostAliases: [{{ip: 10.0.0.1}}, {{ip: 10.0.0.1}}], {POD}}}}}"),
            &["spec.hostAliases[1].ip: duplicate ip \"10.0.0.1\""],
        ),
        (
            "v1",
            "Pod",
            format!(
                "{{metadata: {{name: p}}, spec: {{volumes: [{{name: v, configMap: {{name: m, items: [{{key: a, path: d}}, \
                 {{key: b, path: d/e}}]}}}}, {{name: p, projected: {{sources: [{{}}]}}}}], {POD}}}}}"
            ),
            &[
                "volume \"v\" (ConfigMap \"m\"): overlapping paths: \"d/e\" with \"d\"",
                "volume \"p\" (Projected) has no sources provided",
            ],
        ),
        (
            "v1",
            "Pod",
            "{metadata: {name: p}, spec: {containers: [{name: c, image: i, env: [{name: A, value: x}, {name: A, value: \
             y$(A)}, {name: A, value: z}], ports: [{name: w, containerPort: 80}, {name: w, containerPort: 80}]}]}}"
                .to_owned(),
            &[
                "spec.containers[0].env[2]: hides previous definition of \"A\", which may be dropped when using apply",
                "spec.containers[0].ports[1]: duplicate port definition with spec.containers[0].ports[0]",
                "spec.containers[0].ports[1]: duplicate port name \"w\" with spec.containers[0].ports[0], services and \
                 probes that select ports by name will use spec.containers[0].ports[0]",
            ],
        ),
        (
            "v1",
            "Secret",
            "{metadata: {name: s}, type: kubernetes.io/tls, data: {tls.crt: YQ==, tls.key: YQ==}}".to_owned(),
            &["tls: failed to find any PEM data in certificate input"],
        ),
        (
            "storage.k8s.io/v1",
            "CSIDriver",
            "{metadata: {name: d}, spec: {tokenRequests: [{audience: a}]}}".to_owned(),
            &[
                "spec.serviceAccountTokenInSecrets is unset; if supported by this CSI driver, set to true to prevent \
                 possible logging of tokens in volume attributes",
            ],
        ),
        (
            "v1",
            "ResourceQuota",
            "{metadata: {name: q}, spec: {hard: {cpu: 2, limits.cpu: 1}}}".to_owned(),
            &["ResourceQuota cpu (2) should be less than limits.cpu (1)"],
        ),
        (
            "v1",
            "Service",
            "{metadata: {name: s}, spec: {clusterIP: 10.0.0.1, externalIPs: [192.0.2.1], ports: [{port: 1}]}}".to_owned(),
            &["spec.externalIPs is deprecated and may no longer be implemented in some clusters"],
        ),
    ];
    for (api_version, kind, text, expected) in cases {
        assert_eq!(warned(api_version, kind, text), *expected, "{kind}: {text}");
    }
}

fn workload(rest: &str) -> String {
    format!(
        "{{metadata: {{name: w}}, spec: {{{rest}, template: {{metadata: {{labels: {{a: b}}}}, spec: {{{POD}}}}}}}}}"
    )
}

fn job(rest: &str) -> String {
    format!(
        "{{metadata: {{name: j}}, spec: {{podFailurePolicy: {{rules: [{rest}]}}, template: {{spec: {{restartPolicy: Never, \
         {POD}}}}}}}}}"
    )
}

const UNMATCHED: &str =
    "spec.template.metadata.labels: Invalid value: {\"a\":\"b\"}: `selector` does not match template `labels`";

#[test]
fn workloads_and_their_selectors() {
    let malformed = workload("selector: {matchLabels: {a: -1-}}");
    let label = "spec.selector.matchLabels: Invalid value: \"-1-\": a valid label must be an empty string or consist of \
                 alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. \
                 'MyValue',  or 'my_value',  or '12345', regex used for validation is \
                 '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";
    let shown = "spec.selector: Invalid value: {\"matchLabels\":{\"a\":\"-1-\"}}";
    let named = format!("{shown}: invalid label selector");
    let cases: &[(&str, &str, &[&str])] = &[
        ("Deployment", &workload("replicas: 1"), &["spec.selector: Required value", UNMATCHED]),
        ("DaemonSet", &workload("minReadySeconds: 1"), &[UNMATCHED]),
        ("ReplicaSet", &malformed, &[label, &named]),
        ("StatefulSet", &malformed, &[label, shown]),
        ("DaemonSet", &malformed, &[label]),
        (
            "Deployment",
            &workload("selector: {matchLabels: {a: b}}, strategy: {type: X}"),
            &["spec.strategy: Unsupported value: {\"Type\":\"X\",\"RollingUpdate\":null}: supported values: \
                 \"Recreate\", \"RollingUpdate\""],
        ),
    ];
    for (kind, text, expected) in cases {
        assert_eq!(checks::problems("apps/v1", kind, text), *expected, "{kind}: {text}");
    }
}

#[test]
fn failure_policies_of_jobs() {
    const RULE: &str = "spec.podFailurePolicy.rules[0]";
    let cases: &[(&str, &[&str])] = &[
        (
            "{}",
            &[
                ".action: Required value: valid values: [\"Count\" \"FailIndex\" \"FailJob\" \"Ignore\"]",
                ": Invalid value: specifying one of OnExitCodes and OnPodConditions is required",
            ],
        ),
        (
            "{action: FailJob, onExitCodes: {containerName: x, operator: In, values: [2, 0, 2]}}",
            &[
                ".onExitCodes.containerName: Invalid value: \"x\": must be one of the container or initContainer names in \
                 the pod template",
                ".onExitCodes.values[1]: Invalid value: 0: must not be 0 for the In operator",
                ".onExitCodes.values[2]: Duplicate value: 2",
                ".onExitCodes.values: Invalid value: [2,0,2]: must be ordered",
            ],
        ),
    ];
    for (rule, expected) in cases {
        let expected: Vec<String> = expected.iter().map(|text| format!("{RULE}{text}")).collect();
        assert_eq!(checks::problems("batch/v1", "Job", &job(rule)), expected, "{rule}");
    }
}

#[test]
fn quotas_and_ranges() {
    let cases: &[(&str, &str, &[&str])] = &[
        (
            "ResourceQuota",
            "{hard: {services: 1, cpu: 1}, scopes: [NotTerminating]}",
            &["spec.scopes: Invalid value: [\"NotTerminating\"]: unsupported scope applied to resource"],
        ),
        (
            "ResourceQuota",
            "{hard: {pods: 1}, scopes: [BestEffort, NotBestEffort]}",
            &["spec.scopes: Invalid value: [\"BestEffort\",\"NotBestEffort\"]: conflicting scopes"],
        ),
        (
            "LimitRange",
            "{limits: [{type: Pod, min: {cpu: 1}, max: {cpu: 2}, maxLimitRequestRatio: {cpu: 4}}]}",
            &[
                "spec.limits[0].maxLimitRequestRatio[cpu]: Invalid value: \"4\": ratio 4 is greater than max/min = 2.000000",
            ],
        ),
        (
            "LimitRange",
            "{limits: [{type: Container, default: {cpu: 5}, defaultRequest: {cpu: 1}, max: {cpu: 2}}]}",
            &["spec.limits[0].default[cpu]: Invalid value: \"2\": default value 5 is greater than max value 2"],
        ),
    ];
    for (kind, spec, expected) in cases {
        let text = format!("{{metadata: {{name: x}}, spec: {spec}}}");
        assert_eq!(checks::problems("v1", kind, &text), *expected, "{kind}: {spec}");
    }
}

#[test]
fn other_kinds() {
    let cases: &[(&str, &str, &str, &[&str])] = &[
        (
            "networking.k8s.io/v1",
            "Ingress",
            "{metadata: {name: i}, spec: {defaultBackend: {service: {name: s}}}}",
            &["spec.defaultBackend: Required value: port name or number is required"],
        ),
        (
            "networking.k8s.io/v1",
            "NetworkPolicy",
            "{metadata: {name: np}, spec: {podSelector: {}, ingress: [{ports: [{port: 90, endPort: 80}]}]}}",
            &["spec.ingress[0].ports[0].endPort: Invalid value: 90: must be greater than or equal to `port`"],
        ),
        (
            "autoscaling/v2",
            "HorizontalPodAutoscaler",
            "{metadata: {name: h}, spec: {scaleTargetRef: {kind: Deployment, name: d}}}",
            &[
                "spec.maxReplicas: Required value: must be set and greater than 0",
                "spec.maxReplicas: Invalid value: 0: must be greater than or equal to `minReplicas`",
                "spec.scaleTargetRef.apiVersion: Invalid value: \"\": apiVersion must specify API group",
            ],
        ),
        (
            "v1",
            "Node",
            "{metadata: {name: nd}, spec: {taints: [{key: a, effect: X}]}}",
            &["metadata.taints[0].effect: Unsupported value: \"X\": supported values: \"NoSchedule\", \
                 \"PreferNoSchedule\", \"NoExecute\""],
        ),
        (
            "flowcontrol.apiserver.k8s.io/v1",
            "FlowSchema",
            "{metadata: {name: f}, spec: {matchingPrecedence: 5, priorityLevelConfiguration: {name: l}, rules: [{subjects: \
             [{kind: User, user: {name: u}}], resourceRules: [{verbs: [fly], apiGroups: ['*', a], resources: ['*'], \
             clusterScope: true}]}]}}",
            &[
                "spec.rules[0].resourceRules[0].verbs: Unsupported value: [\"fly\"]: supported values: \"create\", \
                 \"delete\", \"deletecollection\", \"get\", \"list\", \"patch\", \"proxy\", \"update\", \"watch\"",
                "spec.rules[0].resourceRules[0].apiGroups: Invalid value: [\"*\",\"a\"]: if '*' is present, must not \
                 specify other api groups",
            ],
        ),
        (
            "storage.k8s.io/v1",
            "StorageClass",
            "{metadata: {name: s}, provisioner: p, allowedTopologies: [{matchLabelExpressions: [{key: a, values: [b]}]}, \
             {matchLabelExpressions: [{key: a, values: [b]}]}]}",
            &["allowedTopologies[1].matchLabelExpressions: Duplicate value: \"\""],
        ),
        (
            "v1",
            "Namespace",
            "{metadata: {name: ns}, spec: {finalizers: [x]}}",
            &[
                "spec.finalizers: Invalid value: \"x\": name is neither a standard finalizer name nor is it fully qualified",
            ],
        ),
    ];
    for (api_version, kind, text, expected) in cases {
        assert_eq!(checks::problems(api_version, kind, text), *expected, "{kind}: {text}");
    }
}

#[test]
fn templates_of_daemon_sets_are_counted() {
    const PLACE: [&str; 3] = ["metadata", "annotations", "deprecated.daemonset.template.generation"];
    let text = workload("selector: {matchLabels: {a: b}}");
    let (strategy, old) = created("apps/v1", "DaemonSet", &text);
    assert_eq!(old.str_at(&PLACE), Some("1"), "a new set");
    let user = User::default();
    let context = Context { user: &user, now: Timestamp::UNIX_EPOCH, subresource: "" };
    for (sent, expected) in [(text.clone(), "1"), (text.replace("image: i", "image: j"), "2")] {
        let (_, mut new) = created("apps/v1", "DaemonSet", &sent);
        strategy.prepare_update(&context, &mut new, &old);
        assert_eq!(new.str_at(&PLACE), Some(expected), "{sent}");
    }
}

/// What is said of an address at `path` that would better be `better`.
fn canonical(path: &str, text: &str, better: &str) -> String {
    format!("{path}: IPv6 address {text:?} should be in RFC 5952 canonical format ({better:?})")
}

#[test]
fn unusual_spellings_of_addresses_are_told() {
    let range = |path: &str, text: &str, better: &str| {
        format!("{path}: IPv6 CIDR value {text:?} should be in RFC 5952 canonical format ({better:?})")
    };
    let cases: Vec<(&str, &str, String, Vec<String>)> = vec![
        (
            "v1",
            "Service",
            "{metadata: {name: s}, spec: {type: LoadBalancer, clusterIPs: ['FD00::1', 10.0.0.1], loadBalancerIP:              '2001:DB8::1', loadBalancerSourceRanges: ['2001:db8:0::/64', 10.0.0.0/8], sessionAffinity: None}}"
                .to_owned(),
            vec![
                canonical("spec.clusterIPs[0]", "FD00::1", "fd00::1"),
                canonical("spec.loadBalancerIP", "2001:DB8::1", "2001:db8::1"),
                range("spec.loadBalancerSourceRanges[0]", "2001:db8:0::/64", "2001:db8::/64"),
            ],
        ),
        (
            "v1",
            "Service",
            "{metadata: {name: s}, spec: {externalIPs: ['0:0::7'], sessionAffinity: None}}".to_owned(),
            vec![
                canonical("spec.externalIPs[0]", "0:0::7", "::7"),
                "spec.externalIPs is deprecated and may no longer be implemented in some clusters".to_owned(),
            ],
        ),
        (
            "networking.k8s.io/v1",
            "NetworkPolicy",
            "{metadata: {name: p}, spec: {podSelector: {}, ingress: [{from: [{podSelector: {}}, {ipBlock: {cidr:              '2001:DB8::/32', except: ['2001:db8:0:1::/64', '2001:0db8::/64']}}]}], egress: [{to: [{ipBlock: {cidr:              '0::0/0'}}]}]}}"
                .to_owned(),
            vec![
                range("spec.ingress[0].from[1].ipBlock.cidr", "2001:DB8::/32", "2001:db8::/32"),
                range("spec.ingress[0].from[1].ipBlock.except[1]", "2001:0db8::/64", "2001:db8::/64"),
                range("spec.egress[0].to[0].ipBlock.cidr", "0::0/0", "::/0"),
            ],
        ),
    ];
    for (api_version, kind, text, expected) in cases {
        assert_eq!(warned(api_version, kind, &text), expected, "{kind}: {text}");
    }
}

#[test]
fn unusual_spellings_of_endpoints_are_told_unless_controllers_made_them() {
    let slice = |labels: &str, kind: &str, address: &str| {
        format!(
            "{{metadata: {{name: s, labels: {labels}}}, addressType: {kind}, endpoints: [{{addresses: ['{address}']}}]}}"
        )
    };
    let cases: Vec<(&str, &str, String, Vec<String>)> = vec![
        (
            "discovery.k8s.io/v1",
            "EndpointSlice",
            slice("{}", "IPv6", "FD00::1"),
            vec![canonical("endpoints[0].addresses[0]", "FD00::1", "fd00::1")],
        ),
        (
            "discovery.k8s.io/v1",
            "EndpointSlice",
            slice("{endpointslice.kubernetes.io/managed-by: endpointslice-controller.k8s.io}", "IPv6", "FD00::1"),
            vec![],
        ),
        (
            "discovery.k8s.io/v1",
            "EndpointSlice",
            slice("{}", "FQDN", "a.b"),
            vec!["spec.addressType: FQDN endpoints are deprecated".to_owned()],
        ),
        (
            "v1",
            "Endpoints",
            "{metadata: {name: e}, subsets: [{addresses: [{ip: 10.0.0.1}, {ip: 'FD00::1'}], notReadyAddresses: [{ip:              'FD00::2'}]}]}"
                .to_owned(),
            vec![
                canonical("subsets[0].addresses[1].ip", "FD00::1", "fd00::1"),
                canonical("subsets[0].notReadyAddresses[0].ip", "FD00::2", "fd00::2"),
            ],
        ),
    ];
    for (api_version, kind, text, expected) in cases {
        assert_eq!(warned(api_version, kind, &text), expected, "{kind}: {text}");
    }
}

#[test]
fn ambiguous_spellings_of_addresses_are_refused() {
    let refused = |kind: &str, text: &str| -> Vec<String> {
        let (strategy, object) = created(if kind == "Service" { "v1" } else { "networking.k8s.io/v1" }, kind, text);
        let user = User::default();
        let context = Context { user: &user, now: Timestamp::UNIX_EPOCH, subresource: "" };
        let problems = strategy.validate_create(&context, &object);
        problems
            .iter()
            .map(ToString::to_string)
            .filter(|text| text.contains("externalIPs") || text.contains("cidr"))
            .collect()
    };
    let addresses = [
        ("10.0.0.1", ""),
        ("010.0.0.1", "must not have leading 0s"),
        ("10.000.0.01", "must not have leading 0s"),
        ("fd00::010.0.0.1", "must not have leading 0s"),
        ("::ffff:10.0.0.1", "must not be an IPv4-mapped IPv6 address"),
        ("10.0.0", "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"),
        ("10.0.0.256", "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"),
        ("10.0..1", "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"),
        ("10.0.0.x", "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"),
    ];
    for (address, problem) in addresses {
        let service = "{metadata: {name: s}, spec: {ports: [{port: 1}], externalIPs: [";
        let found = refused("Service", &format!("{service}'{address}']}}}}"));
        let expected = format!("spec.externalIPs[0]: Invalid value: {address:?}: {problem}");
        assert_eq!(found, if problem.is_empty() { vec![] } else { vec![expected] }, "{address}");
    }
    let ranges = [
        ("10.0.0.0/8", ""),
        ("010.0.0.0/8", "must not have leading 0s in IP or prefix length"),
        ("10.0.0.0/08", "must not have leading 0s in IP or prefix length"),
        ("::ffff:10.0.0.0/104", "must not have an IPv4-mapped IPv6 address"),
        ("10.0.0.1/8", "must not have bits set beyond the prefix length"),
        ("10.0.0.0/33", "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"),
        ("10.0.0.0", "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"),
    ];
    for (range, problem) in ranges {
        let policy = "{metadata: {name: p}, spec: {podSelector: {}, egress: [{to: [{ipBlock: {cidr: ";
        let found = refused("NetworkPolicy", &format!("{policy}'{range}'}}}}]}}]}}}}"));
        let expected = format!("spec.egress[0].to[0].ipBlock.cidr: Invalid value: {range:?}: {problem}");
        assert_eq!(found, if problem.is_empty() { vec![] } else { vec![expected] }, "{range}");
    }
}
