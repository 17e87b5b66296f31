//! ServiceAccount and Priority.

use super::world::{Asked, World, read};

const POD: &str = "metadata: {name: p}\nspec: {containers: [{name: c}]}";

#[test]
fn a_pod_gets_a_token() {
    let world =
        World::of("# ServiceAccount\nmetadata: {name: default, namespace: a}\nimagePullSecrets: [{name: pull}]");
    let (pod, _) = Asked::create("pods").admit(&world, POD).expect("it comes in");
    let expected = read(
        "
- name: kube-api-access-abcde
  projected:
    defaultMode: 420
    sources:
    - serviceAccountToken: {path: token, expirationSeconds: 3607}
    - configMap: {name: kube-root-ca.crt, items: [{key: ca.crt, path: ca.crt}]}
    - downwardAPI: {items: [{path: namespace, fieldRef: {apiVersion: v1, fieldPath: metadata.namespace}}]}",
    );
    assert_eq!(pod.at(&["spec", "volumes"]), Some(&expected));
    let mounts = pod.list_at(&["spec", "containers"])[0].list_at(&["volumeMounts"]);
    let mount =
        "{name: kube-api-access-abcde, readOnly: true, mountPath: /var/run/secrets/kubernetes.io/serviceaccount}";
    assert_eq!(mounts, [read(mount)]);
    assert_eq!(pod.str_at(&["spec", "serviceAccountName"]), Some("default"));
    assert_eq!(pod.str_at(&["spec", "serviceAccount"]), Some("default"));
    assert_eq!(pod.at(&["spec", "imagePullSecrets"]), Some(&read("[{name: pull}]")));
}

#[test]
fn who_mounts_nothing() {
    let declines = "# ServiceAccount\nmetadata: {name: default, namespace: a}\nautomountServiceAccountToken: false";
    let volumes = |world: &str, spec: &str| {
        let pod = format!("metadata: {{name: p}}\nspec: {{containers: [{{name: c}}]{spec}}}");
        let (pod, _) = Asked::create("pods").admit(&World::of(world), &pod).expect("it comes in");
        pod.list_at(&["spec", "volumes"]).len()
    };
    assert_eq!(volumes("", ""), 1);
    assert_eq!(volumes("", ", automountServiceAccountToken: false"), 0);
    assert_eq!(volumes(declines, ""), 0);
    assert_eq!(volumes(declines, ", automountServiceAccountToken: true"), 1);
}

#[test]
fn refusals() {
    let strict = "
# ServiceAccount
metadata: {name: strict, namespace: a, annotations: {kubernetes.io/enforce-mountable-secrets: 'true'}}
secrets: [{name: ok}]
";
    let of = "because service account strict does not reference that";
    for (metadata, spec, expected) in [
        (
            "",
            "serviceAccountName: none",
            "error looking up service account a/none: serviceaccount \"none\" not found".to_owned(),
        ),
        (
            "annotations: {kubernetes.io/config.mirror: x}",
            "serviceAccountName: default",
            "a mirror pod may not reference service accounts".to_owned(),
        ),
        (
            "annotations: {kubernetes.io/config.mirror: x}",
            "volumes: [{name: v, secret: {secretName: s}}]",
            "a mirror pod may not reference secrets".to_owned(),
        ),
        (
            "annotations: {kubernetes.io/config.mirror: x}",
            "volumes: [{name: v, projected: {sources: [{serviceAccountToken: {path: t}}]}}]",
            "a mirror pod may not use ServiceAccountToken volume projections".to_owned(),
        ),
        (
            "",
            "serviceAccountName: strict, volumes: [{name: v, secret: {secretName: s}}]",
            format!("volume with secret.secretName=\"s\" is not allowed {of} secret"),
        ),
        (
            "",
            "serviceAccountName: strict, initContainers: [{name: i, env: [{name: e, valueFrom: {secretKeyRef: {name: s}}}]}]",
            format!("init container i with envVar e referencing secret.secretName=\"s\" is not allowed {of} secret"),
        ),
        (
            "",
            "serviceAccountName: strict, imagePullSecrets: [{name: s}]",
            format!("imagePullSecrets[0].name=\"s\" is not allowed {of} imagePullSecret"),
        ),
    ] {
        let pod = format!("metadata: {{name: p, {metadata}}}\nspec: {{containers: [{{name: c}}], {spec}}}");
        let refusal = Asked::create("pods").refusal(&World::of(strict), &pod);
        assert_eq!(refusal, format!("pods \"p\" is forbidden: {expected}"), "{spec}");
    }
}

#[test]
fn priorities() {
    let world = World::of(
        "
# PriorityClass
metadata: {name: high}
value: 1000
preemptionPolicy: Never
# PriorityClass
metadata: {name: usual}
value: 10
globalDefault: true
preemptionPolicy: PreemptLowerPriority
",
    );
    let forbidden = |text: &str| Err(format!("pods \"p\" is forbidden: {text}"));
    for (world, spec, expected) in [
        (&World::of(""), "", Ok((None, 0, "PreemptLowerPriority"))),
        (&world, "", Ok((Some("usual"), 10, "PreemptLowerPriority"))),
        (&world, "priorityClassName: high", Ok((Some("high"), 1000, "Never"))),
        (&world, "priorityClassName: high, priority: 1000", Ok((Some("high"), 1000, "Never"))),
        (&world, "priorityClassName: none", forbidden("no PriorityClass with name none was found")),
        (
            &world,
            "priorityClassName: high, priority: 7",
            forbidden(
                "the integer value of priority (7) must not be provided in pod spec; priority admission controller computed \
                 1000 from the given PriorityClass name",
            ),
        ),
        (
            &world,
            "priorityClassName: high, preemptionPolicy: PreemptLowerPriority",
            forbidden(
                "the string value of PreemptionPolicy (PreemptLowerPriority) must not be provided in pod spec; priority \
                 admission controller computed Never from the given PriorityClass name",
            ),
        ),
    ] {
        let text = format!("metadata: {{name: p}}\nspec: {{containers: [{{name: c}}], {spec}}}");
        let found = Asked::create("pods").admit(world, &text).map_err(|refusal| refusal.to_string());
        let found = found.as_ref().map_err(Clone::clone).map(|(pod, _)| {
            let text = |field| pod.str_at(&["spec", field]);
            let policy = text("preemptionPolicy").unwrap_or_default();
            (text("priorityClassName"), pod.int_at(&["spec", "priority"]).unwrap_or(-1), policy)
        });
        assert_eq!(found, expected, "{spec}");
    }
    let asked = Asked { namespace: "", ..Asked::create("priorityclasses.scheduling.k8s.io") };
    assert_eq!(
        asked.refusal(&world, "metadata: {name: second}\nvalue: 1\nglobalDefault: true"),
        "priorityclasses.scheduling.k8s.io \"second\" is forbidden: PriorityClass usual is already marked as default. Only one \
         default can exist"
    );
}
