//! Whether a certificate and a key, as PEM, belong together: what Go's TLS library says of them.
//!
//! Read by their structure alone, without cryptography. Of an elliptic key that does not say which public key is its own,
//! and of what only a whole reader of certificates would find, nothing is said.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const OCTET_STRING: u8 = 0x04;
/// `[0]` and `[1]`, with something in them.
const FIRST: u8 = 0xa0;
const SECOND: u8 = 0xa1;

const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
const ELLIPTIC: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
const EDWARDS: &[u8] = &[0x2b, 0x65, 0x70];

/// Half of a key pair, by what is public in it.
#[derive(Debug, PartialEq, Eq)]
enum Half<'a> {
    /// The modulus.
    Rsa(&'a [u8]),
    /// The point; unknown where a private key does not tell it.
    Elliptic(Option<&'a [u8]>),
    /// Its private half does not tell its public one.
    Edwards,
    Unknown,
}

/// A block of PEM.
struct Block<'a> {
    label: &'a str,
    bytes: Vec<u8>,
}

/// What is wrong with a certificate and its key.
pub(crate) fn problem(certificate: &str, key: &str) -> Option<String> {
    let (certificates, keys) = (blocks(certificate), blocks(key));
    let Some(certificate) = certificates.iter().find(|block| block.label == "CERTIFICATE") else {
        return Some(no_certificate(&certificates));
    };
    let is_key = |block: &&Block<'_>| block.label == "PRIVATE KEY" || block.label.ends_with(" PRIVATE KEY");
    let Some(key) = keys.iter().find(is_key) else { return Some(no_key(&keys)) };
    let public = match certified(&certificate.bytes) {
        Ok(public) => public,
        Err(problem) => return Some(problem.to_owned()),
    };
    let Some(private) = private(&key.bytes) else { return Some("tls: failed to parse private key".to_owned()) };
    let problem = match (&public, &private) {
        (Half::Unknown, _) => "tls: unknown public key algorithm",
        (Half::Rsa(one), Half::Rsa(other)) if one == other => return None,
        (Half::Elliptic(Some(one)), Half::Elliptic(Some(other))) if one == other => return None,
        (Half::Rsa(_), Half::Rsa(_)) | (Half::Elliptic(Some(_)), Half::Elliptic(Some(_))) => {
            "tls: private key does not match public key"
        }
        (Half::Elliptic(_), Half::Elliptic(_)) | (Half::Edwards, Half::Edwards) => return None,
        _ => "tls: private key type does not match public key type",
    };
    Some(problem.to_owned())
}

fn no_certificate(found: &[Block<'_>]) -> String {
    match found {
        [] => "tls: failed to find any PEM data in certificate input".to_owned(),
        [only] if only.label.ends_with("PRIVATE KEY") => {
            "tls: failed to find certificate PEM data in certificate input, but did find a private key; PEM inputs may have \
             been switched"
                .to_owned()
        }
        skipped => format!(
            "tls: failed to find \"CERTIFICATE\" PEM block in certificate input after skipping PEM blocks of the following \
             types: [{}]",
            labels(skipped)
        ),
    }
}

fn no_key(found: &[Block<'_>]) -> String {
    match found {
        [] => "tls: failed to find any PEM data in key input".to_owned(),
        [only] if only.label == "CERTIFICATE" => {
            "tls: found a certificate rather than a key in the PEM for the private key".to_owned()
        }
        skipped => format!(
            "tls: failed to find PEM block with type ending in \"PRIVATE KEY\" in key input after skipping PEM blocks of the \
             following types: [{}]",
            labels(skipped)
        ),
    }
}

fn labels(blocks: &[Block<'_>]) -> String {
    blocks.iter().map(|block| block.label).collect::<Vec<_>>().join(" ")
}

/// The blocks of a text; what is not base64 between its lines is none.
fn blocks(text: &str) -> Vec<Block<'_>> {
    let (mut blocks, mut rest) = (Vec::new(), text);
    while let Some((_, after)) = rest.split_once("-----BEGIN ") {
        rest = after;
        let Some((label, body)) = after.split_once("-----") else { break };
        let Some((body, after)) = body.split_once(&format!("-----END {label}-----")) else { continue };
        // Lines with a colon are headers.
        let lines = body.lines().map(str::trim).filter(|line| !line.contains(':'));
        if let Ok(bytes) = STANDARD.decode(lines.collect::<String>()) {
            blocks.push(Block { label, bytes });
            rest = after;
        }
    }
    blocks
}

/// No structure here has more elements.
const ELEMENTS_MAX: usize = 32;

/// The elements of some DER; nothing when it is cut short or has too many.
fn elements(mut bytes: &[u8]) -> Option<Vec<(u8, &[u8])>> {
    let mut all = Vec::new();
    while let [tag, length, rest @ ..] = bytes {
        let (length, rest) = match length {
            0..=0x7f => (usize::from(*length), rest),
            0x81..=0x84 => {
                let (digits, rest) = rest.split_at_checked(usize::from(length & 0x7f))?;
                (digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit)), rest)
            }
            _ => return None,
        };
        let (content, rest) = rest.split_at_checked(length)?;
        all.push((*tag, content));
        bytes = rest;
        if all.len() > ELEMENTS_MAX {
            return None;
        }
    }
    bytes.is_empty().then_some(all)
}

/// The elements of the sequence that the bytes begin with.
fn sequence(bytes: &[u8]) -> Option<Vec<(u8, &[u8])>> {
    match elements(bytes)?.first()? {
        (SEQUENCE, content) => elements(content),
        _ => None,
    }
}

/// The key that a certificate is about.
fn certified(bytes: &[u8]) -> Result<Half<'_>, &'static str> {
    let certificate = sequence(bytes).ok_or("x509: malformed certificate")?;
    let body = certificate.first().filter(|(tag, _)| *tag == SEQUENCE).and_then(|(_, body)| elements(body));
    let body = body.ok_or("x509: malformed tbs certificate")?;
    // Number, algorithm, issuer, validity, subject and key, after a version that may be left out.
    let at = if body.first().is_some_and(|(tag, _)| *tag == FIRST) { 6 } else { 5 };
    let key = body.get(at).filter(|(tag, _)| *tag == SEQUENCE).ok_or("x509: malformed spki")?;
    public(key.1).ok_or("x509: malformed spki")
}

fn public(content: &[u8]) -> Option<Half<'_>> {
    let [(SEQUENCE, algorithm), (BIT_STRING, [0, bits @ ..])] = elements(content)?[..] else { return None };
    Some(match elements(algorithm)?.first()?.1 {
        RSA => Half::Rsa(number(sequence(bits)?.first()?)?),
        ELLIPTIC => Half::Elliptic(Some(bits)),
        EDWARDS => Half::Edwards,
        _ => Half::Unknown,
    })
}

/// A private key in any of its three forms.
fn private(bytes: &[u8]) -> Option<Half<'_>> {
    let all = sequence(bytes)?;
    match all[..] {
        [(INTEGER, _), (INTEGER, _), ..] => rsa(&all),
        // SEC 1
        [(INTEGER, _), (OCTET_STRING, _), ..] => elliptic(&all),
        // PKCS #8
        [(INTEGER, _), (SEQUENCE, algorithm), (OCTET_STRING, inner), ..] => match elements(algorithm)?.first()?.1 {
            RSA => rsa(&sequence(inner)?),
            ELLIPTIC => elliptic(&sequence(inner)?),
            EDWARDS => Some(Half::Edwards),
            _ => None,
        },
        _ => None,
    }
}

/// PKCS #1: a version, the modulus, the exponent, and what is secret.
fn rsa<'a>(all: &[(u8, &'a [u8])]) -> Option<Half<'a>> {
    match all {
        [(INTEGER, _), modulus, (INTEGER, _), (INTEGER, _), ..] => Some(Half::Rsa(number(modulus)?)),
        _ => None,
    }
}

fn elliptic<'a>(all: &[(u8, &'a [u8])]) -> Option<Half<'a>> {
    let Some((_, told)) = all.iter().find(|(tag, _)| *tag == SECOND) else { return Some(Half::Elliptic(None)) };
    match elements(told)?[..] {
        [(BIT_STRING, [0, bits @ ..])] => Some(Half::Elliptic(Some(bits))),
        _ => None,
    }
}

/// A number without the zero that keeps it positive.
fn number<'a>((tag, digits): &(u8, &'a [u8])) -> Option<&'a [u8]> {
    let digits = Some(*digits).filter(|_| *tag == INTEGER)?;
    Some(digits.strip_prefix(&[0]).unwrap_or(digits))
}

#[cfg(test)]
mod tests;
