//! EndpointSlices.

use std::collections::BTreeSet;

use kind::{Context, Problem};
use object::Value;

use super::spot::{Problems, Spot};
use super::{addresses, formats, frozen, over};

const ENDPOINTS_MAX: usize = 1000;
const ADDRESSES_MAX: usize = 100;
const PORTS_MAX: usize = 20_000;

/// What is wrong with a slice.
pub(crate) fn slice(_context: &Context<'_>, slice: &Value) -> Vec<Problem> {
    over(slice, |slice, out| {
        let kind = slice.at("addressType");
        kind.choice(out, &["FQDN", "IPv4", "IPv6"]);
        let endpoints = slice.at("endpoints");
        if endpoints.len() > ENDPOINTS_MAX {
            out.push(Problem::too_many(endpoints.path.clone(), endpoints.len(), ENDPOINTS_MAX));
        } else {
            endpoints.items().for_each(|endpoint| check_endpoint(&endpoint, kind.text(), out));
        }
        ports(&slice.at("ports"), out);
    })
}

fn check_endpoint(endpoint: &Spot<'_>, kind: &str, out: &mut Problems) {
    let list = endpoint.at("addresses");
    if list.is_empty() {
        list.required(out, "must contain at least 1 address");
    } else if list.len() > ADDRESSES_MAX {
        out.push(Problem::too_many(list.path.clone(), list.len(), ADDRESSES_MAX));
    }
    for address in list.items() {
        let before = out.len();
        match kind {
            "FQDN" => address.subdomain(out),
            _ => {
                addresses::address(&address, out);
                let v4 = address.text().parse::<std::net::IpAddr>().map(|address| address.is_ipv4());
                match (kind, v4) {
                    ("IPv4", Ok(false)) => address.invalid(out, "must be an IPv4 address"),
                    ("IPv6", Ok(true)) => address.invalid(out, "must be an IPv6 address"),
                    _ => {}
                }
                if out.len() == before {
                    addresses::ordinary_address(&address, out);
                }
            }
        }
    }
    if endpoint.at("hostname").is_set() {
        endpoint.at("hostname").label(out);
    }
    if endpoint.at("nodeName").is_set() {
        endpoint.at("nodeName").subdomain(out);
    }
    formats::labels(&endpoint.at("deprecatedTopology"), out);
}

fn ports(list: &Spot<'_>, out: &mut Problems) {
    if list.len() > PORTS_MAX {
        out.push(Problem::too_many(list.path.clone(), list.len(), PORTS_MAX));
        return;
    }
    let mut seen = BTreeSet::new();
    for port in list.items() {
        let name = port.at("name");
        if !name.text().is_empty() {
            name.label(out);
        }
        if !seen.insert(name.text()) {
            name.duplicate(out);
        }
        let protocol = port.at("protocol");
        if !protocol.is_set() {
            protocol.required(out, "");
        }
        protocol.option(out, &["SCTP", "TCP", "UDP"]);
        if port.at("appProtocol").is_set() {
            port.at("appProtocol").qualified(out);
        }
    }
}

/// What is wrong with a changed slice.
pub(crate) fn slice_update(context: &Context<'_>, new: &Value, old: &Value) -> Vec<Problem> {
    let mut out = slice(context, new);
    frozen(new, old, &["addressType"], &mut out);
    out
}
