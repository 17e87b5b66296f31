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
fn the_first_node_has_its_share_of_the_cluster() {
    for (cluster, expected) in
        [("10.244.0.0/16", "10.244.0.0/24"), ("10.1.2.0/25", "10.1.2.0/25"), ("fd00::/48", "fd00::/64")]
    {
        let range = first_node_range(podnet::config::range(cluster).unwrap());
        assert_eq!(format!("{}/{}", range.address, range.prefix), expected);
    }
}
