//! PodSecurity: what each standard refuses.

use super::world::{Asked, World};
use kind::Operation;

fn world(labels: &str) -> World {
    World::of(&format!("# Namespace\nmetadata: {{name: a, labels: {{{labels}}}}}\nstatus: {{phase: Active}}"))
}

const SAFE: &str = "securityContext: {runAsNonRoot: true, allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}, \
                    seccompProfile: {type: RuntimeDefault}}";

fn pod(spec: &str, container: &str) -> String {
    format!(
        "metadata: {{name: p}}\nspec: {{automountServiceAccountToken: false, {spec} containers: [{{name: c, {container}}}]}}"
    )
}

fn check(level: &str, spec: &str, container: &str, expected: &str) {
    let (level_name, version) = level.split_once(':').unwrap_or((level, "latest"));
    let world = world(&format!(
        "pod-security.kubernetes.io/enforce: {level_name}, pod-security.kubernetes.io/enforce-version: {version}"
    ));
    let expected = if expected.is_empty() {
        String::new()
    } else {
        format!("pods \"p\" is forbidden: violates PodSecurity \"{level_name}:{version}\": {expected}")
    };
    let refusal = Asked::create("pods").refusal(&world, &pod(spec, container));
    assert_eq!(refusal, expected, "{level} {{{spec}}} {{{container}}}");
}

#[test]
fn baseline() {
    for (spec, container, expected) in [
        ("", "", ""),
        ("hostNetwork: true, hostPID: true,", "", "host namespaces (hostNetwork=true, hostPID=true)"),
        ("volumes: [{name: v, hostPath: {path: /}}],", "", "hostPath volumes (volume \"v\")"),
        ("", "ports: [{hostPort: 80}, {hostPort: 8080}]", "hostPort (container \"c\" uses hostPorts 80, 8080)"),
        (
            "",
            "securityContext: {privileged: true}",
            "privileged (container \"c\" must not set securityContext.privileged=true)",
        ),
        (
            "",
            "securityContext: {capabilities: {add: [NET_ADMIN, KILL]}}",
            "non-default capabilities (container \"c\" must not include \"NET_ADMIN\" in securityContext.capabilities.add)",
        ),
        (
            "",
            "securityContext: {procMount: Unmasked}",
            "procMount (container \"c\" must not set securityContext.procMount to \"Unmasked\")",
        ),
        (
            "securityContext: {seLinuxOptions: {type: spc_t, user: u}},",
            "",
            "seLinuxOptions (pod set forbidden securityContext.seLinuxOptions: type \"spc_t\"; user may not be set)",
        ),
        (
            "securityContext: {seccompProfile: {type: Unconfined}},",
            "securityContext: {seccompProfile: {type: Unconfined}}",
            "seccompProfile (pod and container \"c\" must not set securityContext.seccompProfile.type to \"Unconfined\")",
        ),
        (
            "securityContext: {sysctls: [{name: kernel.msgmax}, {name: net.ipv4.tcp_rmem}]},",
            "",
            "forbidden sysctls (kernel.msgmax)",
        ),
        (
            "securityContext: {windowsOptions: {hostProcess: true}},",
            "",
            "hostProcess (pod must not set securityContext.windowsOptions.hostProcess=true)",
        ),
        (
            "",
            "securityContext: {appArmorProfile: {type: Unconfined}}",
            "forbidden AppArmor profile (container \"c\" must not set AppArmor profile type to \"Unconfined\")",
        ),
        (
            "",
            "livenessProbe: {httpGet: {host: 1.2.3.4}}",
            "probe or lifecycle host (container \"c\" uses probe or lifecycle host \"1.2.3.4\")",
        ),
    ] {
        check("baseline", spec, container, expected);
    }
}

#[test]
fn restricted() {
    let all = "allowPrivilegeEscalation != false (container \"c\" must set securityContext.allowPrivilegeEscalation=false), \
               unrestricted capabilities (container \"c\" must set securityContext.capabilities.drop=[\"ALL\"]), runAsNonRoot \
               != true (pod or container \"c\" must set securityContext.runAsNonRoot=true), seccompProfile (pod or container \
               \"c\" must set securityContext.seccompProfile.type to \"RuntimeDefault\" or \"Localhost\")";
    check("restricted", "", "", all);
    check("restricted", "", SAFE, "");
    check(
        "restricted",
        "volumes: [{name: v, nfs: {}}, {name: w, emptyDir: {}}],",
        SAFE,
        "restricted volume types (volume \"v\" uses restricted volume type \"nfs\")",
    );
    check("restricted", "securityContext: {runAsUser: 0},", SAFE, "runAsUser=0 (pod must not set runAsUser=0)");
    check("restricted", "hostUsers: false, securityContext: {runAsUser: 0},", SAFE, "");
    check(
        "restricted:v1.34",
        "hostUsers: false, securityContext: {runAsUser: 0},",
        SAFE,
        "runAsUser=0 (pod must not set runAsUser=0)",
    );
}

#[test]
fn older_standards() {
    let sysctl = "securityContext: {sysctls: [{name: net.ipv4.tcp_rmem}]},";
    check("baseline:v1.31", sysctl, "", "forbidden sysctls (net.ipv4.tcp_rmem)");
    check("baseline:v1.32", sysctl, "", "");
    check("baseline:v1.33", "", "livenessProbe: {httpGet: {host: 1.2.3.4}}", "");
}

#[test]
fn warnings_and_audit() {
    let world = world("pod-security.kubernetes.io/warn: baseline, pod-security.kubernetes.io/audit: baseline");
    let (_, notes) = Asked::create("pods").admit(&world, &pod("hostPID: true,", "")).expect("it comes in");
    let would = "would violate PodSecurity \"baseline:latest\": host namespaces (hostPID=true)";
    assert_eq!(notes.warnings, [would]);
    assert!(notes.audit.contains(&("pod-security.kubernetes.io/audit-violations".to_owned(), would.to_owned())));
    let deployment = "metadata: {name: d}\nspec: {template: {spec: {hostPID: true, containers: [{name: c}]}}}";
    let (_, notes) = Asked::create("deployments.apps").admit(&world, deployment).expect("templates come in");
    assert_eq!(notes.warnings, [would]);
}

#[test]
fn labels_of_namespaces() {
    let asked = |operation| Asked { operation, namespace: "ns", name: "ns", ..Asked::create("namespaces") };
    let bad = "metadata: {name: ns, labels: {pod-security.kubernetes.io/enforce: tight}}";
    assert_eq!(
        asked(Operation::Create).refusal(&World::of(""), bad),
        "Namespace \"ns\" is invalid: metadata.labels[pod-security.kubernetes.io/enforce]: Invalid value: \"tight\": must be one \
         of privileged, baseline, restricted"
    );
    let world = World::of("# Pod\nmetadata: {name: q, namespace: ns}\nspec: {hostPID: true, containers: [{name: c}]}");
    let update = Asked { namespace: "ns", name: "ns", ..Asked::update("namespaces", "metadata: {name: ns}") };
    let strict = "metadata: {name: ns, labels: {pod-security.kubernetes.io/enforce: baseline}}";
    let (_, notes) = update.admit(&world, strict).expect("running pods stay");
    let head = "existing pods in namespace \"ns\" violate the new PodSecurity enforce level \"baseline:latest\"";
    assert_eq!(notes.warnings, [head, "q: host namespaces"]);
}
