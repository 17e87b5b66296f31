//! The least that each kind needs is accepted, unchanged updates too, and a second defaulting changes nothing.

use super::*;

const TEMPLATE: &str = "{metadata: {labels: {a: b}}, spec: {containers: [{name: c, image: i}]}}";

/// `apiVersion`, kind, and the object in YAML, where `TEMPLATE` stands for a pod template.
const OBJECTS: &[(&str, &str, &str)] = &[
    ("v1", "ConfigMap", "{metadata: {name: x}, data: {k: v}}"),
    ("v1", "Endpoints", "{metadata: {name: x}, subsets: [{addresses: [{ip: 10.0.0.1}], ports: [{port: 80}]}]}"),
    ("v1", "Event", "{metadata: {name: x, namespace: d}, involvedObject: {kind: Pod, name: p, namespace: d}}"),
    ("v1", "LimitRange", "{metadata: {name: x}, spec: {limits: [{type: Container, max: {cpu: 1}}]}}"),
    ("v1", "Namespace", "{metadata: {name: x}}"),
    ("v1", "Node", "{metadata: {name: x}, status: {capacity: {cpu: 4, memory: 8Gi}}}"),
    (
        "v1",
        "PersistentVolumeClaim",
        "{metadata: {name: x}, spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}}",
    ),
    (
        "v1",
        "PersistentVolume",
        "{metadata: {name: x}, spec: {accessModes: [ReadWriteOnce], capacity: {storage: 1Gi}, hostPath: {path: /tmp}}}",
    ),
    ("v1", "Pod", "{metadata: {name: x}, spec: {containers: [{name: c, image: i}]}}"),
    ("v1", "PodTemplate", "{metadata: {name: x}, template: TEMPLATE}"),
    ("v1", "ReplicationController", "{metadata: {name: x}, spec: {template: TEMPLATE}}"),
    ("v1", "ResourceQuota", "{metadata: {name: x}, spec: {hard: {pods: 3}}}"),
    ("v1", "Secret", "{metadata: {name: x}, stringData: {k: v}}"),
    ("v1", "ServiceAccount", "{metadata: {name: x}}"),
    ("v1", "Service", "{metadata: {name: x}, spec: {selector: {a: b}, ports: [{port: 80}]}}"),
    (
        "apiregistration.k8s.io/v1",
        "APIService",
        "{metadata: {name: v1.}, spec: {version: v1, groupPriorityMinimum: 1, versionPriority: 1}}",
    ),
    ("apps/v1", "ControllerRevision", "{metadata: {name: x}, data: {a: 1}, revision: 1}"),
    ("apps/v1", "DaemonSet", "{metadata: {name: x}, spec: {selector: {matchLabels: {a: b}}, template: TEMPLATE}}"),
    ("apps/v1", "Deployment", "{metadata: {name: x}, spec: {selector: {matchLabels: {a: b}}, template: TEMPLATE}}"),
    ("apps/v1", "ReplicaSet", "{metadata: {name: x}, spec: {selector: {matchLabels: {a: b}}, template: TEMPLATE}}"),
    (
        "apps/v1",
        "StatefulSet",
        "{metadata: {name: x}, spec: {serviceName: s, selector: {matchLabels: {a: b}}, template: TEMPLATE}}",
    ),
    (
        "events.k8s.io/v1",
        "Event",
        "{metadata: {name: x, namespace: default}, eventTime: '2026-05-01T12:00:00.000000Z', reason: r, action: a, type: Normal, reportingController: c, reportingInstance: i}",
    ),
    (
        "autoscaling/v2",
        "HorizontalPodAutoscaler",
        "{metadata: {name: x}, spec: {maxReplicas: 3, scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: d}}}",
    ),
    (
        "autoscaling/v1",
        "HorizontalPodAutoscaler",
        "{metadata: {name: x}, spec: {maxReplicas: 3, scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: d}}}",
    ),
    (
        "batch/v1",
        "CronJob",
        "{metadata: {name: x}, spec: {schedule: '*/5 * * * *', jobTemplate: {spec: {template: {spec: {restartPolicy: Never, containers: [{name: c, image: i}]}}}}}}",
    ),
    (
        "batch/v1",
        "Job",
        "{metadata: {name: x}, spec: {template: {spec: {restartPolicy: Never, containers: [{name: c, image: i}]}}}}",
    ),
    (
        "certificates.k8s.io/v1",
        "CertificateSigningRequest",
        "{metadata: {name: x}, spec: {request: LS0tLS1CRUdJTiBDRVJUSUZJQ0FURSBSRVFVRVNULS0tLS0=, signerName: a.b/c, usages: [client auth]}}",
    ),
    ("networking.k8s.io/v1", "IngressClass", "{metadata: {name: x}, spec: {controller: a.b/c}}"),
    (
        "networking.k8s.io/v1",
        "Ingress",
        "{metadata: {name: x}, spec: {rules: [{http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: s, port: {number: 80}}}}]}}]}}",
    ),
    (
        "networking.k8s.io/v1",
        "IPAddress",
        "{metadata: {name: 10.0.0.1}, spec: {parentRef: {resource: services, name: s}}}",
    ),
    ("networking.k8s.io/v1", "NetworkPolicy", "{metadata: {name: x}, spec: {podSelector: {}}}"),
    ("networking.k8s.io/v1", "ServiceCIDR", "{metadata: {name: x}, spec: {cidrs: [10.0.0.0/24]}}"),
    (
        "policy/v1",
        "PodDisruptionBudget",
        "{metadata: {name: x}, spec: {minAvailable: 50%, selector: {matchLabels: {a: b}}}}",
    ),
    (
        "rbac.authorization.k8s.io/v1",
        "ClusterRoleBinding",
        "{metadata: {name: 'system:x'}, roleRef: {kind: ClusterRole, name: r}, subjects: [{kind: User, name: u}]}",
    ),
    (
        "rbac.authorization.k8s.io/v1",
        "ClusterRole",
        "{metadata: {name: 'system:x'}, rules: [{verbs: ['*'], apiGroups: ['*'], resources: ['*']}]}",
    ),
    (
        "rbac.authorization.k8s.io/v1",
        "RoleBinding",
        "{metadata: {name: x}, roleRef: {kind: Role, name: r}, subjects: [{kind: ServiceAccount, name: u, namespace: d}]}",
    ),
    (
        "rbac.authorization.k8s.io/v1",
        "Role",
        "{metadata: {name: x}, rules: [{verbs: [get], apiGroups: [''], resources: [pods]}]}",
    ),
    ("storage.k8s.io/v1", "CSIDriver", "{metadata: {name: x}}"),
    ("storage.k8s.io/v1", "CSINode", "{metadata: {name: x}, spec: {drivers: [{name: d, nodeID: i}]}}"),
    ("storage.k8s.io/v1", "CSIStorageCapacity", "{metadata: {name: x}, storageClassName: s}"),
    ("storage.k8s.io/v1", "StorageClass", "{metadata: {name: x}, provisioner: a.b/c}"),
    (
        "storage.k8s.io/v1",
        "VolumeAttachment",
        "{metadata: {name: x}, spec: {attacher: a, nodeName: n1, source: {persistentVolumeName: p}}}",
    ),
    ("storage.k8s.io/v1", "VolumeAttributesClass", "{metadata: {name: x}, driverName: d, parameters: {a: b}}"),
    (
        "admissionregistration.k8s.io/v1",
        "MutatingAdmissionPolicy",
        "{metadata: {name: x}, spec: {reinvocationPolicy: Never, matchConstraints: {resourceRules: [{apiGroups: [''], apiVersions: [v1], resources: [pods], operations: [CREATE]}]}, mutations: [{patchType: JSONPatch, jsonPatch: {expression: '[]'}}]}}",
    ),
    (
        "admissionregistration.k8s.io/v1",
        "MutatingAdmissionPolicyBinding",
        "{metadata: {name: x}, spec: {policyName: p}}",
    ),
    (
        "admissionregistration.k8s.io/v1",
        "MutatingWebhookConfiguration",
        "{metadata: {name: x}, webhooks: [{name: a.b.c, sideEffects: None, admissionReviewVersions: [v1], clientConfig: {url: 'https://h'}}]}",
    ),
    (
        "admissionregistration.k8s.io/v1",
        "ValidatingAdmissionPolicy",
        "{metadata: {name: x}, spec: {matchConstraints: {resourceRules: [{apiGroups: [''], apiVersions: [v1], resources: [pods], operations: [CREATE]}]}, validations: [{expression: 'true'}]}}",
    ),
    (
        "admissionregistration.k8s.io/v1",
        "ValidatingAdmissionPolicyBinding",
        "{metadata: {name: x}, spec: {policyName: p, validationActions: [Deny]}}",
    ),
    (
        "admissionregistration.k8s.io/v1",
        "ValidatingWebhookConfiguration",
        "{metadata: {name: x}, webhooks: [{name: a.b.c, sideEffects: None, admissionReviewVersions: [v1], clientConfig: {service: {name: s, namespace: d}}}]}",
    ),
    (
        "apiextensions.k8s.io/v1",
        "CustomResourceDefinition",
        "{metadata: {name: foos.a.b}, spec: {group: a.b, scope: Namespaced, names: {plural: foos, kind: Foo}, versions: [{name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object}}}]}}",
    ),
    ("scheduling.k8s.io/v1", "PriorityClass", "{metadata: {name: x}, value: 5}"),
    ("coordination.k8s.io/v1", "Lease", "{metadata: {name: x}, spec: {holderIdentity: h, leaseDurationSeconds: 40}}"),
    ("node.k8s.io/v1", "RuntimeClass", "{metadata: {name: x}, handler: h}"),
    (
        "discovery.k8s.io/v1",
        "EndpointSlice",
        "{metadata: {name: x}, addressType: IPv4, endpoints: [{addresses: [10.0.0.1]}], ports: [{port: 80}]}",
    ),
    ("resource.k8s.io/v1", "DeviceClass", "{metadata: {name: x}, spec: {}}"),
    (
        "resource.k8s.io/v1",
        "ResourceClaim",
        "{metadata: {name: x}, spec: {devices: {requests: [{name: r, exactly: {deviceClassName: c}}]}}}",
    ),
    (
        "resource.k8s.io/v1",
        "ResourceClaimTemplate",
        "{metadata: {name: x}, spec: {spec: {devices: {requests: [{name: r, exactly: {deviceClassName: c}}]}}}}",
    ),
    (
        "resource.k8s.io/v1",
        "ResourceSlice",
        "{metadata: {name: x}, spec: {driver: d, nodeName: n1, pool: {name: p, generation: 1, resourceSliceCount: 1}}}",
    ),
    (
        "flowcontrol.apiserver.k8s.io/v1",
        "FlowSchema",
        "{metadata: {name: x}, spec: {priorityLevelConfiguration: {name: p}}}",
    ),
    (
        "flowcontrol.apiserver.k8s.io/v1",
        "PriorityLevelConfiguration",
        "{metadata: {name: x}, spec: {type: Limited, limited: {limitResponse: {type: Queue, queuing: {}}}}}",
    ),
];

#[test]
fn the_least_of_every_kind_is_accepted() {
    let user = User { name: "somebody".to_owned(), ..User::default() };
    let mut refused = Vec::new();
    for row in rows() {
        let found = OBJECTS.iter().any(|(version, kind, _)| *version == row.api_version() && *kind == row.kind);
        assert!(found, "{} {} has no fixture", row.api_version(), row.kind);
    }
    for (api_version, kind, text) in OBJECTS {
        let (strategy, object) = created(api_version, kind, &text.replace("TEMPLATE", TEMPLATE));
        let context = Context { user: &user, now: Timestamp::UNIX_EPOCH, subresource: "" };
        let mut again = object.clone();
        strategy.default(&mut again);
        assert_eq!(again, object, "{kind}: what is stored has its defaults");
        let name = object::Meta::of(&object).name();
        refused.extend(strategy.name_problems(name).into_iter().map(|problem| format!("{kind} name: {problem}")));
        let problems = strategy.validate_create(&context, &object);
        refused.extend(problems.iter().map(|problem| format!("{kind} create: {problem}")));
        let problems = strategy.validate_update(&context, &object, &object);
        refused.extend(problems.iter().map(|problem| format!("{kind} update: {problem}")));
        assert_eq!(strategy.columns().len(), strategy.row(&object).len(), "{kind}: cells");
        let warned = strategy.warnings(&context, &object, None);
        assert!(warned.is_empty() || *kind == "Endpoints", "{kind}: {warned:?}");
    }
    assert!(refused.is_empty(), "{}", refused.join("\n"));
}
