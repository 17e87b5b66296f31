//! Image references, pull policies, and what is said when a pull fails.

use crate::backoff::go_text;
use jiff::SignedDuration;

/// What to do about a container's image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Choice {
    /// Use the one that is there.
    Use,
    /// Pull it.
    Pull,
    /// It is absent and must not be pulled (`ErrImageNeverPull`).
    Refuse,
}

/// The pull policy that the API's default gives: `Always` for the tag `latest` or none, else `IfNotPresent`.
pub fn default_policy(image: &str) -> &'static str {
    let (_, tag, digest) = parts(image);
    if digest.is_none() && tag.is_none_or(|tag| tag == "latest") { "Always" } else { "IfNotPresent" }
}

/// What to do, given the policy and whether the image is there.
pub fn choose(policy: Option<&str>, image: &str, present: bool) -> Choice {
    match policy.filter(|policy| !policy.is_empty()).unwrap_or_else(|| default_policy(image)) {
        "Never" if present => Choice::Use,
        "Never" => Choice::Refuse,
        "IfNotPresent" if present => Choice::Use,
        _ => Choice::Pull,
    }
}

/// Name, tag and digest of a reference.
fn parts(image: &str) -> (&str, Option<&str>, Option<&str>) {
    let (rest, digest) = match image.split_once('@') {
        Some((rest, digest)) => (rest, Some(digest)),
        None => (image, None),
    };
    // A colon after the last slash begins the tag; one before it belongs to the registry's port.
    let slash = rest.rfind('/').map_or(0, |at| at + 1);
    match rest[slash..].rfind(':') {
        Some(at) => (&rest[..slash + at], Some(&rest[slash + at + 1..]), digest),
        None => (rest, None, digest),
    }
}

/// The reference with the tag that stands for none. The registry is left to the runtime.
pub fn normalized(image: &str) -> String {
    match parts(image) {
        (name, None, None) => format!("{name}:latest"),
        _ => image.to_owned(),
    }
}

/// Whether text can be an image reference at all; `Err` is the message of `InvalidImageName`.
pub fn check(image: &str) -> Result<(), String> {
    let fine = |c: char| c.is_ascii_alphanumeric() || "._-/:@[]".contains(c);
    let (name, tag, _) = parts(image);
    let refuse = |why: &str| {
        Err(format!("Failed to apply default image tag \"{image}\": couldn't parse image name \"{image}\": {why}"))
    };
    let path = name.split_once('/').map_or(name, |(_, path)| path);
    if image.is_empty() || !image.chars().all(fine) || name.ends_with('/') || tag == Some("") {
        return refuse("invalid reference format");
    }
    if path.chars().any(|c| c.is_ascii_uppercase()) {
        return refuse("invalid reference format: repository name must be lowercase");
    }
    Ok(())
}

/// `Successfully pulled image "x" in 1.2s (1.2s including waiting). Image size: 5 bytes.`
pub fn pulled_message(image: &str, pulling: SignedDuration, waiting: SignedDuration, bytes: u64) -> String {
    format!(
        "Successfully pulled image \"{image}\" in {} ({} including waiting). Image size: {bytes} bytes.",
        go_millis(pulling),
        go_millis(pulling.saturating_add(waiting))
    )
}

/// The message of an event about an image that was there.
pub fn present_message(image: &str) -> String {
    format!("Container image \"{image}\" already present on machine and can be accessed by the pod")
}

/// The waiting message of `ImagePullBackOff`, with the failure that led to it.
pub fn back_off_message(image: &str, failure: &str) -> String {
    if failure.is_empty() {
        format!("Back-off pulling image \"{image}\"")
    } else {
        format!("Back-off pulling image \"{image}\": ErrImagePull: {failure}")
    }
}

/// The message of `ErrImageNeverPull`.
pub fn never_message(image: &str) -> String {
    format!("Container image \"{image}\" is not present with pull policy of Never")
}

/// A duration as Go prints it after rounding to milliseconds: `250ms`, `1.25s`.
fn go_millis(duration: SignedDuration) -> String {
    let millis = duration.as_millis();
    if millis < 1000 {
        return format!("{millis}ms");
    }
    if millis >= 60_000 {
        return go_text(duration);
    }
    let text = format!("{}.{:03}", millis / 1000, millis % 1000);
    format!("{}s", text.trim_end_matches('0').trim_end_matches('.'))
}
