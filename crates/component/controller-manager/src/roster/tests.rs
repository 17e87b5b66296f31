//! Who runs when.

use super::{CONTROLLERS, Selection, find};

fn running(flag: &str, gates: &[&str]) -> Vec<&'static str> {
    let selection = Selection::parse(flag.split(',')).expect("known names");
    CONTROLLERS.iter().filter(|row| selection.runs(row, |gate| gates.contains(&gate))).map(|row| row.name).collect()
}

#[test]
fn names_are_sorted_and_unique() {
    assert!(CONTROLLERS.windows(2).all(|pair| pair[0].name < pair[1].name));
    let mut aliases: Vec<&str> = CONTROLLERS.iter().map(|row| row.alias).filter(|alias| !alias.is_empty()).collect();
    aliases.sort_unstable();
    assert!(aliases.windows(2).all(|pair| pair[0] < pair[1]));
}

#[test]
fn the_flag_selects_by_name_and_by_alias() {
    let all = running("*", &[]);
    assert!(all.contains(&"deployment-controller") && !all.contains(&"token-cleaner-controller"));
    assert!(!all.contains(&"service-lb-controller"));
    let kubeadm = running("*,bootstrapsigner,tokencleaner", &[]);
    assert_eq!(kubeadm.len(), all.len() + 2);
    assert_eq!(running("*,-nodeipam", &[]).len(), all.len() - 1);
    assert_eq!(running("job-controller,cronjob", &[]), ["cronjob-controller", "job-controller"]);
    assert_eq!(running("*", &["StorageVersionMigrator"]).len(), all.len() + 1);
    assert_eq!(running("", &[]).len(), 0);
    assert_eq!(find("csrsigning").map(|row| row.name), Some("certificatesigningrequest-signing-controller"));
}

#[test]
fn unknown_names_are_all_reported() {
    let problems = Selection::parse(["*", "-nope", "neither"]).unwrap_err();
    assert_eq!(
        problems,
        ["\"nope\" is not in the list of known controllers", "\"neither\" is not in the list of known controllers"]
    );
}
