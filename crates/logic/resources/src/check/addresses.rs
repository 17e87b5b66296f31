//! Addresses and ranges of addresses.

use std::net::IpAddr;

use kind::Problem;

use super::spot::{Problems, Spot};

/// An address.
pub(crate) fn address(spot: &Spot<'_>, out: &mut Problems) {
    address_text(spot.path.clone(), spot.text(), out);
}

/// An address at `path`.
pub(crate) fn address_text(path: object::Path, text: &str, out: &mut Problems) {
    let detail = match sloppy(text) {
        None => "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)",
        Some(Spelling::LeadingZeros) => "must not have leading 0s",
        Some(Spelling::Proper(IpAddr::V6(address))) if address.to_ipv4_mapped().is_some() => {
            "must not be an IPv4-mapped IPv6 address"
        }
        Some(Spelling::Proper(_)) => return,
    };
    out.push(Problem::invalid(path, text, detail));
}

/// How an address is written.
enum Spelling {
    Proper(IpAddr),
    /// With zeros before the numbers of an IPv4 address, which some read as octal numbers.
    LeadingZeros,
}

/// Reads an address as generously as older servers did.
fn sloppy(text: &str) -> Option<Spelling> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Some(Spelling::Proper(address));
    }
    let (head, dotted) = text.rfind(':').map_or(("", text), |colon| text.split_at(colon + 1));
    let numbers: Vec<&str> = dotted.split('.').collect();
    let number = |digits: &&str| -> Option<u8> {
        let digits = Some(*digits).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))?;
        digits.trim_start_matches('0').parse().ok().or_else(|| digits.ends_with('0').then_some(0))
    };
    let octets: Vec<String> =
        numbers.iter().map(|digits| number(digits).map(|octet| octet.to_string())).collect::<Option<_>>()?;
    let plain = format!("{head}{}", octets.join("."));
    plain.parse::<IpAddr>().ok().map(|_address| Spelling::LeadingZeros)
}

/// An address that traffic can be sent to from elsewhere.
pub(crate) fn ordinary_address(spot: &Spot<'_>, out: &mut Problems) {
    let Ok(address) = spot.text().parse::<IpAddr>() else {
        spot.invalid(out, "must be a valid IP address");
        return;
    };
    if address.is_unspecified() {
        spot.invalid(out, "may not be unspecified (0.0.0.0 or ::)");
    }
    if address.is_loopback() {
        spot.invalid(out, "may not be in the loopback range (127.0.0.0/8, ::1/128)");
    }
    let (link, link_multicast) = match address {
        IpAddr::V4(v4) => (v4.is_link_local(), v4.octets()[..3] == [224, 0, 0]),
        IpAddr::V6(v6) => (v6.segments()[0] & 0xffc0 == 0xfe80, v6.segments()[0] & 0xff0f == 0xff02),
    };
    if link {
        spot.invalid(out, "may not be in the link-local range (169.254.0.0/16, fe80::/10)");
    }
    if link_multicast {
        spot.invalid(out, "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)");
    }
}

/// A range in CIDR notation: its address and the length of its prefix.
pub(crate) fn range(text: &str) -> Option<(IpAddr, u8)> {
    let (address, length) = text.split_once('/')?;
    let address: IpAddr = address.parse().ok()?;
    let most = if address.is_ipv4() { 32 } else { 128 };
    if length.is_empty()
        || !length.bytes().all(|byte| byte.is_ascii_digit())
        || (length.len() > 1 && length.starts_with('0'))
    {
        return None;
    }
    let length: u8 = length.parse().ok()?;
    (length <= most).then_some((address, length))
}

/// Whether an address has bits set beyond a prefix.
fn has_host_bits(address: IpAddr, length: u8) -> bool {
    match address {
        IpAddr::V4(v4) => u32::from(v4).checked_shl(length.into()).is_some_and(|rest| rest != 0),
        IpAddr::V6(v6) => u128::from(v6).checked_shl(length.into()).is_some_and(|rest| rest != 0),
    }
}

/// A range in CIDR notation.
pub(crate) fn cidr(spot: &Spot<'_>, out: &mut Problems) {
    let text = spot.text().trim();
    match range(text) {
        None if has_leading_zeros(text) => spot.invalid(out, "must not have leading 0s in IP or prefix length"),
        None => spot.invalid(out, "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"),
        Some((IpAddr::V6(address), _)) if address.to_ipv4_mapped().is_some() => {
            spot.invalid(out, "must not have an IPv4-mapped IPv6 address");
        }
        Some((address, length)) if has_host_bits(address, length) => {
            spot.invalid(out, "must not have bits set beyond the prefix length");
        }
        Some(_) => {}
    }
}

/// Whether a text that is no range would be one without the zeros before its numbers.
fn has_leading_zeros(text: &str) -> bool {
    let Some((address, length)) = text.split_once('/') else { return false };
    let most = if address.contains(':') { 128 } else { 32 };
    let is_length =
        length.bytes().all(|byte| byte.is_ascii_digit()) && length.parse().is_ok_and(|bits: u32| bits <= most);
    is_length && sloppy(address).is_some()
}

/// Tells of an IPv6 address that is not written as RFC 5952 has it. Other unusual spellings are refused.
pub(crate) fn odd_address(spot: &Spot<'_>, warnings: &mut Vec<String>) {
    let Ok(IpAddr::V6(address)) = spot.text().parse::<IpAddr>() else { return };
    let canonical = address.to_string();
    if address.to_ipv4_mapped().is_none() && canonical != spot.text() {
        warnings.push(format!(
            "{}: IPv6 address {:?} should be in RFC 5952 canonical format ({canonical:?})",
            spot.path,
            spot.text()
        ));
    }
}

/// The same of a range.
pub(crate) fn odd_cidr(spot: &Spot<'_>, warnings: &mut Vec<String>) {
    let Some((IpAddr::V6(address), length)) = range(spot.text()) else { return };
    let canonical = format!("{address}/{length}");
    let is_proper = address.to_ipv4_mapped().is_none() && !has_host_bits(IpAddr::V6(address), length);
    if is_proper && canonical != spot.text() {
        warnings.push(format!(
            "{}: IPv6 CIDR value {:?} should be in RFC 5952 canonical format ({canonical:?})",
            spot.path,
            spot.text()
        ));
    }
}

/// What is wrong with the name of an `IPAddress`: an address in its canonical form.
pub(crate) fn address_name(name: &str) -> Vec<String> {
    match name.parse::<IpAddr>() {
        Err(_) => vec!["must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)".to_owned()],
        Ok(address) if address.to_string() != name => {
            vec![format!("must be in canonical form ({:?})", address.to_string())]
        }
        Ok(_) => Vec::new(),
    }
}
