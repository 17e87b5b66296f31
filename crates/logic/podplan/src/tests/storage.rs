//! Who uses more of the disk than it may.

use std::collections::BTreeMap;

use typed::api::core::v1::{EmptyDirVolumeSource, Pod};
use typed::resource::Quantity;

use super::pod;
use crate::storage::{self, ContainerUse, Usage};

/// A pod with two containers, of which `limits` limits the disk's use, a volume on disk that is limited, one in memory,
/// and a config map.
fn limited(size_limit: &str, limits: [&str; 2]) -> Pod {
    let mut pod = pod("main:a main:b");
    let spec = pod.spec.as_mut().expect("a specification");
    for (container, limit) in spec.containers.iter_mut().zip(limits).filter(|(_, limit)| !limit.is_empty()) {
        let limits = container.resources.get_or_insert_default().limits.get_or_insert_default();
        limits.insert(storage::EPHEMERAL_STORAGE.to_owned(), Quantity(limit.to_owned()));
    }
    let source = |medium: &str, limit: &str| EmptyDirVolumeSource {
        medium: Some(medium.to_owned()),
        size_limit: (!limit.is_empty()).then(|| Quantity(limit.to_owned())),
    };
    let volumes = spec.volumes.get_or_insert_default();
    for (name, medium, limit) in [("disk", "", size_limit), ("memory", "Memory", size_limit)] {
        let volume = typed::api::core::v1::Volume {
            name: name.to_owned(),
            empty_dir: Some(source(medium, limit)),
            ..Default::default()
        };
        volumes.push(volume);
    }
    let map = typed::api::core::v1::Volume {
        name: "map".to_owned(),
        config_map: Some(Default::default()),
        ..Default::default()
    };
    volumes.push(map);
    pod
}

/// `disk=1 memory=2 a=3+4`: bytes of volumes, and of containers' layers and logs.
fn usage(text: &str) -> Usage {
    let mut usage = Usage::default();
    for word in text.split_whitespace() {
        let (name, amount) = word.split_once('=').expect("an amount");
        match amount.split_once('+') {
            Some((layer, log)) => {
                let one = ContainerUse {
                    layer_bytes: layer.parse().expect("a number"),
                    log_bytes: log.parse().expect("a number"),
                };
                usage.containers.insert(name.to_owned(), one);
            }
            None => drop(usage.volumes.insert(name.to_owned(), amount.parse().expect("a number"))),
        }
    }
    usage
}

#[test]
fn whoever_uses_more_than_it_may_is_evicted() {
    const VOLUME: &str = "Usage of EmptyDir volume \"disk\" exceeds the limit \"1Ki\". ";
    const MEMORY: &str = "Usage of EmptyDir volume \"memory\" exceeds the limit \"1Ki\". ";
    const ALL: &str = "Pod ephemeral local storage usage exceeds the total limit of containers 3Ki. ";
    const ONE: &str = "Container a exceeded its local ephemeral storage limit \"1Ki\". ";
    // The volumes' limit, the containers', what is used, whether images have a disk of their own, what is said.
    let cases = [
        ("1Ki", ["", ""], "disk=1024 memory=1024 map=9999 a=9999+9999", false, ""),
        ("1Ki", ["", ""], "disk=1025", false, VOLUME),
        ("1Ki", ["", ""], "memory=1025", false, MEMORY),
        ("1024", ["", ""], "disk=1025", false, "Usage of EmptyDir volume \"disk\" exceeds the limit \"1024\". "),
        ("0", ["", ""], "disk=1025", false, ""),
        ("", ["1Ki", "2Ki"], "a=500+524 b=1024+1024", false, ""),
        ("", ["1Ki", "2Ki"], "a=500+525 b=0+0", false, ONE),
        ("", ["1Ki", "2Ki"], "a=500+525 b=0+0", true, ""),
        ("", ["1Ki", "2Ki"], "a=0+1025 b=0+0", true, ONE),
        ("", ["1Ki", "2Ki"], "disk=3073", false, ALL),
        ("", ["1Ki", "2Ki"], "map=3073", false, ALL),
        ("", ["1Ki", "2Ki"], "memory=3073", false, ""),
        ("", ["1Ki", "2Ki"], "a=9999+0 b=9999+0", true, ""),
        ("1Ki", ["1Ki", "2Ki"], "disk=9999 a=9999+0", false, VOLUME),
        ("", ["3Ki", ""], "a=0+0 b=3073+0", false, ALL),
        ("", ["0", ""], "a=0+0", false, ""),
    ];
    for (size_limit, limits, used, apart, expected) in cases {
        let pod = limited(size_limit, limits);
        let verdict = storage::exceeds(&pod, &usage(used), apart);
        let said = verdict.map(|(_, verdict)| (verdict.reason, verdict.message)).unwrap_or_default();
        assert_eq!(said.1, expected, "{size_limit} {limits:?} {used} {apart}");
        assert_eq!(said.0 == "Evicted", !expected.is_empty());
    }
}

#[test]
fn only_what_is_limited_is_measured_and_the_critical_never() {
    let cases = [("", ["", ""], false), ("0", ["", ""], false), ("1Ki", ["", ""], true), ("", ["", "1Gi"], true)];
    for (size_limit, limits, expected) in cases {
        let mut pod = limited(size_limit, limits);
        assert_eq!(storage::is_limited(&pod), expected, "{size_limit} {limits:?}");
        pod.spec.as_mut().expect("a specification").priority = Some(2_000_000_000);
        assert!(!storage::is_limited(&pod));
        assert_eq!(storage::exceeds(&pod, &usage("disk=9999999 a=99999999999+1"), false), None);
    }
    assert!(!storage::is_limited(&Pod::default()));
}

#[test]
fn a_volume_in_memory_is_no_larger_than_its_pod() {
    // The volume's limit, the pod's memory, the node's, the size.
    let cases = [
        ("", "", 1000, 1000),
        ("100", "", 1000, 100),
        ("2000", "", 1000, 1000),
        ("", "500", 1000, 500),
        ("100", "500", 1000, 100),
        ("700", "500", 1000, 500),
        ("0", "2000", 1000, 1000),
    ];
    for (limit, memory, allocatable, expected) in cases {
        let mut pod = pod("main:a");
        if !memory.is_empty() {
            let container = &mut pod.spec.as_mut().expect("a specification").containers[0];
            let limits = BTreeMap::from([("memory".to_owned(), Quantity(memory.to_owned()))]);
            container.resources.get_or_insert_default().limits = Some(limits);
        }
        let size_limit = (!limit.is_empty()).then(|| Quantity(limit.to_owned()));
        let source = EmptyDirVolumeSource { medium: Some("Memory".to_owned()), size_limit };
        assert_eq!(storage::memory_volume_bytes(&pod, &source, allocatable), expected, "{limit} {memory}");
    }
}
