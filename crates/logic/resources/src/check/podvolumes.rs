//! Volumes of pods.

use std::collections::{BTreeMap, BTreeSet};

use kind::Problem;

use super::spot::{Problems, Spot};
use super::{environment, formats, volume};

/// The volumes that containers may use.
pub(crate) fn by_name<'a>(volumes: &Spot<'a>) -> BTreeMap<&'a str, Spot<'a>> {
    let mut known = BTreeMap::new();
    for volume in volumes.items() {
        let mut problems = Problems::new();
        source(&volume, &mut problems);
        volume.at("name").or_empty().label(&mut problems);
        // A volume that is none cannot be mounted; of two with one name, the first is meant.
        if problems.is_empty() {
            known.entry(volume.at("name").text()).or_insert(volume);
        }
    }
    known
}

/// The volumes of a pod.
pub(crate) fn check(volumes: &Spot<'_>, out: &mut Problems) {
    let mut seen = BTreeSet::new();
    for volume in volumes.items() {
        let before = out.len();
        source(&volume, out);
        let name = volume.at("name");
        if name.need(out) {
            name.label(out);
            if seen.contains(name.text()) {
                name.duplicate(out);
            }
        }
        if out.len() == before {
            seen.insert(name.text());
        }
    }
}

/// Exactly one source, and what is wrong with it.
fn source(volume: &Spot<'_>, out: &mut Problems) {
    let mut found = 0;
    for (key, spot) in volume.entries().filter(|(key, _)| *key != "name") {
        let spot = spot.moved(volume.path.field(key));
        if spot.value.is_none_or(object::Value::is_null) {
            continue;
        }
        found += 1;
        if found > 1 {
            spot.forbidden(out, "may not specify more than 1 volume type");
            continue;
        }
        one_source(key, &spot, out);
    }
    if found == 0 {
        volume.required(out, "must specify a volume type");
    }
}

fn one_source(kind: &str, spot: &Spot<'_>, out: &mut Problems) {
    match kind {
        "emptyDir" => {
            if spot.at("sizeLimit").quantity().is_some_and(|size| size.sign().is_lt()) {
                spot.at("sizeLimit").forbidden(out, "SizeLimit field must be a valid resource quantity");
            }
        }
        "secret" => keyed(spot, &spot.at("secretName"), out),
        "configMap" => keyed(spot, &spot.at("name"), out),
        "downwardAPI" => {
            environment::file_mode(&spot.at("defaultMode"), out);
            environment::files(&spot.at("items"), out);
        }
        "projected" => projected(spot, out),
        "persistentVolumeClaim" => drop(spot.at("claimName").need(out)),
        "ephemeral" => {
            let template = spot.at("volumeClaimTemplate");
            if !template.is_set() {
                template.required(out, "");
            } else {
                volume::claim_spec(&template.at("spec"), out);
            }
        }
        "image" => {
            spot.at("reference").need(out);
            spot.at("pullPolicy").choice(out, &["Always", "IfNotPresent", "Never"]);
        }
        _ => volume::shared_source(kind, spot, out),
    }
}

fn keyed(spot: &Spot<'_>, name: &Spot<'_>, out: &mut Problems) {
    name.need(out);
    environment::file_mode(&spot.at("defaultMode"), out);
    items(&spot.at("items"), out);
}

fn items(list: &Spot<'_>, out: &mut Problems) {
    for item in list.items() {
        item.at("key").need(out);
        let path = item.at("path");
        if path.need(out) {
            formats::descending_path(&path, out);
            if path.text().starts_with("..") && !path.text().starts_with("../") {
                path.invalid(out, "must not start with '..'");
            }
        }
        environment::file_mode(&item.at("mode"), out);
    }
}

fn projected(spot: &Spot<'_>, out: &mut Problems) {
    environment::file_mode(&spot.at("defaultMode"), out);
    let mut paths = BTreeSet::new();
    for source in spot.at("sources").items() {
        let mut found = 0;
        for (kind, projection) in source.entries() {
            let projection = projection.moved(source.path.field(kind));
            if projection.value.is_none_or(object::Value::is_null) {
                continue;
            }
            found += 1;
            match kind {
                "secret" | "configMap" => {
                    projection.at("name").need(out);
                    items(&projection.at("items"), out);
                }
                "downwardAPI" => environment::files(&projection.at("items"), out),
                "serviceAccountToken" => token(spot, &projection, out),
                "clusterTrustBundle" => drop(projection.at("path").need(out)),
                _ => {}
            }
            conflicts(spot, kind, &projection, &mut paths, out);
        }
        if found > 1 {
            source.forbidden(out, "may not specify more than 1 volume type per source");
        }
    }
}

/// Two files of one volume may not be the same; a token's may, as upstream does not look at it.
fn conflicts<'a>(
    volume: &Spot<'_>,
    kind: &str,
    projection: &Spot<'a>,
    paths: &mut BTreeSet<&'a str>,
    out: &mut Problems,
) {
    let single = std::iter::once(projection.at("path")).filter(|path| path.is_set() && kind != "serviceAccountToken");
    for path in projection.at("items").items().map(|item| item.at("path")).chain(single) {
        if !path.text().is_empty() && !paths.insert(path.text()) {
            let shown = match kind {
                "secret" | "configMap" => projection.at("name").text(),
                _ => path.text(),
            };
            out.push(Problem::invalid(volume.path.clone(), shown, "conflicting duplicate paths"));
        }
    }
}

fn token(volume: &Spot<'_>, projection: &Spot<'_>, out: &mut Problems) {
    let (seconds, path) = (projection.at("expirationSeconds"), projection.at("path"));
    if let Some(number) = seconds.int() {
        if number < 600 {
            seconds.invalid(out, "may not specify a duration less than 10 minutes");
        } else if number > 1 << 32 {
            seconds.invalid(out, "may not specify a duration larger than 2^32 seconds");
        }
    }
    // A token's path is complained about as if it were the volume's.
    let path = path.moved(volume.path.field("path"));
    if path.need(out) {
        formats::descending_path(&path, out);
    }
}
