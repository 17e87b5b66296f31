//! DNS messages, as far as an authoritative server needs them (RFC 1035, RFC 6891).

use std::net::IpAddr;

pub(crate) const A: u16 = 1;
pub(crate) const NS: u16 = 2;
pub(crate) const CNAME: u16 = 5;
pub(crate) const SOA: u16 = 6;
pub(crate) const PTR: u16 = 12;
pub(crate) const TXT: u16 = 16;
pub(crate) const AAAA: u16 = 28;
pub(crate) const SRV: u16 = 33;
const OPT: u16 = 41;
pub(crate) const INTERNET: u16 = 1;

pub(crate) const HEADER: usize = 12;
/// What every client takes over UDP.
const PLAIN_BYTES_MAX: usize = 512;
/// What we send over UDP at most, whatever the client says.
const UDP_BYTES_MAX: usize = 4_096;
const NAME_BYTES_MAX: usize = 255;
/// The pointer to the name of the question.
const QUESTION: [u8; 2] = [0xc0, 12];

/// How a reply ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Code {
    NoError = 0,
    FormatError = 1,
    ServerFailure = 2,
    NameError = 3,
    NotImplemented = 4,
    Refused = 5,
}

/// A message that is no question we can answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// Shorter than a header, or a reply: to be ignored.
    #[error("not a question")]
    Ignored,
    /// It has a header; the reply is an error.
    #[error("a question that cannot be read")]
    Unreadable,
    /// An operation other than a query.
    #[error("an operation that is not supported")]
    Unsupported,
}

/// A question.
#[derive(Debug, Clone)]
pub struct Query<'a> {
    /// The question as received: name, type, class.
    pub(crate) question: &'a [u8],
    /// The name, in lower case.
    name: [u8; NAME_BYTES_MAX],
    name_length: usize,
    pub(crate) id: u16,
    pub(crate) kind: u16,
    pub(crate) class: u16,
    recursion_desired: bool,
    /// What EDNS says: payload size, and whether DNSSEC records are wanted.
    pub(crate) edns: Option<(u16, bool)>,
}

impl<'a> Query<'a> {
    /// Reads the question of a message.
    pub fn read(message: &'a [u8]) -> Result<Self, Malformed> {
        let header: &[u8; HEADER] = message.first_chunk().ok_or(Malformed::Ignored)?;
        let word = |at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
        let reply = header[2] & 0x80 != 0;
        if reply {
            return Err(Malformed::Ignored);
        }
        if header[2] & 0x78 != 0 {
            return Err(Malformed::Unsupported);
        }
        let (questions, answers, authorities, additionals) = (word(4), word(6), word(8), word(10));
        if questions != 1 || answers != 0 || authorities != 0 {
            return Err(Malformed::Unreadable);
        }
        let mut query = Self {
            question: &[],
            name: [0; NAME_BYTES_MAX],
            name_length: 0,
            id: word(0),
            kind: 0,
            class: 0,
            recursion_desired: header[2] & 1 != 0,
            edns: None,
        };
        let end = query.read_question(message).ok_or(Malformed::Unreadable)?;
        query.edns = find_edns(message, end, additionals).ok_or(Malformed::Unreadable)?;
        Ok(query)
    }

    fn read_question(&mut self, message: &'a [u8]) -> Option<usize> {
        let mut at = HEADER;
        loop {
            let length = usize::from(*message.get(at)?);
            // A question's name cannot be compressed: nothing stands before it.
            if length > 63 || self.name_length + length + 1 > NAME_BYTES_MAX {
                return None;
            }
            let label = message.get(at..=at + length)?;
            let target = &mut self.name[self.name_length..=self.name_length + length];
            target.copy_from_slice(label);
            target[1..].make_ascii_lowercase();
            self.name_length += length + 1;
            at += length + 1;
            if length == 0 {
                break;
            }
        }
        let tail: &[u8; 4] = message.get(at..)?.first_chunk()?;
        self.kind = u16::from_be_bytes([tail[0], tail[1]]);
        self.class = u16::from_be_bytes([tail[2], tail[3]]);
        self.question = &message[HEADER..at + 4];
        Some(at + 4)
    }

    /// The name in lower case, as length-prefixed labels with the root's at the end.
    pub(crate) fn name(&self) -> &[u8] {
        &self.name[..self.name_length]
    }

    /// The name as people write it, with the client's own spelling.
    pub(crate) fn text(&self) -> String {
        let text = |label: &[u8]| String::from_utf8_lossy(label).replace('.', "\\.");
        let labels: Vec<String> = labels(self.question).map(text).collect();
        format!("{}.", labels.join("."))
    }

    /// What the client takes over UDP.
    pub(crate) fn udp_bytes_max(&self) -> usize {
        let offered = self.edns.map_or(PLAIN_BYTES_MAX, |(size, _)| usize::from(size));
        offered.clamp(PLAIN_BYTES_MAX, UDP_BYTES_MAX)
    }
}

/// `None` when the message ends early.
fn find_edns(message: &[u8], mut at: usize, records: u16) -> Option<Option<(u16, bool)>> {
    for _ in 0..records {
        let record = Record::read(message, at)?;
        if record.kind == OPT {
            let dnssec_ok = record.ttl & 0x8000 != 0;
            return Some(Some((record.class, dnssec_ok)));
        }
        at = record.end;
    }
    Some(None)
}

/// Where a record of a message stands.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Record {
    pub(crate) kind: u16,
    pub(crate) class: u16,
    pub(crate) ttl: u32,
    pub(crate) ttl_at: usize,
    pub(crate) end: usize,
}

impl Record {
    pub(crate) fn read(message: &[u8], at: usize) -> Option<Self> {
        let fixed = skip_name(message, at)?;
        let bytes: &[u8; 10] = message.get(fixed..)?.first_chunk()?;
        let length = usize::from(u16::from_be_bytes([bytes[8], bytes[9]]));
        let end = fixed + 10 + length;
        (end <= message.len()).then(|| Self {
            kind: u16::from_be_bytes([bytes[0], bytes[1]]),
            class: u16::from_be_bytes([bytes[2], bytes[3]]),
            ttl: u32::from_be_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]),
            ttl_at: fixed + 4,
            end,
        })
    }

    /// Whether it is EDNS's, whose "TTL" is flags.
    pub(crate) fn is_edns(self) -> bool {
        self.kind == OPT
    }
}

/// Where the name that starts at `at` ends.
pub(crate) fn skip_name(message: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match usize::from(*message.get(at)?) {
            0 => return Some(at + 1),
            length @ 1..=63 => at += length + 1,
            192..=255 => return Some(at + 2),
            _ => return None,
        }
    }
}

/// A name as length-prefixed labels, in lower case; `None` when it is no name. A final dot is allowed.
pub(crate) fn encode_name(text: &str) -> Option<Vec<u8>> {
    let mut name = Vec::with_capacity(text.len() + 2);
    for label in text.trim_end_matches('.').split('.').filter(|_| text != ".") {
        let length = u8::try_from(label.len()).ok().filter(|length| (1..=63).contains(length))?;
        name.push(length);
        name.extend(label.bytes().map(|byte| byte.to_ascii_lowercase()));
    }
    name.push(0);
    (name.len() <= NAME_BYTES_MAX).then_some(name)
}

/// The labels of a name, without the root's.
pub(crate) fn labels(name: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = name;
    std::iter::from_fn(move || {
        let length = usize::from(*rest.first()?);
        if length == 0 {
            return None;
        }
        let label = rest.get(1..=length)?;
        rest = &rest[length + 1..];
        Some(label)
    })
}

/// What stands in `name` before `zone`, if it is in that zone: `xcluster.local` is not in `cluster.local`.
pub(crate) fn before_zone<'n>(name: &'n [u8], zone: &[u8]) -> Option<&'n [u8]> {
    let before = name.strip_suffix(zone)?;
    let mut at = 0;
    while at < before.len() {
        at += usize::from(before[at]) + 1;
    }
    (at == before.len()).then_some(before)
}

/// Whether `name` is `zone` or below it.
pub(crate) fn is_within(name: &[u8], zone: &[u8]) -> bool {
    before_zone(name, zone).is_some()
}

/// Writes a reply. Records that do not fit are left out and the reply is marked as truncated.
#[derive(Debug)]
pub(crate) struct Reply<'o> {
    out: &'o mut Vec<u8>,
    bytes_max: usize,
    edns: Option<(u16, bool)>,
    counts: [u16; 3],
    truncated: bool,
}

/// A part of a reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Section {
    Answer = 0,
    Authority = 1,
    Additional = 2,
}

/// Whose record it is.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Owner<'n> {
    /// The question's name.
    Question,
    /// The part of the question's name that starts after so many bytes.
    Suffix(usize),
    /// Another name.
    Name(&'n [u8]),
}

impl<'o> Reply<'o> {
    pub(crate) fn begin(query: &Query<'_>, out: &'o mut Vec<u8>, bytes_max: usize) -> Self {
        let (reply, authoritative, recursion_available) = (0x80, 0x04, 0x80);
        out.clear();
        out.extend_from_slice(&query.id.to_be_bytes());
        out.extend_from_slice(&[reply | authoritative | u8::from(query.recursion_desired), recursion_available]);
        out.extend_from_slice(&[0, 1, 0, 0, 0, 0, 0, 0]);
        out.extend_from_slice(query.question);
        // EDNS's own record must always fit.
        let reserved = if query.edns.is_some() { 11 } else { 0 };
        Self { out, bytes_max: bytes_max - reserved, edns: query.edns, counts: [0; 3], truncated: false }
    }

    /// Appends a record whose data `fill` appends.
    pub(crate) fn record(
        &mut self,
        section: Section,
        owner: Owner<'_>,
        (kind, ttl): (u16, u32),
        fill: impl FnOnce(&mut Vec<u8>),
    ) {
        if self.truncated {
            return;
        }
        let start = self.out.len();
        match owner {
            Owner::Question => self.out.extend_from_slice(&QUESTION),
            Owner::Suffix(skipped) => {
                let pointer = u16::try_from(HEADER + skipped).unwrap_or(12) | 0xc000;
                self.out.extend_from_slice(&pointer.to_be_bytes());
            }
            Owner::Name(name) => self.out.extend_from_slice(name),
        }
        self.out.extend_from_slice(&kind.to_be_bytes());
        self.out.extend_from_slice(&INTERNET.to_be_bytes());
        self.out.extend_from_slice(&ttl.to_be_bytes());
        let length_at = self.out.len();
        self.out.extend_from_slice(&[0, 0]);
        fill(self.out);
        let length = u16::try_from(self.out.len() - length_at - 2).unwrap_or(u16::MAX);
        self.out[length_at..length_at + 2].copy_from_slice(&length.to_be_bytes());
        if self.out.len() > self.bytes_max {
            self.out.truncate(start);
            // What is only additional may be missing; what was asked for may not, unsaid.
            self.truncated = section != Section::Additional;
            return;
        }
        self.counts[section as usize] += 1;
    }

    pub(crate) fn address(&mut self, section: Section, owner: Owner<'_>, address: IpAddr, ttl: u32) {
        match address {
            IpAddr::V4(address) => self.record(section, owner, (A, ttl), |out| out.extend(address.octets())),
            IpAddr::V6(address) => self.record(section, owner, (AAAA, ttl), |out| out.extend(address.octets())),
        }
    }

    pub(crate) fn finish(mut self, code: Code) {
        if let Some((_, dnssec_ok)) = self.edns {
            let size = u16::try_from(UDP_BYTES_MAX).unwrap_or(u16::MAX);
            let flags = if dnssec_ok { 0x80 } else { 0 };
            self.out.push(0);
            self.out.extend_from_slice(&OPT.to_be_bytes());
            self.out.extend_from_slice(&size.to_be_bytes());
            self.out.extend_from_slice(&[0, 0, flags, 0, 0, 0]);
            self.counts[Section::Additional as usize] += 1;
        }
        if self.truncated {
            self.out[2] |= 0x02;
        }
        self.out[3] |= code as u8;
        for (index, count) in self.counts.iter().enumerate() {
            let at = 6 + 2 * index;
            self.out[at..at + 2].copy_from_slice(&count.to_be_bytes());
        }
    }
}

/// Writes the reply to a message that could not be read, if one is due.
pub(crate) fn refuse(message: &[u8], malformed: Malformed, out: &mut Vec<u8>) -> bool {
    let code = match malformed {
        Malformed::Ignored => return false,
        Malformed::Unreadable => Code::FormatError,
        Malformed::Unsupported => Code::NotImplemented,
    };
    out.clear();
    out.extend_from_slice(&message[..2]);
    out.extend_from_slice(&[0x80 | (message[2] & 0x79), code as u8]);
    out.extend_from_slice(&[0; 8]);
    true
}
