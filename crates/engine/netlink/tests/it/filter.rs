//! Packet filter transactions.

use std::path::PathBuf;

use netlink::{Namespace, PacketFilter};
use nftables::{Chain, Change, Element, Family, Field, KeyBuilder, Set, Table, Verdict};

/// A network namespace that goes away with its owner.
struct Place(Namespace);

impl Place {
    fn new() -> Self {
        std::fs::create_dir_all("/run/netns").unwrap();
        Self(Namespace::create(&PathBuf::from(format!("/run/netns/fkt-filter-{}", env::rand::suffix(6)))).unwrap())
    }

    fn filter(&self) -> PacketFilter {
        self.0.enter(PacketFilter::open).unwrap().unwrap()
    }

    /// What the `nft` program sees, as an opinion that is not ours.
    #[expect(clippy::disallowed_methods, reason = "the opinion is that of a program of the machine")]
    fn seen(&self) -> String {
        let mut command = std::process::Command::new("nsenter");
        command.arg(format!("--net={}", self.0.path().display())).args(["nft", "list", "ruleset"]);
        String::from_utf8(command.output().unwrap().stdout).unwrap()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Err(error) = Namespace::remove(self.0.path()) {
            eprintln!("{error}");
        }
    }
}

const TABLE: Table = Table::new(Family::Ip4, "ours");
const FOREIGN: Table = Table::new(Family::Ip4, "foreign");

fn ports(count: u32) -> Vec<Element> {
    (0..count).map(|number| Element::key(KeyBuilder::new().number(number).build())).collect()
}

fn numbers(count: u32) -> Change {
    Change::ElementsAdd(TABLE, "numbers".into(), ports(count))
}

fn with_set() -> Vec<Change> {
    vec![Change::TableAdd(TABLE), Change::SetAdd(TABLE, Set::keys("numbers", &[Field::Number]))]
}

#[test]
fn a_refused_step_undoes_the_transaction_and_is_named() {
    let place = Place::new();
    let mut filter = place.filter();
    let mut changes = with_set();
    changes.push(Change::ElementsAdd(TABLE, "missing".into(), ports(1)));
    let error = filter.commit(&changes).unwrap_err();
    assert_eq!(error.to_string(), "the kernel refused to put 1 elements into set missing in table ours");
    assert!(error.is_absent(), "{error:?}");
    assert!(!filter.table_exists(&TABLE).unwrap(), "nothing of it stands");
    assert_eq!(filter.commit(&with_set()).unwrap().transactions, 1, "and the connection still serves");
}

#[test]
fn elements_are_read_back() {
    let place = Place::new();
    let mut filter = place.filter();
    let before = filter.generation().unwrap();
    filter.commit(&with_set()).unwrap();
    filter.commit(&[numbers(20_000)]).unwrap();
    assert_eq!(filter.generation().unwrap(), before + 2);
    let mut read: Vec<u32> = filter
        .elements(&TABLE, "numbers")
        .unwrap()
        .iter()
        .map(|element| u32::from_ne_bytes(element.key.as_slice().try_into().unwrap()))
        .collect();
    read.sort_unstable();
    assert!(read.into_iter().eq(0..20_000), "all elements, in more than one message");
}

#[test]
fn what_is_too_large_is_split() {
    let place = Place::new();
    let mut filter = place.filter().with_transaction_bytes_max(256 << 10);
    filter.commit(&with_set()).unwrap();
    let committed = filter.commit(&[numbers(50_000)]).unwrap();
    assert!(committed.transactions > 1, "{committed:?}");
    assert_eq!(filter.elements(&TABLE, "numbers").unwrap().len(), 50_000);
    assert_eq!(filter.commit(&[]).unwrap().transactions, 0);
}

#[test]
fn other_tables_are_not_touched() {
    let place = Place::new();
    let mut filter = place.filter();
    let foreign = [Change::TableAdd(FOREIGN), Change::ChainAdd(FOREIGN, Chain::regular("theirs"))];
    filter.commit(&foreign).unwrap();
    let before = place.seen();
    let mut changes = Change::reset(&TABLE).to_vec();
    changes.push(Change::ChainAdd(TABLE, Chain::regular("mine")));
    changes.push(Change::SetAdd(TABLE, Set::verdicts("ways", &[Field::Address4, Field::Protocol, Field::Port])));
    let key = KeyBuilder::new().address([10, 0, 0, 1].into()).protocol(6).port(80).build();
    let element = Element::verdict(key, Verdict::goto("mine"));
    changes.push(Change::ElementsAdd(TABLE, "ways".into(), vec![element]));
    filter.commit(&changes).unwrap();
    assert!(place.seen().contains("10.0.0.1 . tcp . 80 : goto mine"), "{}", place.seen());
    filter.commit(&Change::remove(&TABLE)).unwrap();
    assert_eq!(place.seen(), before);
}

#[test]
fn sysctls_and_missing_links_say_what_they_are() {
    let error = netlink::sysctl_write("net/ipv4/no_such_thing", "1").unwrap_err();
    assert_eq!(error.to_string(), "cannot access the kernel setting net/ipv4/no_such_thing");
    let place = Place::new();
    let mut routing = place.0.routing().unwrap();
    assert_eq!(routing.link("absent").unwrap(), None);
    let error = routing.apply(&[netlink::route::Request::LinkDelete("absent".to_owned())]).unwrap_err();
    assert!(error.is_absent() && error.to_string().contains("remove the link absent"), "{error}");
}
