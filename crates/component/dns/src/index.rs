//! What names stand for, changed by Service and slice.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

use typed::api::core::v1::Service;
use typed::api::discovery::v1::EndpointSlice;

use crate::Config;
use crate::service::{self, Entry, Meaning, Slice};
use crate::wire::encode_name;

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
    /// The zone as labels, in lower case.
    pub(crate) zone: Vec<u8>,
    pub(crate) ttl_s: u32,
    pub(crate) pods: bool,
    pub(crate) own_addresses: Vec<IpAddr>,
    /// Grows with each change.
    pub(crate) serial: u32,
    pub(crate) services: HashMap<Key, Named>,
    pub(crate) namespaces: HashMap<Box<[u8]>, ()>,
    /// Addresses of Services, and of endpoints with hostnames, to what reverse lookups give.
    pub(crate) reverse: HashMap<IpAddr, Vec<Reverse>>,
    slice_owner: HashMap<(String, String), Key>,
}

/// A name that an address leads back to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reverse {
    pub(crate) service: Key,
    pub(crate) hostname: Option<Box<[u8]>>,
}

impl Index {
    /// An empty index; `serial` begins its zone's serial number, usually the time.
    ///
    /// # Panics
    /// When the configured zone is no domain name.
    pub fn new(config: &Config, serial: u32) -> Self {
        Self {
            zone: encode_name(&config.zone).expect("the zone was checked when the configuration was read"),
            ttl_s: config.ttl_s,
            pods: config.pods,
            own_addresses: config.own_addresses.clone(),
            serial,
            services: HashMap::new(),
            namespaces: HashMap::new(),
            reverse: HashMap::new(),
            slice_owner: HashMap::new(),
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
