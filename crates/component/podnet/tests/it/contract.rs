//! The CNI specification's contract.

use std::time::Duration;

use env::time::Instant;

use crate::host::{Host, Node};

fn nothing() -> std::collections::BTreeMap<String, usize> {
    [("files".to_owned(), 0), ("cables".to_owned(), 0)].into()
}

#[test]
fn add_check_delete() {
    let node = Node::new();
    let (pod, [four, six]) = node.pod("c1", "");
    assert_eq!((four.to_string().as_str(), six.to_string().as_str()), ("10.244.7.3", "fd00:244:7::3"));
    let checked = node.call("CHECK", "c1", Some(&pod), "");
    assert_eq!(checked.code, 0, "{}", checked.text);
    assert_eq!(node.call("DEL", "c1", Some(&pod), "").code, 0);
    assert_eq!(node.traces(), nothing());
    let gone = node.call("CHECK", "c1", Some(&pod), "");
    assert_eq!(gone.code, 1, "CHECK after DEL fails: {}", gone.text);
    let again = node.call("DEL", "c1", None, "");
    assert_eq!(again.code, 0, "DEL of nothing succeeds: {}", again.text);
}

#[test]
fn delete_after_the_namespace_is_gone() {
    let node = Node::new();
    let (pod, _) = node.pod("c1", "");
    drop(pod);
    assert_eq!(node.call("DEL", "c1", None, "").code, 0);
    assert_eq!(node.traces(), nothing());
}

#[test]
fn delete_under_another_configuration() {
    let node = Node::new();
    let (_pod, _) = node.pod("c1", "");
    let environment = podnet::cni::Environment {
        command: "DEL".to_owned(),
        container: "c1".to_owned(),
        namespace: String::new(),
        interface: "eth0".to_owned(),
    };
    let folder = node.folder.path().display();
    let config = format!(r#"{{"cniVersion":"1.0.0","name":"net","type":"ferrokube-cni","dataDir":"{folder}"}}"#);
    let deleted = node.host.inside(move || podnet::cni::run(&config, &environment));
    assert_eq!(deleted.code, 0, "{}", deleted.text);
    assert_eq!(node.traces(), nothing());
}

#[test]
fn a_failed_addition_leaves_nothing() {
    let node = Node::new();
    let (_holder, _) = node.pod("holder", HOST_PORT);
    let before = node.traces();
    let pod = Host::new("pod");
    let refused = node.call("ADD", "c2", Some(&pod), HOST_PORT);
    assert!(refused.code == 1 && refused.text.contains("host port"), "{}", refused.text);
    assert_eq!(node.traces(), before);
    let missing = node.call("ADD", "c3", None, "");
    assert_eq!(missing.code, 1, "ADD needs a namespace");
}

const HOST_PORT: &str = r#","runtimeConfig":{"portMappings":[{"hostPort":8081,"containerPort":80,"protocol":"tcp"}]}"#;

#[test]
fn collection_ends_what_the_runtime_does_not_know() {
    let node = Node::new();
    let (_kept, _) = node.pod("kept", "");
    let (_lost, _) = node.pod("lost", HOST_PORT);
    let valid = r#","cni.dev/valid-attachments":[{"containerID":"kept","ifname":"eth0"}]"#;
    let collected = node.call("GC", "", None, valid);
    assert_eq!(collected.code, 0, "{}", collected.text);
    let left = [("files".to_owned(), 2), ("cables".to_owned(), 1)].into();
    assert_eq!(node.traces(), left, "two addresses and a cable are left");
}

#[test]
fn answers_about_itself() {
    let node = Node::new();
    let cases =
        [("VERSION", 0, "supportedVersions"), ("STATUS", 0, ""), ("DANCE", 1, r#""code":4"#), ("GC", 1, r#""code":7"#)];
    for (command, code, text) in cases {
        let outcome = node.call(command, "c1", None, "");
        assert!(outcome.code == code && outcome.text.contains(text), "{command}: {}", outcome.text);
    }
    node.host.inside(podnet::node::cleanup).unwrap();
    let status = node.call("STATUS", "", None, "");
    assert!(status.code == 1 && status.text.contains(r#""code":50"#), "{}", status.text);
    assert_eq!(node.call("ADD", "../x", None, "").code, 1, "identifiers are checked");
}

#[test]
fn loopback_is_a_plugin_too() {
    let node = Node::new();
    let pod = Host::new("pod");
    let config = r#"{"cniVersion":"0.3.1","name":"cni-loopback","type":"loopback"}"#;
    let call = |command: &str| {
        let environment = podnet::cni::Environment {
            command: command.to_owned(),
            container: "c1".to_owned(),
            namespace: pod.namespace.path().display().to_string(),
            interface: "lo".to_owned(),
        };
        node.host.inside(move || podnet::cni::run(config, &environment))
    };
    assert_eq!(call("CHECK").code, 1, "the loopback of a new namespace is down");
    let added = call("ADD");
    assert!(added.code == 0 && added.text.contains(r#""address":"127.0.0.1/8""#), "{}", added.text);
    assert_eq!((call("CHECK").code, call("DEL").code), (0, 0));
}

#[test]
fn plugins_are_installed_beside_others() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("loopback"), "theirs").unwrap();
    podnet::node::plugins_install(folder.path()).unwrap();
    podnet::node::plugins_install(folder.path()).unwrap();
    assert!(folder.path().join(podnet::PLUGIN).exists());
    assert_eq!(std::fs::read_to_string(folder.path().join("loopback")).unwrap(), "theirs");
    podnet::node::plugins_remove(folder.path()).unwrap();
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "theirs stays");
}

#[test]
fn reservations_of_an_earlier_boot_are_void() {
    let node = Node::new();
    let folder = node.folder.path().join("net");
    std::fs::create_dir_all(&folder).unwrap();
    for last in 2..255 {
        std::os::unix::fs::symlink("earlier-boot/c0/eth0", folder.join(format!("10.244.7.{last}"))).unwrap();
    }
    let (_pod, [four, _]) = node.pod("c1", "");
    assert_eq!(four.to_string(), "10.244.7.3");
}

#[test]
fn a_hundred_pods_one_after_the_other() {
    let node = Node::new();
    let namespaces: Vec<Host> = (0..100).map(|_| Host::new("pod")).collect();
    let mut times: Vec<Duration> = Vec::new();
    for (index, namespace) in namespaces.iter().enumerate() {
        let start = Instant::now();
        let outcome = node.call("ADD", &format!("c{index}"), Some(namespace), "");
        times.push(start.elapsed());
        assert_eq!(outcome.code, 0, "{}", outcome.text);
    }
    let start = Instant::now();
    for index in 0..100 {
        assert_eq!(node.call("DEL", &format!("c{index}"), None, "").code, 0);
    }
    let deleted = start.elapsed() / 100;
    assert_eq!(node.traces(), nothing());
    times.sort_unstable();
    println!("ADD median {:?}, worst {:?}; DEL mean {deleted:?}", times[50], times[99]);
    assert!(times[50] < Duration::from_millis(50), "ADD took {:?}", times[50]);
}

#[test]
fn pods_added_at_once_get_different_addresses() {
    let node = Node::new();
    let namespaces: Vec<Host> = (0..16).map(|_| Host::new("pod")).collect();
    let outcomes = std::thread::scope(|scope| {
        let threads: Vec<_> = namespaces
            .iter()
            .enumerate()
            .map(|(index, namespace)| {
                let node = &node;
                scope.spawn(move || node.call("ADD", &format!("c{index}"), Some(namespace), ""))
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
    });
    for outcome in &outcomes {
        assert_eq!(outcome.code, 0, "{}", outcome.text);
    }
    assert_eq!(node.traces(), [("files".to_owned(), 32), ("cables".to_owned(), 16)].into());
}
