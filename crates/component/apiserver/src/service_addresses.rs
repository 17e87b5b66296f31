//! Cluster addresses and node ports of Services, assigned in the transaction that writes the Service.
//!
//! An address is taken when its IPAddress object exists (KEP-1880); node ports are a bitmap in the store, as upstream
//! keeps them. Both are compared in the transaction, so two servers never give away the same one.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use addresses::{Bitmap, Range, pick};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures::future::BoxFuture;
use kind::{GroupKind, Problem, Refusal};
use object::{Meta, MetaMut, Path, Value};
use registry::{Companion, StoredForm};
use store::{Key, Revision, Store, Txn};

/// How many addresses are tried blindly; in a range that is half full all of them are taken once in 65,536 times.
const CANDIDATES_MAX: u32 = 16;
const NODE_PORTS_KEY: &str = "/registry/ranges/servicenodeports";

/// Gives Services their addresses and ports.
pub(crate) struct ServiceAddresses {
    pub(crate) store: Arc<dyn Store>,
    /// How IPAddress objects are kept.
    pub(crate) ip_addresses: StoredForm,
    /// The ranges of cluster addresses, the primary family first.
    pub(crate) ranges: Vec<Range>,
    /// First and last node port.
    pub(crate) node_ports: (u16, u16),
}

impl std::fmt::Debug for ServiceAddresses {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServiceAddresses").field("ranges", &self.ranges).finish_non_exhaustive()
    }
}

impl Companion for ServiceAddresses {
    fn accompany<'a>(
        &'a self,
        new: Option<&'a mut Value>,
        old: Option<&'a Value>,
        _dry_run: bool,
    ) -> BoxFuture<'a, Result<Txn, Refusal>> {
        Box::pin(async move {
            let mut txn = Txn::new();
            let mut none = Value::map();
            let new = new.unwrap_or(&mut none);
            self.settle_addresses(new, old, &mut txn).await?;
            self.settle_ports(new, old, &mut txn).await?;
            Ok(txn)
        })
    }
}

impl ServiceAddresses {
    async fn settle_addresses(&self, new: &mut Value, old: Option<&Value>, txn: &mut Txn) -> Result<(), Refusal> {
        let held: Vec<IpAddr> = old.map(cluster_addresses).unwrap_or_default();
        if wants_addresses(new) {
            let kept = if old.is_some_and(wants_addresses) { held.clone() } else { Vec::new() };
            self.assign(new, &kept, txn).await?;
        } else if is_headless(new) {
            let families = self.families(new)?;
            name_families(new, &families);
        } else if old.is_some_and(wants_addresses) && new.str_at(&["spec", "type"]) == Some("ExternalName") {
            new.remove(&["spec", "clusterIP"]);
            new.remove(&["spec", "clusterIPs"]);
        }
        let keeps = cluster_addresses(new);
        for address in held.iter().filter(|address| !keeps.contains(address)) {
            *txn = std::mem::take(txn).delete(self.ip_addresses.key("", &address.to_string()));
        }
        Ok(())
    }

    /// Completes `spec.clusterIPs`, one per family.
    async fn assign(&self, service: &mut Value, kept: &[IpAddr], txn: &mut Txn) -> Result<(), Refusal> {
        let families = self.families(service)?;
        let asked: Vec<String> = asked_addresses(service);
        let mut given: Vec<String> = Vec::new();
        for (at, six) in families.iter().copied().enumerate() {
            let Some(range) = self.ranges.iter().find(|range| range.is_ipv6() == six) else { continue };
            let address = match asked.get(at).filter(|text| !text.is_empty()) {
                Some(text) => {
                    let address = self.asked_address(service, text, at, range)?;
                    if !kept.contains(&address) && self.is_taken(address).await? {
                        return Err(already_taken(service, address));
                    }
                    address
                }
                None => match kept.iter().find(|address| address.is_ipv6() == six) {
                    Some(address) => *address,
                    None => self.free_address(range).await?,
                },
            };
            if !kept.contains(&address) {
                self.reserve(service, address, txn);
            }
            given.push(address.to_string());
        }
        if let Some(first) = given.first() {
            service.set(&["spec", "clusterIP"], first.as_str());
        }
        service.set(&["spec", "clusterIPs"], given);
        name_families(service, &families);
        Ok(())
    }

    /// The families of the Service (`true` is IPv6) after its policy, which is completed too.
    fn families(&self, service: &mut Value) -> Result<Vec<bool>, Refusal> {
        let asked: Vec<bool> = service
            .list_at(&["spec", "ipFamilies"])
            .iter()
            .filter_map(|family| Some(family.as_str()? == "IPv6"))
            .collect();
        let by_address: Vec<bool> = asked_addresses(service)
            .iter()
            .filter_map(|text| text.parse::<IpAddr>().ok())
            .map(|address| address.is_ipv6())
            .collect();
        let served: Vec<bool> = self.ranges.iter().map(Range::is_ipv6).collect();
        let mut families = if asked.is_empty() { by_address } else { asked };
        if is_headless(service)
            && service.at(&["spec", "selector"]).and_then(Value::as_map).is_none_or(object::Map::is_empty)
        {
            return Ok(self.families_of_a_name(service, families));
        }
        if let Some(missing) = families.iter().find(|six| !served.contains(six)) {
            let name = if *missing { "IPv6" } else { "IPv4" };
            let path = Path::of("spec.ipFamilies").index(0);
            return Err(invalid(service, Problem::invalid(path, name, "not configured on this cluster")));
        }
        if families.is_empty() {
            families.extend(served.first());
        }
        let policy = service.str_at(&["spec", "ipFamilyPolicy"]).unwrap_or_default().to_owned();
        let dual = match policy.as_str() {
            "RequireDualStack" if served.len() < 2 => {
                let text = "this cluster is not configured for dual-stack services";
                let problem = Problem::invalid(Path::of("spec.ipFamilyPolicy"), policy.as_str(), text);
                return Err(invalid(service, problem));
            }
            "RequireDualStack" | "PreferDualStack" => true,
            _ => families.len() > 1,
        };
        if dual {
            let more: Vec<bool> = served.into_iter().filter(|six| !families.contains(six)).collect();
            families.extend(more);
        }
        if policy.is_empty() {
            service.set(&["spec", "ipFamilyPolicy"], if dual { "RequireDualStack" } else { "SingleStack" });
        }
        families.truncate(2);
        Ok(families)
    }

    /// A headless Service without a selector is a name for whatever addresses somebody else gives it, so that it may be
    /// of both families even on a cluster of one.
    fn families_of_a_name(&self, service: &mut Value, mut families: Vec<bool>) -> Vec<bool> {
        if service.str_at(&["spec", "ipFamilyPolicy"]).unwrap_or_default().is_empty() {
            service.set(&["spec", "ipFamilyPolicy"], "RequireDualStack");
        }
        if families.is_empty() {
            families.extend(self.ranges.first().map(Range::is_ipv6));
        }
        if families.len() == 1 && service.str_at(&["spec", "ipFamilyPolicy"]) != Some("SingleStack") {
            families.push(!families[0]);
        }
        families
    }

    fn asked_address(&self, service: &Value, text: &str, at: usize, range: &Range) -> Result<IpAddr, Refusal> {
        let path = Path::of("spec.clusterIPs").index(at);
        let address: IpAddr = text.parse().map_err(|_not_an_address| {
            invalid(
                service,
                Problem::invalid(path, text, "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"),
            )
        })?;
        if range.contains(address) {
            return Ok(address);
        }
        let detail = format!("failed to allocate IP {address}: the provided network does not match the current range");
        Err(invalid(service, Problem::invalid(Path::of("spec.clusterIPs"), asked_list(service), detail)))
    }

    /// Ranges are far from full in practice: a few candidates are looked up one by one before all addresses are read.
    async fn free_address(&self, range: &Range) -> Result<IpAddr, Refusal> {
        for _ in 0..CANDIDATES_MAX {
            let candidate = pick(range.size(), u128::from(env::rand::u64()), |_| false);
            let Some(address) = candidate.and_then(|offset| range.at(offset)) else { break };
            if !self.is_taken(address).await? {
                return Ok(address);
            }
        }
        let taken = self.taken_addresses().await?;
        let free = pick(range.size(), u128::from(env::rand::u64()), |offset| {
            range.at(offset).is_none_or(|address| taken.contains(&address))
        });
        free.and_then(|offset| range.at(offset))
            .ok_or_else(|| Refusal::Internal("failed to allocate a serviceIP: range is full".to_owned()))
    }

    async fn is_taken(&self, address: IpAddr) -> Result<bool, Refusal> {
        let key = self.ip_addresses.key("", &address.to_string());
        let got = self.store.get(&key, None).await.map_err(|error| Refusal::Internal(error.to_string()))?;
        Ok(got.entry.is_some())
    }

    async fn taken_addresses(&self) -> Result<BTreeSet<IpAddr>, Refusal> {
        let prefix = self.ip_addresses.prefix();
        let range = store::Range::of(store::Span::prefix(prefix)).want(store::Want::Keys);
        let page = self.store.range(range).await.map_err(|error| Refusal::Internal(error.to_string()))?;
        let names = page.entries.iter().filter_map(|entry| entry.key.as_str().strip_prefix(prefix)?.parse().ok());
        Ok(names.collect())
    }

    /// Adds the IPAddress object to the transaction, which fails if somebody else is faster.
    fn reserve(&self, service: &Value, address: IpAddr, txn: &mut Txn) {
        let key = self.ip_addresses.key("", &address.to_string());
        let object = ip_address(service, address);
        *txn = std::mem::take(txn).when(key.clone(), Revision::ZERO).put(key, self.ip_addresses.encode(&object));
    }

    async fn settle_ports(&self, new: &mut Value, old: Option<&Value>, txn: &mut Txn) -> Result<(), Refusal> {
        let held = old.map(node_ports).unwrap_or_default();
        let wants = wants_node_ports(new);
        if !wants && held.is_empty() && node_ports(new).is_empty() {
            return Ok(());
        }
        let key = Key::from(NODE_PORTS_KEY);
        let got = self.store.get(&key, None).await.map_err(|error| Refusal::Internal(error.to_string()))?;
        let revision = got.entry.as_ref().map_or(Revision::ZERO, |entry| entry.modified);
        let before = got.entry.map(|entry| read_ports(&entry.value)).transpose()?.unwrap_or_default();
        let mut map = before.clone();
        if wants {
            self.assign_ports(new, &held, &mut map)?;
        } else if new.str_at(&["spec", "type"]).is_some() {
            clear_ports(new);
        }
        let keeps = node_ports(new);
        for port in held.iter().filter(|port| !keeps.contains(port)) {
            map.remove(usize::from(port.saturating_sub(self.node_ports.0)));
        }
        if map != before {
            *txn = std::mem::take(txn).when(key.clone(), revision).put(key, self.write_ports(&map));
        }
        Ok(())
    }

    fn assign_ports(&self, service: &mut Value, held: &BTreeSet<u16>, map: &mut Bitmap) -> Result<(), Refusal> {
        let (first, last) = self.node_ports;
        let ports = service.list_at(&["spec", "ports"]).to_vec();
        let mut done: Vec<Value> = Vec::with_capacity(ports.len());
        for (at, mut port) in ports.into_iter().enumerate() {
            let asked = port.int_at(&["nodePort"]).filter(|number| *number != 0);
            let number = match asked {
                Some(number) => self.asked_port(service, number, at, held, &done, map)?,
                None => {
                    let size = u128::from(last - first) + 1;
                    let free = pick(size, u128::from(env::rand::u64()), |offset| {
                        usize::try_from(offset).is_ok_and(|offset| map.contains(offset))
                    });
                    let offset = free.and_then(|offset| u16::try_from(offset).ok());
                    let offset = offset
                        .ok_or_else(|| Refusal::Internal("failed to allocate a nodePort: range is full".to_owned()))?;
                    map.insert(usize::from(offset));
                    first + offset
                }
            };
            port.set(&["nodePort"], i64::from(number));
            done.push(port);
        }
        service.set(&["spec", "ports"], done);
        let local = service.str_at(&["spec", "externalTrafficPolicy"]) == Some("Local");
        let balanced = service.str_at(&["spec", "type"]) == Some("LoadBalancer");
        if local && balanced && service.int_at(&["spec", "healthCheckNodePort"]).is_none_or(|port| port == 0) {
            let size = u128::from(last - first) + 1;
            let taken = |offset: u128| usize::try_from(offset).is_ok_and(|offset| map.contains(offset));
            let offset = pick(size, u128::from(env::rand::u64()), taken).and_then(|offset| u16::try_from(offset).ok());
            if let Some(offset) = offset {
                map.insert(usize::from(offset));
                service.set(&["spec", "healthCheckNodePort"], i64::from(first + offset));
            }
        }
        Ok(())
    }

    #[expect(clippy::too_many_arguments, reason = "a port is judged by everything that may hold it already")]
    fn asked_port(
        &self,
        service: &Value,
        number: i64,
        at: usize,
        held: &BTreeSet<u16>,
        done: &[Value],
        map: &mut Bitmap,
    ) -> Result<u16, Refusal> {
        let (first, last) = self.node_ports;
        let path = Path::of("spec.ports").index(at).field("nodePort");
        let port = u16::try_from(number).ok().filter(|port| (first..=last).contains(port)).ok_or_else(|| {
            let text = format!("provided port is not in the valid range. The range of valid ports is {first}-{last}");
            invalid(service, Problem::invalid(path.clone(), number, text))
        })?;
        // One number may serve two protocols of one Service.
        let shared = done.iter().any(|other| other.int_at(&["nodePort"]) == Some(number));
        if !held.contains(&port) && !shared && !map.insert(usize::from(port - first)) {
            return Err(invalid(service, Problem::invalid(path, number, "provided port is already allocated")));
        }
        Ok(port)
    }

    /// The bitmap as upstream stores it: a RangeAllocation.
    fn write_ports(&self, map: &Bitmap) -> Bytes {
        let mut object = Value::map();
        object.set(&["range"], format!("{}-{}", self.node_ports.0, self.node_ports.1));
        object.set(&["data"], STANDARD.encode(map.to_bytes()));
        match codec::Root::builtin("v1", "RangeAllocation") {
            Some(root) => codec::proto::seal(&object, root, "v1", "RangeAllocation").into(),
            None => Bytes::new(),
        }
    }
}

fn read_ports(bytes: &[u8]) -> Result<Bitmap, Refusal> {
    let decoded = codec::proto::decode_enveloped(bytes, object::Schema::builtin())
        .map_err(|error| Refusal::Internal(format!("the node port range cannot be read: {error}")))?;
    let data = decoded.value.str_at(&["data"]).unwrap_or_default();
    let bytes = STANDARD
        .decode(data)
        .map_err(|error| Refusal::Internal(format!("the node port range cannot be read: {error}")))?;
    Ok(Bitmap::from_bytes(&bytes))
}

fn already_taken(service: &Value, address: IpAddr) -> Refusal {
    let detail = format!("failed to allocate IP {address}: provided IP is already allocated");
    invalid(service, Problem::invalid(Path::of("spec.clusterIPs"), asked_list(service), detail))
}

fn ip_address(service: &Value, address: IpAddr) -> Value {
    let meta = Meta::of(service);
    let mut object = Value::map();
    MetaMut::of(&mut object)
        .set("name", address.to_string())
        .set("uid", env::rand::uuid())
        .set_time("creationTimestamp", env::time::now());
    let family = if address.is_ipv6() { "IPv6" } else { "IPv4" };
    object.set(&["metadata", "labels", "ipaddress.kubernetes.io/ip-family"], family);
    object.set(&["metadata", "labels", "ipaddress.kubernetes.io/managed-by"], "ipallocator.k8s.io");
    object.set(&["spec", "parentRef", "resource"], "services");
    object.set(&["spec", "parentRef", "namespace"], meta.namespace());
    object.set(&["spec", "parentRef", "name"], meta.name());
    object
}

fn wants_addresses(service: &Value) -> bool {
    let kind = service.str_at(&["spec", "type"]).unwrap_or_default();
    !kind.is_empty() && kind != "ExternalName" && !is_headless(service)
}

fn is_headless(service: &Value) -> bool {
    service.str_at(&["spec", "clusterIP"]) == Some("None") && service.str_at(&["spec", "type"]) != Some("ExternalName")
}

fn name_families(service: &mut Value, families: &[bool]) {
    let names: Vec<&str> = families.iter().map(|six| if *six { "IPv6" } else { "IPv4" }).collect();
    service.set(&["spec", "ipFamilies"], names);
}

fn wants_node_ports(service: &Value) -> bool {
    match service.str_at(&["spec", "type"]) {
        Some("NodePort") => true,
        Some("LoadBalancer") => {
            service.at(&["spec", "allocateLoadBalancerNodePorts"]).and_then(Value::as_bool).unwrap_or(true)
        }
        _ => false,
    }
}

fn asked_addresses(service: &Value) -> Vec<String> {
    let list: Vec<String> =
        service.list_at(&["spec", "clusterIPs"]).iter().filter_map(|text| text.as_str().map(str::to_owned)).collect();
    if list.is_empty() { service.str_at(&["spec", "clusterIP"]).map(str::to_owned).into_iter().collect() } else { list }
}

fn asked_list(service: &Value) -> Value {
    Value::from(asked_addresses(service))
}

fn cluster_addresses(service: &Value) -> Vec<IpAddr> {
    asked_addresses(service).iter().filter_map(|text| text.parse().ok()).collect()
}

fn node_ports(service: &Value) -> BTreeSet<u16> {
    let ports = service.list_at(&["spec", "ports"]).iter().filter_map(|port| port.int_at(&["nodePort"]));
    let all = ports.chain(service.int_at(&["spec", "healthCheckNodePort"]));
    all.filter_map(|port| u16::try_from(port).ok()).filter(|port| *port != 0).collect()
}

fn clear_ports(service: &mut Value) {
    if let Some(ports) = service.at_mut(&["spec", "ports"]).and_then(Value::as_list_mut) {
        for port in ports {
            port.remove(&["nodePort"]);
        }
    }
}

fn invalid(service: &Value, problem: Problem) -> Refusal {
    Refusal::Invalid {
        kind: GroupKind { group: object::Text::default(), name: "Service".into() },
        name: Meta::of(service).name().to_owned(),
        problems: vec![problem],
    }
}
