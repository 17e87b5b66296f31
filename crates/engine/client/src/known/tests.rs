//! Who shares what, and for how long.

use super::*;
use typed::api::core::v1::{ConfigMap, Secret};

fn config(number: u32, revision: &str) -> ConfigMap {
    let mut config = ConfigMap::default();
    config.metadata.uid = Some(uid(number));
    config.metadata.resource_version = Some(revision.to_owned());
    config
}

fn uid(number: u32) -> String {
    format!("{number:08x}-0000-4000-8000-000000000000")
}

#[test]
fn one_revision_is_one_object_as_long_as_it_is_held() {
    let known = Known::default();
    let first = known.share(config(1, "7"));
    assert!(Arc::ptr_eq(&first, &known.share(config(1, "7"))), "the second reader gets the first one's");
    assert!(known.find(&uid(1), "7").is_some_and(|found: Arc<ConfigMap>| Arc::ptr_eq(&first, &found)));
    assert!(known.find::<ConfigMap>(&uid(1), "8").is_none(), "another revision");
    assert!(known.find::<ConfigMap>(&uid(2), "7").is_none(), "another object");
    assert!(known.find::<Secret>(&uid(1), "7").is_none(), "another kind");
    drop(first);
    assert!(known.find::<ConfigMap>(&uid(1), "7").is_none(), "nobody holds it");
}

#[test]
fn who_is_behind_does_not_hide_what_is_newer() {
    let known = Known::default();
    let newest = known.share(config(1, "10"));
    let old = known.share(config(1, "9"));
    assert_eq!(old.metadata.resource_version.as_deref(), Some("9"));
    assert!(known.find(&uid(1), "10").is_some_and(|found: Arc<ConfigMap>| Arc::ptr_eq(&newest, &found)));
}

#[test]
fn what_no_server_gave_is_not_shared() {
    let known = Known::default();
    for (uid, revision) in
        [("", "1"), ("a1", "1"), (&*uid(1), ""), (&*uid(1), "x"), (&*format!("+{}", &uid(1)[1..]), "1")]
    {
        let mut object = config(1, revision);
        object.metadata.uid = Some(uid.to_owned());
        let (one, two) = (known.share(object.clone()), known.share(object));
        assert!(!Arc::ptr_eq(&one, &two), "{uid} {revision}");
    }
}

#[test]
fn what_is_gone_is_forgotten() {
    let known = Known::default();
    let held: Vec<Arc<ConfigMap>> = (0..100).map(|number| known.share(config(number, "1"))).collect();
    for number in 100..20_000 {
        known.share(config(number, "1"));
    }
    assert!(known.0.lock().newest.len() <= ENTRIES_UNSWEPT_MAX);
    for number in 0..100 {
        assert!(known.find::<ConfigMap>(&uid(number), "1").is_some());
    }
    assert_eq!(held.len(), 100);
}
