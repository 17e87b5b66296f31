//! Credentials stay while they are good.

use jiff::SignedDuration;

use super::*;
use crate::cli::PlaceOptions;

fn wanted(advertise: &str) -> Wanted {
    Wanted {
        node_name: "node".to_owned(),
        advertise: advertise.parse().unwrap(),
        port: 6443,
        service_address: "10.96.0.1".parse().unwrap(),
    }
}

#[test]
fn credentials_are_made_kept_renewed_and_removed() {
    let folder = tempfile::tempdir().unwrap();
    let place = Place::of(&PlaceOptions { data_dir: Some(folder.path().to_owned()), kubeconfig: None });
    let start: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
    let both = |wanted: &Wanted, now| {
        let certificates = certificates(&place, wanted, now).unwrap();
        let kubeconfigs = kubeconfigs(&place, wanted, now).unwrap();
        (certificates.split(" in ").next().unwrap().to_owned(), kubeconfigs.split(';').next().unwrap().to_owned())
    };
    let texts = |certificates: &str, kubeconfigs: &str| (certificates.to_owned(), kubeconfigs.to_owned());
    let here = wanted("192.0.2.1");
    assert_eq!(both(&here, start), texts("11 made", "5 made"));
    assert_eq!(both(&here, start), texts("11 kept", "5 kept"));
    // The machine's address changed: whoever serves under it gets a new certificate, all clients another target.
    assert_eq!(both(&wanted("192.0.2.2"), start).1, "5 renewed");
    let late = start + SignedDuration::from_hours(24 * 340);
    assert_eq!(both(&wanted("192.0.2.2"), late), texts("7 renewed, 4 kept", "5 renewed"));
    remove(&place).unwrap();
    assert!(!place.kubernetes_dir.exists());
}

#[test]
fn addresses_of_both_families_make_urls() {
    for (address, expected) in [("192.0.2.1", "https://192.0.2.1:6443"), ("2001:db8::1", "https://[2001:db8::1]:6443")]
    {
        assert_eq!(wanted(address).server(), expected);
    }
}
