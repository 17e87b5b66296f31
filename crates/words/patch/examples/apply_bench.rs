//! How long keeping up ownership takes, for a Pod of a few kilobytes: `cargo run --release --example apply_bench`.

use std::hint::black_box;

use codec::Root;
use jiff::Timestamp;
use object::Value;
use patch::apply::{OneVersion, ResetFields, Write};
use patch::{apply, merge, strategic};

/// Runs per batch: short, so that some batch runs undisturbed.
const BATCH: u32 = 100;
const BATCHES: u32 = 200;

/// Prints the mean of the best batch. What a run makes is dropped outside of the measurement.
#[expect(clippy::print_stdout, reason = "the measurement is what this prints")]
fn measure<S, R>(name: &str, mut prepare: impl FnMut() -> S, mut run: impl FnMut(S) -> R) {
    let mut best = std::time::Duration::MAX;
    for _ in 0..BATCHES {
        let prepared: Vec<S> = (0..BATCH).map(|_| prepare()).collect();
        let mut made = Vec::with_capacity(prepared.len());
        let start = env::time::Instant::now();
        for state in prepared {
            made.push(black_box(run(state)));
        }
        best = best.min(start.elapsed());
    }
    println!("{name:44} {:8.2} µs", best.as_secs_f64() * 1e6 / f64::from(BATCH));
}

fn pod() -> Value {
    let container = |name: &str| {
        format!(
            r#"{{"name":"{name}","image":"registry.k8s.io/{name}:1.2.3","args":["--a","--b"],
            "ports":[{{"name":"http","containerPort":8080,"protocol":"TCP"}},{{"name":"metrics","containerPort":9090,"protocol":"TCP"}}],
            "env":[{{"name":"A","value":"1"}},{{"name":"B","value":"2"}},{{"name":"POD","valueFrom":{{"fieldRef":{{"apiVersion":"v1","fieldPath":"metadata.name"}}}}}}],
            "resources":{{"limits":{{"cpu":"500m","memory":"128Mi"}},"requests":{{"cpu":"100m","memory":"64Mi"}}}},
            "volumeMounts":[{{"name":"config","mountPath":"/etc/config"}},{{"name":"data","mountPath":"/data"}}],
            "livenessProbe":{{"httpGet":{{"path":"/healthz","port":8080,"scheme":"HTTP"}},"initialDelaySeconds":10,"timeoutSeconds":1,"periodSeconds":10,"successThreshold":1,"failureThreshold":3}},
            "terminationMessagePath":"/dev/termination-log","terminationMessagePolicy":"File","imagePullPolicy":"IfNotPresent","securityContext":{{"allowPrivilegeEscalation":false,"capabilities":{{"drop":["ALL"]}}}}}}"#
        )
    };
    let text = format!(
        r#"{{"apiVersion":"v1","kind":"Pod","metadata":{{"name":"web-5d4f8c7b9-abcde","generateName":"web-5d4f8c7b9-","namespace":"default","uid":"7f0c4d1e-0000-4000-8000-000000000000","resourceVersion":"123","labels":{{"app":"web","pod-template-hash":"5d4f8c7b9"}},
        "ownerReferences":[{{"apiVersion":"apps/v1","kind":"ReplicaSet","name":"web-5d4f8c7b9","uid":"u","controller":true,"blockOwnerDeletion":true}}]}},
        "spec":{{"volumes":[{{"name":"config","configMap":{{"name":"web","defaultMode":420}}}},{{"name":"data","emptyDir":{{}}}}],
        "containers":[{},{}],"restartPolicy":"Always","terminationGracePeriodSeconds":30,"dnsPolicy":"ClusterFirst","serviceAccountName":"default","securityContext":{{}},"schedulerName":"default-scheduler","tolerations":[{{"key":"node.kubernetes.io/not-ready","operator":"Exists","effect":"NoExecute","tolerationSeconds":300}}],"enableServiceLinks":true}},
        "status":{{"phase":"Pending","qosClass":"Burstable"}}}}"#,
        container("web"),
        container("sidecar")
    );
    let root = Root::builtin("v1", "Pod").expect("Pod is a kind");
    codec::json::decode(text.as_bytes(), root).expect("the Pod is well-formed").value
}

fn main() {
    let root = Root::builtin("v1", "Pod").expect("Pod is a kind");
    let reset = ResetFields::none().except("v1", ["status"]);
    let write = Write {
        root,
        manager: "kube-controller-manager",
        api_version: "v1",
        subresource: "",
        now: Timestamp::from_second(1_700_000_000).expect("it is a time"),
        reset: &reset,
        versions: &OneVersion,
    };
    let fresh = pod();
    size("Pod", &fresh, root);
    let mut live = fresh.clone();
    apply::create(&write, &mut live);
    size("Pod with its owner", &live, root);

    measure(
        "create",
        || fresh.clone(),
        |mut new| {
            apply::create(&write, &mut new);
            new
        },
    );
    measure(
        "update without a change",
        || live.clone(),
        |mut new| {
            apply::update(&write, &live, &mut new);
            new
        },
    );
    let mut labelled = live.clone();
    labelled.set(&["metadata", "labels", "new"], "x");
    measure(
        "update of one label",
        || labelled.clone(),
        |mut new| {
            apply::update(&write, &live, &mut new);
            new
        },
    );

    let none = ResetFields::none().except("v1", ["spec"]);
    let kubelet = Write { manager: "kubelet", subresource: "status", reset: &none, ..write };
    let mut running = live.clone();
    running.set(&["status", "phase"], "Running");
    running.set(&["status", "podIP"], "10.0.0.7");
    measure(
        "status update by another manager",
        || running.clone(),
        |mut new| {
            apply::update(&kubelet, &live, &mut new);
            new
        },
    );
    apply::update(&kubelet, &live, &mut running);
    status_of_own(&kubelet, &running);
    applies(&write, &fresh);
    patches(&live, root);
}

fn status_of_own(kubelet: &Write<'_>, running: &Value) {
    let mut failed = running.clone();
    failed.set(&["status", "phase"], "Failed");
    measure(
        "status update of what it owns already",
        || failed.clone(),
        |mut new| {
            apply::update(kubelet, running, &mut new);
            new
        },
    );
}

fn applies(write: &Write<'_>, fresh: &Value) {
    let root = write.root;
    let mut config = fresh.clone();
    for key in ["uid", "resourceVersion", "generateName"] {
        config.remove(&["metadata", key]);
    }
    config.remove(&["status"]);
    let applier = Write { manager: "applier", ..*write };
    let made = apply::apply(&applier, None, &config, false).expect("nobody is in the way");
    let made = codec::conform(made.value, root).expect("it is of its type").value;
    measure("apply of a new object", || (), |()| apply::apply(&applier, None, &config, false));
    measure("apply without a change", || (), |()| apply::apply(&applier, Some(&made), &config, false));
}

fn patches(live: &Value, root: Root<'_>) {
    measure("conform of what is canonical", || live.clone(), |value| codec::conform(value, root));
    let text = codec::json::encode(live, root);
    measure("the same through text: decode alone", || (), |()| codec::json::decode(&text, root));
    let patch =
        codec::json::parse(br#"{"metadata":{"labels":{"a":"b"}},"spec":{"containers":[{"name":"web","image":"x"}]}}"#)
            .expect("it is JSON");
    measure("strategic patch", || (live.clone(), patch.clone()), |(live, patch)| strategic::apply(live, patch, root));
    measure("merge patch", || (live.clone(), patch.clone()), |(live, patch)| merge::apply(live, patch));
}

#[expect(clippy::print_stdout, reason = "the measurement is what this prints")]
fn size(name: &str, value: &Value, root: Root<'_>) {
    println!("{name:44} {:8} bytes of JSON", codec::json::encode(value, root).len());
}
