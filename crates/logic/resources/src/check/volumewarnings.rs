//! What clients should know about the volumes of pods that are accepted.

use super::spot::Spot;

/// Kinds of volumes that work no more, with since when.
const GONE: [(&str, &str); 9] = [
    ("photonPersistentDisk", "deprecated in v1.11, non-functional in v1.16+"),
    ("gitRepo", "deprecated in v1.11, and disabled by default in v1.33+"),
    ("scaleIO", "deprecated in v1.16, non-functional in v1.22+"),
    ("flocker", "deprecated in v1.22, non-functional in v1.25+"),
    ("storageos", "deprecated in v1.22, non-functional in v1.25+"),
    ("quobyte", "deprecated in v1.22, non-functional in v1.25+"),
    ("glusterfs", "deprecated in v1.25, non-functional in v1.26+"),
    ("cephfs", "deprecated in v1.28, non-functional in v1.31+"),
    ("rbd", "deprecated in v1.28, non-functional in v1.31+"),
];

/// The source of a volume, where it is of a kind that is gone.
pub(crate) fn deprecated(volume: &Spot<'_>, warnings: &mut Vec<String>) {
    for (field, since) in GONE {
        if volume.at(field).is_set() {
            // Upstream's path is not the field's name here.
            let shown = if field == "storageos" { "storageOS" } else { field };
            warnings.push(format!("{}: {since}", volume.path.field(shown)));
        }
    }
}

/// A file of a volume, and what it comes from.
#[derive(Debug, Clone, PartialEq)]
struct File<'a> {
    path: &'a str,
    source: String,
}

impl File<'_> {
    fn shown(&self) -> String {
        if self.source.is_empty() { format!("{:?}", self.path) } else { format!("{:?} ({})", self.path, self.source) }
    }

    fn is_within(&self, other: &File<'_>) -> bool {
        let rest = self.path.strip_prefix(other.path);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

/// Files of one volume that hide each other.
pub(crate) fn overlaps(volume: &Spot<'_>, warnings: &mut Vec<String>) {
    let name = volume.at("name").text();
    for (field, words, named) in
        [("configMap", "ConfigMap", "name"), ("secret", "Secret", "secretName"), ("downwardAPI", "DownwardAPI", "")]
    {
        let source = volume.at(field);
        if !source.is_set() {
            continue;
        }
        let shown = if named.is_empty() { words.to_owned() } else { format!("{words} {:?}", source.at(named).text()) };
        collide(name, &shown, files(&source.at("items"), ""), warnings);
    }
    let mut all = Vec::new();
    for source in volume.at("projected.sources").items() {
        let members = source.entries().filter(|(_, member)| member.value.is_some_and(|value| !value.is_null()));
        if members.count() == 0 {
            warnings.push(format!("volume {name:?} (Projected) has no sources provided"));
        }
        all.extend(projected(&source));
    }
    collide(name, "Projected", all, warnings);
}

fn projected<'a>(source: &Spot<'a>) -> Vec<File<'a>> {
    let (map, secret, downward) = (source.at("configMap"), source.at("secret"), source.at("downwardAPI"));
    let (token, bundle, certificate) =
        (source.at("serviceAccountToken"), source.at("clusterTrustBundle"), source.at("podCertificate"));
    let single = |spot: &Spot<'a>, field: &'static str, source: String| File { path: spot.at(field).text(), source };
    if map.at("items").is_set() {
        files(&map.at("items"), &format!("ConfigMap {:?}", map.at("name").text()))
    } else if secret.at("items").is_set() {
        files(&secret.at("items"), &format!("Secret {:?}", secret.at("name").text()))
    } else if downward.at("items").is_set() {
        files(&downward.at("items"), "DownwardAPI")
    } else if token.is_set() {
        vec![single(&token, "path", "ServiceAccountToken".to_owned())]
    } else if bundle.is_set() {
        let name = if bundle.at("name").is_set() { bundle.at("name") } else { bundle.at("signerName") };
        vec![single(&bundle, "path", format!("ClusterTrustBundle {:?}", name.text()))]
    } else {
        [("certificateChainPath", "chain"), ("keyPath", "key"), ("credentialBundlePath", "credential bundle")]
            .into_iter()
            .map(|(field, what)| single(&certificate, field, format!("PodCertificate {what}")))
            .filter(|file| !file.path.is_empty())
            .collect()
    }
}

fn files<'a>(items: &Spot<'a>, source: &str) -> Vec<File<'a>> {
    items.items().map(|item| File { path: item.at("path").text(), source: source.to_owned() }).collect()
}

fn collide(volume: &str, words: &str, files: Vec<File<'_>>, warnings: &mut Vec<String>) {
    let mut known: Vec<File<'_>> = Vec::new();
    for file in files {
        let file = File { path: file.path.trim_end_matches('/'), ..file };
        let hidden = known.iter().filter(|other| !file.path.is_empty() && !other.path.is_empty());
        for other in hidden.filter(|other| file.is_within(other) || other.is_within(&file)) {
            let body = format!("{} with {}", file.shown(), other.shown());
            warnings.push(format!("volume {volume:?} ({words}): overlapping paths: {body}"));
        }
        known.push(file);
    }
}
