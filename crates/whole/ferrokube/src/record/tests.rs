//! One instance at a time.

use super::*;
use crate::cli::PlaceOptions;

#[test]
fn a_place_has_one_instance_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let place = Place::of(&PlaceOptions { data_dir: Some(folder.path().to_owned()), kubeconfig: None });
    assert_eq!(Instance::running(&place).unwrap(), None);
    let first = Instance::begin(&place).unwrap();
    let own = i32::try_from(std::process::id()).unwrap();
    assert_eq!(Instance::running(&place).unwrap(), Some(own));
    let second = Instance::begin(&place).unwrap_err().to_string();
    assert_eq!(second, format!("it is up already, as process {own}"));
    drop(first);
    assert_eq!(Instance::running(&place).unwrap(), None);
    Instance::begin(&place).unwrap();
}

#[test]
fn records_survive_a_round_trip_and_damage_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let place = Place::of(&PlaceOptions { data_dir: Some(folder.path().to_owned()), kubeconfig: None });
    assert_eq!(Record::load(&place).unwrap(), None);
    let record = Record {
        components: vec!["apiserver".to_owned()],
        server: "https://127.0.0.1:6443".to_owned(),
        kubeconfig: place.kubeconfig.clone(),
        node_name: "n".to_owned(),
        is_node: false,
        foreign_runtime: None,
    };
    record.store(&place).unwrap();
    assert_eq!(Record::load(&place).unwrap(), Some(record));
    std::fs::write(place.record(), "{").unwrap();
    assert!(Record::load(&place).unwrap_err().to_string().contains("is damaged"));
}
