//! `/configz`: the settings that hold, in the words of `KubeletConfiguration`.

use object::Value;
use podplan::eviction::Bound;

use crate::config::Config;

pub(super) fn answer(config: &Config) -> Value {
    let number = |number: u64| Value::from(i64::try_from(number).unwrap_or(i64::MAX));
    let evictions = config.eviction_hard.iter().map(|threshold| {
        let bound = match threshold.bound {
            Bound::Amount(amount) => amount.to_string(),
            Bound::Share(share) => format!("{}%", share * 100.0),
        };
        (threshold.signal.name().to_owned(), Value::from(bound))
    });
    let rules = &config.image_rules;
    let text = |text: String| Value::from(text);
    let seconds = |duration: jiff::SignedDuration| text(format!("{}s", duration.as_secs()));
    let driver = match config.cgroup_driver {
        mounts::cgroup::Driver::Cgroupfs => "cgroupfs",
        mounts::cgroup::Driver::Systemd => "systemd",
    };
    let mut fields = vec![
        ("port", number(u64::from(config.port))),
        ("maxPods", number(u64::from(config.pods_max))),
        ("podPidsLimit", Value::from(config.pod_pids_max.unwrap_or(-1))),
        ("cgroupDriver", text(driver.to_owned())),
        ("clusterDomain", text(config.cluster_dns.domain.clone())),
        ("clusterDNS", Value::from(config.cluster_dns.servers.iter().cloned().map(Value::from).collect::<Vec<_>>())),
        ("evictionHard", Value::from_pairs(evictions)),
        ("imageGCHighThresholdPercent", number(rules.high_percent)),
        ("imageGCLowThresholdPercent", number(rules.low_percent)),
        ("imageMinimumGCAge", seconds(rules.age_min)),
        ("imageMaximumGCAge", seconds(rules.age_max.unwrap_or_default())),
        ("containerLogMaxSize", text(config.log_bytes_max.to_string())),
        ("containerLogMaxFiles", number(config.log_files_max as u64)),
        ("serializeImagePulls", Value::from(config.image_pulls_max <= 1)),
        ("seccompDefault", Value::from(config.seccomp_default)),
        (
            "allowedUnsafeSysctls",
            Value::from(config.allowed_sysctls.iter().cloned().map(Value::from).collect::<Vec<_>>()),
        ),
    ];
    if let Some(manifests) = &config.manifests {
        fields.push(("staticPodPath", text(manifests.to_string_lossy().into_owned())));
    }
    Value::from_pairs([("kubeletconfig", Value::from_pairs(fields))])
}
