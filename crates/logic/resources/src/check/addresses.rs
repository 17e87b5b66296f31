//! Addresses and ranges of addresses.

use std::net::IpAddr;

use kind::Problem;

use super::spot::{Problems, Spot};
use super::trail::Trail;

/// An address.
pub(crate) fn address(spot: &Spot<'_>, out: &mut Problems) {
    address_text(&spot.path, spot.text(), out);
}

/// An address at `path`.
pub(crate) fn address_text(path: &Trail<'_>, text: &str, out: &mut Problems) {
    match text.parse::<IpAddr>() {
        Ok(IpAddr::V6(address)) if address.to_ipv4_mapped().is_some() => {
            out.push(Problem::invalid(path, text, "must not be an IPv4-mapped IPv6 address"));
        }
        Ok(_) => {}
        Err(_) => {
            let detail = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)";
            out.push(Problem::invalid(path, text, detail));
        }
    }
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
    match range(spot.text().trim()) {
        None => spot.invalid(out, "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"),
        Some((address, length)) if has_host_bits(address, length) => {
            spot.invalid(out, "must not have bits set beyond the prefix length");
        }
        Some(_) => {}
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
