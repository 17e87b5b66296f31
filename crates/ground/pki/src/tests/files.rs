//! Files: the whole set, made once, reused, renewed; modes; kubeconfigs.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::kubeconfig::{CLIENTS, Kubeconfig, Target};
use crate::layout::{self, Outcome, Site};
use crate::tests::{authority, days, noon};
use crate::{Algorithm, files};

fn site() -> Site {
    let mut site = Site::new("node-1", "cluster.local", [10, 0, 0, 5].into(), [10, 96, 0, 1].into());
    site.api_server_names = vec!["lb.example.com".to_owned()];
    site
}

fn mode(path: &Path) -> u32 {
    env::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn the_set_is_made_once_and_reused() {
    let dir = tempfile::tempdir().unwrap();
    let first = layout::ensure_all(dir.path(), &site(), noon()).unwrap();
    assert_eq!(first.len(), 11);
    assert!(first.iter().all(|(_, outcome)| *outcome == Outcome::Created), "{first:?}");
    let second = layout::ensure_all(dir.path(), &site(), noon()).unwrap();
    assert!(second.iter().all(|(_, outcome)| *outcome == Outcome::Reused), "{second:?}");
    for (name, _) in &first {
        assert_eq!(mode(&files::key_path(dir.path(), name)), 0o600, "{name}.key");
    }
    assert_eq!(mode(&files::certificate_path(dir.path(), "apiserver")), 0o644);
    assert_eq!(mode(&dir.path().join("sa.pub")), 0o644);
    let server = files::load_pair(dir.path(), "apiserver").unwrap().unwrap();
    let expected = ["node-1", "kubernetes", "kubernetes.default", "kubernetes.default.svc"];
    assert_eq!(server.leaf().names.dns[..4], expected);
    assert_eq!(server.leaf().names.dns[4..], ["kubernetes.default.svc.cluster.local", "lb.example.com"]);
    assert_eq!(server.leaf().names.ips.len(), 2);
}

#[test]
fn what_nears_its_end_or_lacks_a_name_is_renewed_with_its_key() {
    let dir = tempfile::tempdir().unwrap();
    layout::ensure_all(dir.path(), &site(), noon()).unwrap();
    let key = files::load_pair(dir.path(), "apiserver").unwrap().unwrap().key.public();

    let mut more = site();
    more.api_server_names.push("another.example.com".to_owned());
    let renewed = |done: Vec<(String, Outcome)>| -> Vec<String> {
        done.into_iter().filter(|(_, outcome)| *outcome == Outcome::Renewed).map(|(name, _)| name).collect()
    };
    let done = renewed(layout::ensure_all(dir.path(), &more, noon()).unwrap());
    assert_eq!(done, ["apiserver"]);

    let later = noon() + days(340);
    let done = renewed(layout::ensure_all(dir.path(), &more, later).unwrap());
    assert_eq!(done.len(), 7, "every leaf, no authority: {done:?}");
    let pair = files::load_pair(dir.path(), "apiserver").unwrap().unwrap();
    assert_eq!(pair.key.public(), key);
    assert_eq!(pair.leaf().not_after, later + days(365));
}

#[test]
fn a_wrong_key_is_an_error_that_names_the_file() {
    let dir = tempfile::tempdir().unwrap();
    layout::ensure_all(dir.path(), &site(), noon()).unwrap();
    env::fs::copy(files::key_path(dir.path(), "ca"), files::key_path(dir.path(), "apiserver")).unwrap();
    let error = files::load_pair(dir.path(), "apiserver").unwrap_err();
    assert!(error.to_string().contains("apiserver.crt"), "{error}");
}

#[test]
fn combined_files_round_trip() {
    let dir = tempfile::tempdir().unwrap();
    layout::ensure_all(dir.path(), &site(), noon()).unwrap();
    let pair = files::load_pair(dir.path(), "front-proxy-client").unwrap().unwrap();
    let path = dir.path().join("kubelet-client-current.pem");
    files::store_combined(&path, &pair).unwrap();
    assert_eq!(mode(&path), 0o600);
    let again = files::load_combined(&path).unwrap().unwrap();
    assert_eq!(again.leaf().der(), pair.leaf().der());
    assert!(files::load_combined(&dir.path().join("absent.pem")).unwrap().is_none());
}

#[test]
fn kubeconfigs_are_issued_stored_and_resolved() {
    let dir = tempfile::tempdir().unwrap();
    let authority = authority(Algorithm::default());
    let target = Target { cluster: "kubernetes".to_owned(), server: "https://10.0.0.5:6443".to_owned() };
    for row in &CLIENTS {
        let subject = row.subject("node-1");
        let life = (noon(), days(365));
        let config = Kubeconfig::issue(&target, &authority, subject.clone(), Algorithm::default(), life).unwrap();
        let path = dir.path().join(row.file);
        config.store(&path).unwrap();
        assert_eq!(mode(&path), 0o600);
        let read = Kubeconfig::load(&path).unwrap();
        assert_eq!(read, config);
        let (_, cluster, user) = read.resolve(None).unwrap();
        assert_eq!(cluster.server, "https://10.0.0.5:6443");
        assert_eq!(cluster.authorities().unwrap().unwrap(), authority.certificate().to_pem().as_bytes());
        assert_eq!(user.certificate().unwrap().unwrap().leaf().subject, subject);
    }
    let text = env::fs::read_to_string(dir.path().join("admin.conf")).unwrap();
    assert!(text.contains("current-context: kubernetes-admin@kubernetes"), "{text}");
    for name in ["certificate-authority-data", "client-certificate-data", "client-key-data"] {
        // As `grep NAME | awk '{print $2}' | base64 -d` takes it out.
        let line = text.lines().find(|line| line.contains(name)).unwrap();
        let word = line.split_whitespace().nth(1).unwrap();
        assert!(word.starts_with("LS0tLS1CRUdJTi") && word.len() > 80, "{line}");
    }
}

#[test]
fn a_foreign_kubeconfig_keeps_what_it_has() {
    let text = r#"
apiVersion: v1
kind: Config
clusters:
- name: c
  cluster:
    server: https://[::1]:6443
    certificate-authority: ca.crt
    tls-server-name: kubernetes
    extensions: [{name: minikube, extension: {provider: minikube.sigs.k8s.io}}]
contexts: [{name: x, context: {cluster: c, user: u, namespace: team}}]
current-context: x
preferences: null
users:
- name: u
  user:
    exec: {apiVersion: client.authentication.k8s.io/v1, command: login, args: [a, b], interactiveMode: Never}
    as: someone
"#;
    let config = Kubeconfig::from_yaml(text).unwrap();
    let (context, cluster, user) = config.resolve(Some("x")).unwrap();
    assert_eq!(context.namespace.as_deref(), Some("team"));
    assert_eq!(cluster.tls_server_name.as_deref(), Some("kubernetes"));
    assert_eq!(user.exec.as_ref().unwrap().args.as_ref().unwrap().len(), 2);
    let again = Kubeconfig::from_yaml(&config.to_yaml().unwrap()).unwrap();
    assert_eq!(again, config);
    assert!(Kubeconfig::from_yaml("[1, 2").is_err());
}
