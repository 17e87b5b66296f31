//! What names stand for, changed by Service and slice.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

use typed::api::core::v1::{Pod, Service};
use typed::api::discovery::v1::EndpointSlice;

use crate::service::{self, Entry, Meaning, Slice};

const SERVICE_LABEL: &str = "kubernetes.io/service-name";

/// Two labels, length-prefixed as in messages: a Service's name and its namespace's.
pub(crate) type Key = Box<[u8]>;

/// A Service with its slices, either of which may come first.
#[derive(Debug, Default)]
pub(crate) struct Named {
    pub(crate) entry: Option<Entry>,
    pub(crate) slices: BTreeMap<String, Slice>,
}

/// What names stand for.
#[derive(Debug)]
pub struct Index {
    /// Whether the cluster has been read: before, nothing is known to be absent.
    pub(crate) is_known: bool,
    /// Grows with each change.
    pub(crate) serial: u32,
    pub(crate) services: HashMap<Key, Named>,
    pub(crate) namespaces: HashMap<Box<[u8]>, ()>,
    /// Addresses of Services, and of endpoints with hostnames, to what reverse lookups give.
    pub(crate) reverse: HashMap<IpAddr, Vec<Reverse>>,
    slice_owner: HashMap<(String, String), Key>,
    /// Addresses of pods by namespace, each with how many pods have it.
    pub(crate) pods: HashMap<Box<[u8]>, HashMap<IpAddr, usize>>,
    pod_addresses: HashMap<(String, String), Vec<IpAddr>>,
}

/// A name that an address leads back to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reverse {
    pub(crate) service: Key,
    pub(crate) hostname: Option<Box<[u8]>>,
}

impl Index {
    /// An index of an empty cluster; `serial` begins its zones' serial number, usually the time.
    pub fn new(serial: u32) -> Self {
        Self {
            is_known: true,
            serial,
            services: HashMap::new(),
            namespaces: HashMap::new(),
            reverse: HashMap::new(),
            slice_owner: HashMap::new(),
            pods: HashMap::new(),
            pod_addresses: HashMap::new(),
        }
    }

    /// An index of a cluster that has not been read yet.
    pub(crate) fn unread(serial: u32) -> Self {
        Self { is_known: false, ..Self::new(serial) }
    }

    /// Learns of a new or changed pod.
    pub fn pod_set(&mut self, pod: &Pod) {
        let metadata = &pod.metadata;
        let (Some(namespace), Some(name)) = (&metadata.namespace, &metadata.name) else { return };
        self.pod_remove(namespace, name);
        let status = pod.status.as_ref();
        let is_over = status.and_then(|it| it.phase.as_deref()).is_some_and(|it| matches!(it, "Succeeded" | "Failed"));
        let host_network = pod.spec.as_ref().and_then(|spec| spec.host_network).unwrap_or_default();
        if is_over || host_network {
            return;
        }
        let listed = status.and_then(|it| it.pod_ips.as_ref()).into_iter().flatten().map(|it| it.ip.as_str());
        let addresses: Vec<IpAddr> = listed.filter_map(|ip| ip.parse().ok()).collect();
        let known = self.pods.entry(namespace.to_ascii_lowercase().into_bytes().into()).or_default();
        addresses.iter().for_each(|address| *known.entry(*address).or_default() += 1);
        self.pod_addresses.insert((namespace.clone(), name.clone()), addresses);
        self.serial = self.serial.wrapping_add(1);
    }

    /// Learns that a pod is gone.
    pub fn pod_remove(&mut self, namespace: &str, name: &str) {
        let Some(addresses) = self.pod_addresses.remove(&(namespace.to_owned(), name.to_owned())) else { return };
        let namespace = namespace.to_ascii_lowercase();
        let Some(known) = self.pods.get_mut(namespace.as_bytes()) else { return };
        for address in addresses {
            let count = known.entry(address).or_default();
            *count = count.saturating_sub(1);
            if *count == 0 {
                known.remove(&address);
            }
        }
        if known.is_empty() {
            self.pods.remove(namespace.as_bytes());
        }
    }

    /// Learns of a namespace; pods have names only in those that exist.
    pub fn namespace_set(&mut self, name: &str) {
        self.namespaces.insert(name.to_ascii_lowercase().into_bytes().into(), ());
        self.serial = self.serial.wrapping_add(1);
    }

    /// Learns that a namespace is gone.
    pub fn namespace_remove(&mut self, name: &str) {
        self.namespaces.remove(name.to_ascii_lowercase().as_bytes());
        self.serial = self.serial.wrapping_add(1);
    }

    /// Learns of a new or changed Service.
    pub fn service_set(&mut self, service: &Service) {
        let metadata = &service.metadata;
        let (Some(namespace), Some(name)) = (&metadata.namespace, &metadata.name) else { return };
        self.change(&key(namespace, name), |named| named.entry = service::entry(service));
    }

    /// Learns that a Service is gone.
    pub fn service_remove(&mut self, namespace: &str, name: &str) {
        self.change(&key(namespace, name), |named| named.entry = None);
    }

    /// Learns of a new or changed EndpointSlice.
    pub fn slice_set(&mut self, slice: &EndpointSlice) {
        let metadata = &slice.metadata;
        let (Some(namespace), Some(name)) = (&metadata.namespace, &metadata.name) else { return };
        let owner = metadata.labels.as_ref().and_then(|labels| labels.get(SERVICE_LABEL));
        let owner = owner.map(|owner| key(namespace, owner));
        let identity = (namespace.clone(), name.clone());
        if self.slice_owner.get(&identity) != owner.as_ref() {
            self.slice_remove(namespace, name);
        }
        let (Some(owner), Some(read)) = (owner, service::slice(slice)) else { return };
        self.change(&owner, |named| _ = named.slices.insert(name.clone(), read));
        self.slice_owner.insert(identity, owner);
    }

    /// Learns that an EndpointSlice is gone.
    pub fn slice_remove(&mut self, namespace: &str, name: &str) {
        if let Some(owner) = self.slice_owner.remove(&(namespace.to_owned(), name.to_owned())) {
            self.change(&owner, |named| _ = named.slices.remove(name));
        }
    }

    fn change(&mut self, key: &Key, apply: impl FnOnce(&mut Named)) {
        self.serial = self.serial.wrapping_add(1);
        let mut named = self.services.remove(key).unwrap_or_default();
        for (address, reverse) in reverses(key, &named) {
            let Some(all) = self.reverse.get_mut(&address) else { continue };
            all.retain(|one| *one != reverse);
            if all.is_empty() {
                self.reverse.remove(&address);
            }
        }
        apply(&mut named);
        for (address, reverse) in reverses(key, &named) {
            self.reverse.entry(address).or_default().push(reverse);
        }
        if named.entry.is_some() || !named.slices.is_empty() {
            self.services.insert(key.clone(), named);
        }
    }
}

fn reverses(key: &Key, named: &Named) -> Vec<(IpAddr, Reverse)> {
    match named.entry.as_ref().map(|entry| &entry.meaning) {
        Some(Meaning::Addresses(addresses)) => {
            let reverse = Reverse { service: key.clone(), hostname: None };
            addresses.iter().map(|address| (*address, reverse.clone())).collect()
        }
        Some(Meaning::Endpoints) => {
            let endpoints = named.slices.values().flat_map(|slice| &slice.endpoints);
            let with_hostname = endpoints.filter(|endpoint| endpoint.named);
            let reverse = |endpoint: &service::Endpoint| {
                let hostname = Some(endpoint.label.clone());
                (endpoint.address, Reverse { service: key.clone(), hostname })
            };
            with_hostname.map(reverse).collect()
        }
        Some(Meaning::Alias(_)) | None => Vec::new(),
    }
}

fn key(namespace: &str, name: &str) -> Key {
    let mut key = Vec::with_capacity(namespace.len() + name.len() + 2);
    for label in [name, namespace] {
        // Object names are at most 253 bytes; one too long for a label is in no message and is never found.
        key.push(u8::try_from(label.len()).unwrap_or(u8::MAX));
        key.extend(label.bytes().map(|byte| byte.to_ascii_lowercase()));
    }
    key.into()
}
