//! What a pod's containers see of the network by file: resolver configuration, hosts, host name.

use typed::api::core::v1::{HostAlias, Pod};

/// A resolver configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Dns {
    /// Servers, at most three.
    pub servers: Vec<String>,
    /// Search domains.
    pub searches: Vec<String>,
    /// Options: `ndots:5`.
    pub options: Vec<String>,
}

/// Bounds of a resolver configuration (glibc's, and KEP-2595's).
const SERVERS_MAX: usize = 3;
const SEARCHES_MAX: usize = 32;
const SEARCH_CHARACTERS_MAX: usize = 2048;

/// The cluster's side of DNS.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClusterDns {
    /// `clusterDNS`.
    pub servers: Vec<String>,
    /// `clusterDomain`.
    pub domain: String,
}

/// The resolver configuration of a pod; `host` is the node's. The second part are messages of `DNSConfigForming` events.
pub fn dns(pod: &Pod, cluster: &ClusterDns, host: &Dns) -> (Dns, Vec<String>) {
    let spec = pod.spec.clone().unwrap_or_default();
    let host_network = spec.host_network.unwrap_or_default();
    let policy = spec.dns_policy.as_deref().unwrap_or("ClusterFirst");
    let mut messages = Vec::new();
    let of_cluster = policy == "ClusterFirstWithHostNet" || (policy == "ClusterFirst" && !host_network);
    let mut dns = match policy {
        "None" => Dns::default(),
        _ if of_cluster && !cluster.servers.is_empty() => cluster_dns(pod, cluster, host),
        _ => {
            if of_cluster {
                messages.push("kubelet does not have ClusterDNS IP configured and cannot create Pod using \"ClusterFirst\" policy. Falling back to \"Default\" policy.".to_owned());
            }
            host.clone()
        }
    };
    if let Some(own) = spec.dns_config {
        unite(&mut dns.servers, own.nameservers.unwrap_or_default());
        unite(&mut dns.searches, own.searches.unwrap_or_default());
        for option in own.options.unwrap_or_default() {
            let Some(name) = option.name else { continue };
            dns.options.retain(|known| known.split(':').next() != Some(&name));
            dns.options.push(
                option
                    .value
                    .filter(|value| !value.is_empty())
                    .map_or_else(|| name.clone(), |value| format!("{name}:{value}")),
            );
        }
    }
    bound(&mut dns, &mut messages);
    (dns, messages)
}

fn cluster_dns(pod: &Pod, cluster: &ClusterDns, host: &Dns) -> Dns {
    let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
    let domain = &cluster.domain;
    let mut searches = Vec::new();
    if !domain.is_empty() {
        searches = vec![format!("{namespace}.svc.{domain}"), format!("svc.{domain}"), domain.clone()];
    }
    unite(&mut searches, host.searches.clone());
    Dns { servers: cluster.servers.clone(), searches, options: vec!["ndots:5".to_owned()] }
}

fn unite(into: &mut Vec<String>, more: Vec<String>) {
    for item in more {
        if !into.contains(&item) {
            into.push(item);
        }
    }
}

fn bound(dns: &mut Dns, messages: &mut Vec<String>) {
    if dns.servers.len() > SERVERS_MAX {
        dns.servers.truncate(SERVERS_MAX);
        messages.push(format!(
            "Nameserver limits were exceeded, some nameservers have been omitted, the applied nameserver line is: {}",
            dns.servers.join(" ")
        ));
    }
    let before = dns.searches.len();
    dns.searches.truncate(SEARCHES_MAX);
    while dns.searches.join(" ").len() > SEARCH_CHARACTERS_MAX {
        dns.searches.pop();
    }
    if dns.searches.len() < before {
        messages.push(format!(
            "Search Line limits were exceeded, some search paths have been omitted, the applied search line is: {}",
            dns.searches.join(" ")
        ));
    }
}

/// Reads a `resolv.conf`: the last `search` and `options` lines count, `nameserver` lines add up.
pub fn parse_resolv_conf(text: &str) -> Dns {
    let mut dns = Dns::default();
    for line in text.lines() {
        let mut words = line.split_whitespace();
        let rest = |words: std::str::SplitWhitespace<'_>| -> Vec<String> { words.map(str::to_owned).collect() };
        match words.next() {
            Some("nameserver") => dns.servers.extend(words.next().map(str::to_owned)),
            Some("search") => {
                dns.searches = rest(words);
                dns.searches.iter_mut().for_each(|domain| {
                    if domain.len() > 1 {
                        domain.truncate(domain.trim_end_matches('.').len());
                    }
                });
            }
            Some("options") => dns.options = rest(words),
            _ => {}
        }
    }
    dns
}

/// The longest host name that the kernel takes.
const HOST_NAME_BYTES_MAX: usize = 63;
/// The longest that may be set as one with its domain.
const FULL_NAME_BYTES_MAX: usize = 64;

/// The host name of a pod and, where it has a subdomain, its domain. `Err` when the full name is too long to be set.
pub fn host_name(pod: &Pod, cluster_domain: &str) -> Result<(String, Option<String>), String> {
    let spec = pod.spec.clone().unwrap_or_default();
    if let Some(name) = spec.hostname_override.filter(|name| !name.is_empty()) {
        return Ok((name, None));
    }
    let given = spec.hostname.filter(|name| !name.is_empty());
    let mut name = given.unwrap_or_else(|| pod.metadata.name.clone().unwrap_or_default());
    if name.len() > HOST_NAME_BYTES_MAX {
        name.truncate(HOST_NAME_BYTES_MAX);
        name.truncate(name.trim_end_matches(['-', '.']).len());
    }
    let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
    let domain = spec
        .subdomain
        .filter(|subdomain| !subdomain.is_empty())
        .map(|subdomain| format!("{subdomain}.{namespace}.svc.{cluster_domain}"));
    let Some(domain) = domain else { return Ok((name, None)) };
    if !spec.set_hostname_as_fqdn.unwrap_or_default() {
        return Ok((name, Some(domain)));
    }
    let full = format!("{name}.{domain}");
    if full.len() > FULL_NAME_BYTES_MAX {
        return Err(format!(
            "failed to construct FQDN from pod hostname and cluster domain, FQDN {full} is too long ({FULL_NAME_BYTES_MAX} characters is the max, {} characters requested)",
            full.len()
        ));
    }
    Ok((full, Some(domain)))
}

/// `/etc/hosts` of a pod with a network of its own.
pub fn hosts_file(ips: &[String], name: &str, domain: Option<&str>, aliases: &[HostAlias]) -> String {
    let mut text = String::from(
        "# Kubernetes-managed hosts file.\n127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\nfe00::0\tip6-localnet\nfe00::0\tip6-mcastprefix\nfe00::1\tip6-allnodes\nfe00::2\tip6-allrouters\n",
    );
    for ip in ips {
        match domain {
            Some(domain) => text.push_str(&format!("{ip}\t{name}.{domain}\t{name}\n")),
            None => text.push_str(&format!("{ip}\t{name}\n")),
        }
    }
    text + &alias_lines(aliases)
}

/// `/etc/hosts` of a pod on the node's network: the node's, with the pod's aliases.
pub fn node_hosts_file(of_node: &str, aliases: &[HostAlias]) -> String {
    format!("# Kubernetes-managed hosts file (host network).\n{of_node}{}", alias_lines(aliases))
}

fn alias_lines(aliases: &[HostAlias]) -> String {
    if aliases.is_empty() {
        return String::new();
    }
    let mut text = String::from("\n# Entries added by HostAliases.\n");
    for alias in aliases {
        text.push_str(&format!("{}\t{}\n", alias.ip, alias.hostnames.clone().unwrap_or_default().join("\t")));
    }
    text
}
