//! The few words of DER (X.690) that writing certificates and requests needs.
//!
//! Not a general codec: definite lengths and one-byte tags only, which is all that X.509 uses.

use jiff::Timestamp;
use jiff::tz::TimeZone;

pub(crate) const BOOLEAN: u8 = 0x01;
pub(crate) const INTEGER: u8 = 0x02;
pub(crate) const BIT_STRING: u8 = 0x03;
pub(crate) const OCTET_STRING: u8 = 0x04;
pub(crate) const NULL: u8 = 0x05;
pub(crate) const OID: u8 = 0x06;
pub(crate) const UTF8_STRING: u8 = 0x0c;
pub(crate) const PRINTABLE_STRING: u8 = 0x13;
pub(crate) const UTC_TIME: u8 = 0x17;
pub(crate) const GENERALIZED_TIME: u8 = 0x18;
pub(crate) const SEQUENCE: u8 = 0x30;
pub(crate) const SET: u8 = 0x31;

/// One element: tag, length, content.
pub(crate) fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(content.len() + 6);
    out.push(tag);
    let length = content.len();
    if length < 0x80 {
        out.push(length.to_le_bytes()[0]);
    } else {
        let bytes = length.to_be_bytes();
        let first = bytes.iter().position(|byte| *byte != 0).unwrap_or(bytes.len());
        out.push(0x80 | (bytes.len() - first).to_le_bytes()[0]);
        out.extend_from_slice(&bytes[first..]);
    }
    out.extend_from_slice(content);
    out
}

/// An element whose content is `parts`, one after the other.
pub(crate) fn constructed(tag: u8, parts: &[Vec<u8>]) -> Vec<u8> {
    element(tag, &parts.concat())
}

pub(crate) fn sequence(parts: &[Vec<u8>]) -> Vec<u8> {
    constructed(SEQUENCE, parts)
}

/// The context-specific constructed element `[number]`.
pub(crate) fn explicit(number: u8, parts: &[Vec<u8>]) -> Vec<u8> {
    constructed(0xa0 | number, parts)
}

/// The context-specific primitive element `[number]`.
pub(crate) fn implicit(number: u8, content: &[u8]) -> Vec<u8> {
    element(0x80 | number, content)
}

/// A non-negative integer from big-endian bytes.
pub(crate) fn unsigned(big_endian: &[u8]) -> Vec<u8> {
    let first = big_endian.iter().position(|byte| *byte != 0).unwrap_or(big_endian.len());
    let mut content = Vec::with_capacity(big_endian.len() + 1);
    if big_endian.get(first).is_none_or(|byte| byte & 0x80 != 0) {
        content.push(0);
    }
    content.extend_from_slice(&big_endian[first..]);
    element(INTEGER, &content)
}

pub(crate) fn bit_string(bytes: &[u8]) -> Vec<u8> {
    element(BIT_STRING, &[&[0], bytes].concat())
}

/// A named bit list (key usage): `bits` counted from the most significant one, trailing zeros not written.
pub(crate) fn named_bits(bits: u8) -> Vec<u8> {
    element(BIT_STRING, &[bits.trailing_zeros().to_le_bytes()[0], bits])
}

pub(crate) fn oid(arcs: &[u64]) -> Vec<u8> {
    let mut content = Vec::new();
    base128(&mut content, arcs[0] * 40 + arcs[1]);
    for arc in &arcs[2..] {
        base128(&mut content, *arc);
    }
    element(OID, &content)
}

fn base128(out: &mut Vec<u8>, value: u64) {
    let groups = (64 - value.leading_zeros()).div_ceil(7).max(1);
    for group in (0..groups).rev() {
        let low = (value >> (group * 7)).to_le_bytes()[0] & 0x7f;
        out.push(if group == 0 { low } else { low | 0x80 });
    }
}

/// UTCTime until 2049, GeneralizedTime from 2050 on (RFC 5280, 4.1.2.5).
pub(crate) fn time(at: Timestamp) -> Vec<u8> {
    let utc = at.to_zoned(TimeZone::UTC);
    if (1950..2050).contains(&utc.year()) {
        element(UTC_TIME, utc.strftime("%y%m%d%H%M%SZ").to_string().as_bytes())
    } else {
        element(GENERALIZED_TIME, utc.strftime("%Y%m%d%H%M%SZ").to_string().as_bytes())
    }
}

/// Reads elements one after the other.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

/// An element as read: `whole` includes tag and length.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Element<'a> {
    pub(crate) tag: u8,
    pub(crate) content: &'a [u8],
    pub(crate) whole: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Reader { rest: bytes }
    }

    /// The next element; `None` at the end and for malformed bytes.
    pub(crate) fn next(&mut self) -> Option<Element<'a>> {
        let (&tag, after_tag) = self.rest.split_first()?;
        let (&first, after_length) = after_tag.split_first()?;
        let (length, header) = if first < 0x80 {
            (usize::from(first), 2)
        } else {
            let count = usize::from(first & 0x7f);
            if count == 0 || count > 4 {
                return None;
            }
            let bytes = after_length.get(..count)?;
            (bytes.iter().fold(0, |sum, byte| (sum << 8) | usize::from(*byte)), 2 + count)
        };
        let whole = self.rest.get(..header.checked_add(length)?)?;
        self.rest = &self.rest[whole.len()..];
        Some(Element { tag, content: &whole[header..], whole })
    }

    /// The next element when it has this tag.
    pub(crate) fn expect(&mut self, tag: u8) -> Option<Element<'a>> {
        self.next().filter(|element| element.tag == tag)
    }
}

/// The bytes of a bit string without unused bits.
pub(crate) fn bits<'a>(element: &Element<'a>) -> Option<&'a [u8]> {
    match element.content.split_first() {
        Some((0, bytes)) if element.tag == BIT_STRING => Some(bytes),
        _ => None,
    }
}

/// The two parts of a SubjectPublicKeyInfo: algorithm identifier (content bytes) and key bits.
pub(crate) fn split_spki(spki: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut inner = Reader::new(Reader::new(spki).expect(SEQUENCE)?.content);
    let algorithm = inner.expect(SEQUENCE)?;
    let key = inner.expect(BIT_STRING)?;
    Some((algorithm.content, bits(&key)?))
}
