//! Subjects and alternative names.

use std::net::IpAddr;

use x509_parser::extensions::GeneralName;
use x509_parser::x509::X509Name;

use crate::der;

/// The attribute that carries a Kubernetes UID in a client certificate's subject.
///
/// Under Kubernetes' enterprise number, KEP-4193's companion for X.509.
const UID: [u64; 8] = [1, 3, 6, 1, 4, 1, 57683, 2];
const COMMON_NAME: [u64; 4] = [2, 5, 4, 3];
const ORGANIZATION: [u64; 4] = [2, 5, 4, 10];

/// Who a certificate speaks for: a user name (CN), groups (O) and perhaps a UID.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Subject {
    /// CN; the user name of a client.
    pub common_name: String,
    /// O, in their order; the groups of a client.
    pub organizations: Vec<String>,
    /// 1.3.6.1.4.1.57683.2.
    pub uid: Option<String>,
}

impl Subject {
    /// A subject with a common name and organizations.
    pub fn new(common_name: impl Into<String>, organizations: &[&str]) -> Self {
        let organizations = organizations.iter().map(|organization| (*organization).to_owned()).collect();
        Subject { common_name: common_name.into(), organizations, uid: None }
    }

    pub(crate) fn read(name: &X509Name<'_>) -> Self {
        let mut subject = Subject::default();
        for attribute in name.iter_attributes() {
            let Ok(value) = attribute.as_str() else { continue };
            let is = |arcs: &[u64]| attribute.attr_type().as_bytes() == &der::oid(arcs)[2..];
            if is(&COMMON_NAME) {
                value.clone_into(&mut subject.common_name);
            } else if is(&ORGANIZATION) {
                subject.organizations.push(value.to_owned());
            } else if is(&UID) {
                subject.uid = Some(value.to_owned());
            }
        }
        subject
    }

    /// The DER of the name: organizations in one set, then the common name, then the UID.
    pub(crate) fn to_der(&self) -> Vec<u8> {
        let mut sets = Vec::new();
        if !self.organizations.is_empty() {
            let mut values: Vec<_> = self.organizations.iter().map(|value| attribute(&ORGANIZATION, value)).collect();
            values.sort();
            sets.push(der::constructed(der::SET, &values));
        }
        if !self.common_name.is_empty() {
            sets.push(der::constructed(der::SET, &[attribute(&COMMON_NAME, &self.common_name)]));
        }
        if let Some(uid) = &self.uid {
            sets.push(der::constructed(der::SET, &[attribute(&UID, uid)]));
        }
        der::sequence(&sets)
    }
}

fn attribute(arcs: &[u64], value: &str) -> Vec<u8> {
    let plain = |c: char| c.is_ascii_alphanumeric() || " '()+,-./:=?".contains(c);
    let tag = if value.chars().all(plain) { der::PRINTABLE_STRING } else { der::UTF8_STRING };
    der::sequence(&[der::oid(arcs), der::element(tag, value.as_bytes())])
}

/// The subject alternative names.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AlternativeNames {
    /// DNS names; a leading `*.` is a wildcard.
    pub dns: Vec<String>,
    /// IP addresses.
    pub ips: Vec<IpAddr>,
    /// E-mail addresses.
    pub emails: Vec<String>,
    /// URIs.
    pub uris: Vec<String>,
}

impl AlternativeNames {
    /// Sorts each of `names` into addresses and DNS names; duplicates go.
    pub fn from_hosts<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        let mut out = AlternativeNames::default();
        for name in names {
            match name.parse() {
                Ok(ip) if !out.ips.contains(&ip) => out.ips.push(ip),
                Ok(_) => {}
                Err(_) if !out.dns.iter().any(|known| known == name) => out.dns.push(name.to_owned()),
                Err(_) => {}
            }
        }
        out
    }

    /// Whether every name of `wanted` is among these.
    pub fn covers(&self, wanted: &AlternativeNames) -> bool {
        fn all<T: PartialEq>(have: &[T], want: &[T]) -> bool {
            want.iter().all(|name| have.contains(name))
        }
        all(&self.dns, &wanted.dns)
            && all(&self.ips, &wanted.ips)
            && all(&self.emails, &wanted.emails)
            && all(&self.uris, &wanted.uris)
    }

    /// Whether there is no name at all.
    pub fn is_empty(&self) -> bool {
        self.dns.is_empty() && self.ips.is_empty() && self.emails.is_empty() && self.uris.is_empty()
    }

    pub(crate) fn read(names: &[GeneralName<'_>]) -> Self {
        let mut out = AlternativeNames::default();
        for name in names {
            match name {
                GeneralName::DNSName(dns) => out.dns.push((*dns).to_owned()),
                GeneralName::RFC822Name(email) => out.emails.push((*email).to_owned()),
                GeneralName::URI(uri) => out.uris.push((*uri).to_owned()),
                GeneralName::IPAddress(bytes) => out.ips.extend(address(bytes)),
                _ => {}
            }
        }
        out
    }

    /// The GeneralNames sequence, in the order DNS, e-mail, IP, URI.
    pub(crate) fn to_der(&self) -> Vec<u8> {
        let mut names = Vec::new();
        names.extend(self.dns.iter().map(|dns| der::implicit(2, dns.as_bytes())));
        names.extend(self.emails.iter().map(|email| der::implicit(1, email.as_bytes())));
        names.extend(self.ips.iter().map(|ip| match ip {
            IpAddr::V4(ip) => der::implicit(7, &ip.octets()),
            IpAddr::V6(ip) => der::implicit(7, &ip.octets()),
        }));
        names.extend(self.uris.iter().map(|uri| der::implicit(6, uri.as_bytes())));
        der::sequence(&names)
    }
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(bytes).ok().map(IpAddr::from);
    v4.or_else(|| <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from))
}
