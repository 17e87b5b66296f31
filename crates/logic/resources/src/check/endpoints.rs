//! Endpoints.

use kind::{Context, Problem};
use object::Value;

use super::spot::{Problems, Spot};
use super::{addresses, formats, over};

/// What is wrong with endpoints.
pub(crate) fn create(_context: &Context<'_>, endpoints: &Value) -> Vec<Problem> {
    over(endpoints, check)
}

/// What is wrong with changed endpoints.
pub(crate) fn update(_context: &Context<'_>, new: &Value, old: &Value) -> Vec<Problem> {
    let same = new.get("subsets") == old.get("subsets");
    if same { Vec::new() } else { over(new, check) }
}

fn check(endpoints: &Spot<'_>, out: &mut Problems) {
    for subset in endpoints.at("subsets").items() {
        let (ready, waiting, ports) = (subset.at("addresses"), subset.at("notReadyAddresses"), subset.at("ports"));
        if ready.is_empty() && waiting.is_empty() {
            subset.required(out, "must specify `addresses` or `notReadyAddresses`");
        }
        for address in ready.items().chain(waiting.items()) {
            let ip = address.at("ip").or_empty();
            let before = out.len();
            addresses::address(&ip, out);
            if out.len() == before {
                addresses::ordinary_address(&ip, out);
            } else {
                // Upstream asks again before it looks for addresses that endpoints may not have.
                ip.invalid(out, "must be a valid IP address");
            }
            if !address.at("hostname").text().is_empty() {
                address.at("hostname").label(out);
            }
            if address.at("nodeName").is_set() {
                address.at("nodeName").subdomain(out);
            }
        }
        for port in ports.items() {
            let name = port.at("name");
            if ports.len() > 1 && name.text().is_empty() {
                name.required(out, "");
            } else if !name.text().is_empty() {
                name.label(out);
            }
            formats::port_number(&port.at("port"), out);
            port.at("protocol").choice(out, &["SCTP", "TCP", "UDP"]);
            if port.at("appProtocol").is_set() {
                port.at("appProtocol").qualified(out);
            }
        }
    }
}
