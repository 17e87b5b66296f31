//! Which rows follow from which names.

use super::*;

#[test]
fn names_choose_rows_in_the_order_of_the_table() {
    let choose = |names: &[&str]| {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        choose(&names).map(|rows| rows.iter().map(|row| row.name).collect::<Vec<_>>())
    };
    assert_eq!(choose(&[]).unwrap().len(), COMPONENTS.len());
    assert_eq!(choose(&["podnet"]).unwrap(), ["podnet"]);
    assert_eq!(choose(&["nonsense"]), Err(BadChoice::Unknown("nonsense".to_owned())));
    for unbuilt in COMPONENTS.iter().filter(|row| row.start.is_none()) {
        assert_eq!(choose(&[unbuilt.name]), Err(BadChoice::NotBuilt(unbuilt.name)));
    }
}

#[test]
fn only_what_handles_containers_needs_a_runtime() {
    let need = |names: &[&str]| need_runtime(&names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
    assert!(need(&["kubelet"]) && need(&["apiserver", "podnet"]));
    assert!(!need(&["proxy"]) && !need(&["apiserver", "controller-manager", "scheduler"]));
}
