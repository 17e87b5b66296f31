//! What the plugin prints: results and errors as the specification lays them out.

use std::error::Error;
use std::net::IpAddr;

use netlink::route::{Mac, Network};
use serde::Serialize;

use super::Outcome;

/// The specification's error codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Code {
    IncompatibleVersion = 1,
    Environment = 4,
    Io = 5,
    Undecodable = 6,
    InvalidConfig = 7,
    TryAgain = 11,
    Unavailable = 50,
    /// The first of our own: the kernel refused.
    Kernel = 100,
    /// What CHECK expected is not there.
    Missing = 101,
}

/// An error as the runtime gets it.
#[derive(Debug)]
pub(super) struct Failure {
    code: Code,
    message: String,
    details: String,
}

impl Failure {
    pub(super) fn plain(code: Code, message: String) -> Self {
        Self { code, message, details: String::new() }
    }

    /// With the chain of causes as details.
    pub(super) fn new(code: Code, message: &str, error: &(dyn Error + 'static)) -> Self {
        let chain = std::iter::successors(Some(error), |error| (*error).source());
        let details: Vec<String> = chain.map(ToString::to_string).collect();
        Self { code, message: message.to_owned(), details: details.join(": ") }
    }

    pub(super) fn outcome(&self, version: &str) -> Outcome {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Printed<'a> {
            cni_version: &'a str,
            code: u8,
            msg: &'a str,
            details: &'a str,
        }
        let printed =
            Printed { cni_version: version, code: self.code as u8, msg: &self.message, details: &self.details };
        Outcome { code: 1, text: json(&printed) }
    }
}

impl From<netlink::Error> for Failure {
    fn from(error: netlink::Error) -> Self {
        Self::new(Code::Kernel, "the kernel refused a step", &error)
    }
}

pub(super) fn versions(version: &str, supported: &[&str]) -> String {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Printed<'a> {
        cni_version: &'a str,
        supported_versions: &'a [&'a str],
    }
    json(&Printed { cni_version: version, supported_versions: supported })
}

/// What ADD made.
#[derive(Debug)]
pub(super) struct Made {
    pub(super) bridge: (String, Mac),
    pub(super) host: (String, Mac),
    pub(super) pod: (String, Mac),
    pub(super) sandbox: String,
    pub(super) mtu: Option<u32>,
    /// Address and gateway.
    pub(super) addresses: Vec<(IpAddr, IpAddr)>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Printed {
    cni_version: String,
    interfaces: Vec<Interface>,
    ips: Vec<Ip>,
    routes: Vec<RouteTo>,
    dns: Dns,
}

#[derive(Serialize)]
struct Interface {
    name: String,
    mac: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    mtu: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sandbox: Option<String>,
}

#[derive(Serialize)]
struct Ip {
    /// Only before 1.0.
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<&'static str>,
    address: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    gateway: Option<IpAddr>,
    /// Which of the interfaces has it.
    interface: u8,
}

#[derive(Serialize)]
struct RouteTo {
    dst: String,
    gw: IpAddr,
}

#[derive(Serialize)]
struct Dns {}

impl Made {
    pub(super) fn print(&self, version: &str) -> String {
        let mtu = self.mtu.filter(|_| version == "1.1.0");
        let interface = |(name, mac): &(String, Mac), sandbox: Option<&String>| Interface {
            name: name.clone(),
            mac: mac_text(mac),
            mtu,
            sandbox: sandbox.cloned(),
        };
        let slash = |network: Network| format!("{}/{}", network.address, network.prefix);
        let ip = |(address, gateway): &(IpAddr, IpAddr)| Ip {
            version: family(version, address.is_ipv4()),
            address: slash(Network::host(*address)),
            gateway: Some(*gateway),
            // The pod's is the third of the list.
            interface: 2,
        };
        let route = |(address, gateway): &(IpAddr, IpAddr)| RouteTo {
            dst: slash(Network::all(address.is_ipv4())),
            gw: *gateway,
        };
        json(&Printed {
            cni_version: version.to_owned(),
            interfaces: vec![
                interface(&self.bridge, None),
                interface(&self.host, None),
                interface(&self.pod, Some(&self.sandbox)),
            ],
            ips: self.addresses.iter().map(ip).collect(),
            routes: self.addresses.iter().map(route).collect(),
            dns: Dns {},
        })
    }
}

/// What the plugin `loopback` made: nothing, but runtimes want to read it.
pub(super) fn loopback(version: &str, sandbox: &str) -> String {
    let interface =
        Interface { name: "lo".to_owned(), mac: mac_text(&[0; 6]), mtu: None, sandbox: Some(sandbox.to_owned()) };
    let ip = |address: &str, ipv4| Ip {
        version: family(version, ipv4),
        address: address.to_owned(),
        gateway: None,
        interface: 0,
    };
    json(&Printed {
        cni_version: version.to_owned(),
        interfaces: vec![interface],
        ips: vec![ip("127.0.0.1/8", true), ip("::1/128", false)],
        routes: Vec::new(),
        dns: Dns {},
    })
}

/// What versions before 1.0 say of each address.
fn family(version: &str, ipv4: bool) -> Option<&'static str> {
    version.starts_with("0.").then_some(if ipv4 { "4" } else { "6" })
}

fn mac_text(mac: &Mac) -> String {
    mac.map(|byte| format!("{byte:02x}")).join(":")
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("text, numbers and lists are always JSON")
}
