//! Mirrored slices.

use plan::{Key, Plan, View, meta};
use rehearsal::{Playhouse, at, laws_hold, settle};
use typed::api::core::v1::Endpoints;
use typed::api::discovery::v1::EndpointSlice;

use super::{World, plan};

const CLUSTER: &str = "
apiVersion: v1
kind: Service
metadata: {name: db, namespace: default}
spec: {clusterIP: 10.0.0.2, ports: [{port: 5432}]}
---
apiVersion: v1
kind: Endpoints
metadata: {name: db, namespace: default}
subsets: [{addresses: [{ip: 192.0.2.1}, {ip: '2001:db8::1'}], notReadyAddresses: [{ip: 192.0.2.2}], ports: [{port: 5432, protocol: TCP}]}]
";

fn actor(house: &Playhouse, _now: jiff::Timestamp) -> Vec<Plan> {
    vec![plan(&Key::new("default", "db"), &World { services: house, endpoints: house, slices: house })]
}

#[test]
fn each_family_is_mirrored_until_told_otherwise() {
    let mut house = laws_hold(&Playhouse::read(at(0), CLUSTER), at(1), &[&actor]);
    let sizes = |house: &Playhouse| -> Vec<(String, usize)> {
        let slices: &dyn View<EndpointSlice> = house;
        let mut all: Vec<_> =
            slices.all().iter().map(|s| (s.address_type.clone(), s.endpoints.iter().flatten().count())).collect();
        all.sort();
        all
    };
    assert_eq!(sizes(&house), [("IPv4".to_owned(), 2), ("IPv6".to_owned(), 1)]);
    house.change::<Endpoints>("default", "db", |endpoints| {
        meta::set_label(&mut endpoints.metadata, super::SKIP, "true");
    });
    settle(&mut house, at(1), &[&actor]);
    assert_eq!(sizes(&house), []);
}
