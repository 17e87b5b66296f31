//! Whatever a field of choices may hold is accepted, together with what belongs to the choice.

use super::*;

const PODS: &str = "selector: {matchLabels: {a: b}}, template: {metadata: {labels: {a: b}}, spec: {containers: [{name: c, image: i}]}}";
const ONCE: &str = "metadata: {labels: {a: b}}, spec: {containers: [{name: c, image: i}]";

/// `apiVersion`, kind, the spec around the choice, and what may stand for `CHOICE` in it.
const CHOICES: &[(&str, &str, &str, &[&str])] = &[
    (
        "apps/v1",
        "Deployment",
        "PODS, strategy: CHOICE",
        &[
            "{type: Recreate}",
            "{type: RollingUpdate}",
            "{type: RollingUpdate, rollingUpdate: {maxSurge: 0, maxUnavailable: 100%}}",
        ],
    ),
    (
        "apps/v1",
        "DaemonSet",
        "PODS, updateStrategy: CHOICE",
        &[
            "{type: OnDelete}",
            "{type: RollingUpdate}",
            "{type: RollingUpdate, rollingUpdate: {maxSurge: 1, maxUnavailable: 0}}",
        ],
    ),
    (
        "apps/v1",
        "StatefulSet",
        "PODS, updateStrategy: CHOICE",
        &[
            "{type: OnDelete}",
            "{type: RollingUpdate}",
            "{type: RollingUpdate, rollingUpdate: {partition: 2, maxUnavailable: 1}}",
        ],
    ),
    ("apps/v1", "StatefulSet", "PODS, podManagementPolicy: CHOICE", &["OrderedReady", "Parallel"]),
    (
        "apps/v1",
        "StatefulSet",
        "PODS, persistentVolumeClaimRetentionPolicy: CHOICE",
        &["{whenDeleted: Retain, whenScaled: Delete}", "{whenDeleted: Delete, whenScaled: Retain}"],
    ),
    ("batch/v1", "Job", "template: {ONCE, restartPolicy: CHOICE}}", &["OnFailure", "Never"]),
    (
        "batch/v1",
        "Job",
        "completions: 2, completionMode: CHOICE, template: {ONCE, restartPolicy: Never}}",
        &["Indexed", "NonIndexed"],
    ),
    (
        "batch/v1",
        "Job",
        "podReplacementPolicy: CHOICE, template: {ONCE, restartPolicy: Never}}",
        &["Failed", "TerminatingOrFailed"],
    ),
    (
        "batch/v1",
        "Job",
        "podFailurePolicy: {rules: [CHOICE]}, template: {ONCE, restartPolicy: Never}}",
        &[
            "{action: FailJob, onExitCodes: {operator: In, values: [3]}}",
            "{action: Ignore, onPodConditions: [{type: DisruptionTarget, status: 'True'}]}",
            "{action: Count, onExitCodes: {containerName: c, operator: NotIn, values: [0]}}",
        ],
    ),
    (
        "batch/v1",
        "CronJob",
        "schedule: '* * * * *', concurrencyPolicy: CHOICE, jobTemplate: {spec: {template: {ONCE, restartPolicy: Never}}}}",
        &["Allow", "Forbid", "Replace"],
    ),
    ("v1", "Pod", "containers: [{name: c, image: i}], restartPolicy: CHOICE", &["Always", "OnFailure", "Never"]),
    (
        "v1",
        "Pod",
        "containers: [{name: c, image: i}], dnsPolicy: CHOICE",
        &["Default", "ClusterFirst", "ClusterFirstWithHostNet", "None, dnsConfig: {nameservers: [10.0.0.10]}"],
    ),
    ("v1", "Pod", "containers: [{name: c, image: i, imagePullPolicy: CHOICE}]", &["Always", "IfNotPresent", "Never"]),
    (
        "v1",
        "Pod",
        "containers: [{name: c, image: i, terminationMessagePolicy: CHOICE}]",
        &["File", "FallbackToLogsOnError"],
    ),
    (
        "v1",
        "Pod",
        "containers: [{name: c, image: i, readinessProbe: CHOICE}]",
        &[
            "{exec: {command: [a]}}",
            "{httpGet: {port: 80, scheme: HTTPS}}",
            "{tcpSocket: {port: web}}",
            "{grpc: {port: 80}}",
        ],
    ),
    (
        "v1",
        "Pod",
        "containers: [{name: c, image: i, lifecycle: {preStop: CHOICE}}]",
        &["{exec: {command: [a]}}", "{httpGet: {port: 80}}", "{sleep: {seconds: 1}}"],
    ),
    (
        "v1",
        "Pod",
        "containers: [{name: c, image: i}], tolerations: [CHOICE]",
        &[
            "{operator: Exists}",
            "{key: k, operator: Exists, effect: NoSchedule}",
            "{key: k, operator: Equal, value: v, effect: PreferNoSchedule}",
            "{key: k, operator: Exists, effect: NoExecute, tolerationSeconds: 3}",
        ],
    ),
    (
        "v1",
        "Pod",
        "containers: [{name: c, image: i}], affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: \
         {nodeSelectorTerms: [{matchExpressions: [CHOICE]}]}}}",
        &[
            "{key: k, operator: In, values: [a, b]}",
            "{key: k, operator: NotIn, values: [a]}",
            "{key: k, operator: Exists}",
            "{key: k, operator: DoesNotExist}",
            "{key: k, operator: Gt, values: ['1']}",
            "{key: k, operator: Lt, values: ['1']}",
        ],
    ),
    (
        "v1",
        "Pod",
        "containers: [{name: c, image: i}], topologySpreadConstraints: [{maxSkew: 1, topologyKey: z, whenUnsatisfiable: CHOICE}]",
        &["DoNotSchedule", "ScheduleAnyway"],
    ),
    (
        "v1",
        "Pod",
        "containers: [{name: c, image: i}], securityContext: {CHOICE}",
        &[
            "seccompProfile: {type: RuntimeDefault}",
            "seccompProfile: {type: Localhost, localhostProfile: a/b.json}",
            "seccompProfile: {type: Unconfined}",
            "fsGroupChangePolicy: OnRootMismatch, fsGroup: 3",
            "appArmorProfile: {type: Localhost, localhostProfile: a}",
        ],
    ),
    (
        "v1",
        "Pod",
        "serviceAccountName: s, containers: [{name: c, image: i}], volumes: [{name: v, CHOICE}]",
        &[
            "emptyDir: {}",
            "emptyDir: {medium: Memory, sizeLimit: 1Mi}",
            "emptyDir: {medium: HugePages-2Mi}",
            "hostPath: {path: /a, type: DirectoryOrCreate}",
            "configMap: {name: m, items: [{key: k, path: p}], optional: true}",
            "secret: {secretName: s, defaultMode: 256}",
            "persistentVolumeClaim: {claimName: c}",
            "downwardAPI: {items: [{path: p, fieldRef: {fieldPath: metadata.labels}}]}",
            "projected: {sources: [{serviceAccountToken: {path: t}}, {configMap: {name: m}}, {secret: {name: s}}]}",
            "nfs: {server: s, path: /p}",
            "csi: {driver: d.example}",
            "ephemeral: {volumeClaimTemplate: {spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}}}",
            "image: {reference: r, pullPolicy: IfNotPresent}",
        ],
    ),
    (
        "v1",
        "Service",
        "selector: {a: b}, CHOICE",
        &[
            "type: ClusterIP, ports: [{port: 80}]",
            "type: NodePort, ports: [{port: 80, nodePort: 30000, protocol: UDP}], externalTrafficPolicy: Local",
            "type: LoadBalancer, ports: [{port: 80, protocol: SCTP}], allocateLoadBalancerNodePorts: false",
            "type: ExternalName, externalName: a.example",
            "clusterIP: None",
            "ports: [{port: 80}], sessionAffinity: ClientIP, sessionAffinityConfig: {clientIP: {timeoutSeconds: 9}}",
            "ports: [{port: 80}], internalTrafficPolicy: Local, trafficDistribution: PreferClose",
            "ports: [{port: 80}], ipFamilyPolicy: PreferDualStack",
        ],
    ),
    (
        "v1",
        "ResourceQuota",
        "hard: {pods: 3}, scopeSelector: {matchExpressions: [CHOICE]}",
        &[
            "{scopeName: PriorityClass, operator: In, values: [a]}",
            "{scopeName: PriorityClass, operator: Exists}",
            "{scopeName: BestEffort, operator: Exists}",
        ],
    ),
    (
        "networking.k8s.io/v1",
        "NetworkPolicy",
        "podSelector: {}, CHOICE",
        &[
            "policyTypes: [Ingress]",
            "policyTypes: [Ingress, Egress], egress: [{to: [{ipBlock: {cidr: 10.0.0.0/8, except: [10.1.0.0/16]}}]}]",
            "ingress: [{from: [{namespaceSelector: {}, podSelector: {}}], ports: [{port: 80, endPort: 90}, {port: web}]}]",
        ],
    ),
    (
        "networking.k8s.io/v1",
        "Ingress",
        "rules: [{http: {paths: [{backend: {service: {name: s, port: {number: 80}}}, CHOICE}]}}]",
        &["path: /a, pathType: Exact", "path: /a, pathType: Prefix", "pathType: ImplementationSpecific"],
    ),
    (
        "policy/v1",
        "PodDisruptionBudget",
        "selector: {matchLabels: {a: b}}, CHOICE",
        &["minAvailable: 50%", "maxUnavailable: 0", "minAvailable: 1, unhealthyPodEvictionPolicy: AlwaysAllow"],
    ),
    (
        "flowcontrol.apiserver.k8s.io/v1",
        "PriorityLevelConfiguration",
        "CHOICE",
        &[
            "type: Exempt",
            "type: Limited, limited: {limitResponse: {type: Reject}}",
            "type: Limited, limited: {limitResponse: {type: Queue, queuing: {queues: 8, handSize: 2, queueLengthLimit: 9}}}",
        ],
    ),
];

#[test]
fn every_choice_is_accepted() {
    let user = User { name: "somebody".to_owned(), ..User::default() };
    let context = Context { user: &user, now: Timestamp::UNIX_EPOCH, subresource: "" };
    let mut refused = Vec::new();
    for (api_version, kind, spec, choices) in CHOICES {
        for choice in *choices {
            let spec = spec.replace("PODS", PODS).replace("ONCE", ONCE).replace("CHOICE", choice);
            let text = format!("{{metadata: {{name: x}}, spec: {{{spec}}}}}");
            let (strategy, object) = created(api_version, kind, &text);
            let created = strategy.validate_create(&context, &object);
            let kept = strategy.validate_update(&context, &object, &object);
            refused.extend(created.iter().chain(&kept).map(|problem| format!("{kind} {choice}: {problem}")));
        }
    }
    assert!(refused.is_empty(), "{}", refused.join("\n"));
}
