//! Quotas.

use object::Quantity;
use plan::Key;
use rehearsal::{Playhouse, at, script};
use typed::api::core::v1::ResourceQuota;

use super::{Usage, plan};

#[derive(Debug)]
struct Fixed(&'static str);

impl Usage for Fixed {
    fn used(&self, _quota: &ResourceQuota, resource: &str) -> Option<Quantity> {
        (resource == "requests.cpu").then(|| Quantity::parse(self.0).expect("a quantity"))
    }
}

#[test]
fn use_is_written_when_it_changed() {
    let mut house = Playhouse::read(
        at(0),
        "{apiVersion: v1, kind: ResourceQuota, metadata: {name: q, namespace: a}, spec: {hard: {requests.cpu: '4', unknown: '1'}}}",
    );
    let key = Key::new("a", "q");
    house.play(&plan(&key, &house, &Fixed("1500m"), at(0)));
    let used = house.expect::<ResourceQuota>("a", "q").status.clone().unwrap().used.unwrap();
    assert_eq!((used.len(), used["requests.cpu"].0.as_str()), (1, "1500m"));
    let again = plan(&key, &house, &Fixed("1.5"), at(0));
    assert_eq!((again.actions().count(), again.requeue_at), (0, Some(at(300))), "the same amount in other words");
    assert_eq!(script(&plan(&key, &house, &Fixed("2"), at(0))), "update ResourceQuota q status");
}
