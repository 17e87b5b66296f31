//! Protobuf's wire format: tags, varints, lengths.

use crate::DecodeError;

/// Reads the fields of one message.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

/// The payload of one field.
#[derive(Debug, Clone, Copy)]
pub(super) enum Payload<'a> {
    Varint(u64),
    Fixed64(u64),
    Bytes(&'a [u8]),
    Fixed32,
}

impl<'a> Reader<'a> {
    pub(super) fn new(message: &'a [u8]) -> Reader<'a> {
        Reader { rest: message }
    }

    /// The next field, or `None` at the message's end.
    pub(super) fn field(&mut self) -> Result<Option<(u32, Payload<'a>)>, DecodeError> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let tag = self.varint()?;
        let number = u32::try_from(tag >> 3).map_err(|_too_large| malformed("illegal tag"))?;
        if number == 0 {
            return Err(malformed("illegal tag 0"));
        }
        let payload = match tag & 7 {
            0 => Payload::Varint(self.varint()?),
            1 => Payload::Fixed64(u64::from_le_bytes(self.array()?)),
            2 => {
                let length = usize::try_from(self.varint()?).map_err(|_too_large| malformed("invalid length"))?;
                Payload::Bytes(self.take(length)?)
            }
            5 => {
                self.array::<4>()?;
                Payload::Fixed32
            }
            _ => return Err(malformed("illegal wireType")),
        };
        Ok(Some((number, payload)))
    }

    /// How many bytes have not been read.
    pub(super) fn left(&self) -> usize {
        self.rest.len()
    }

    fn varint(&mut self) -> Result<u64, DecodeError> {
        let mut value = 0_u64;
        for (at, byte) in self.rest.iter().copied().enumerate().take(10) {
            value |= u64::from(byte & 0x7f) << (7 * at).min(63);
            if byte < 0x80 {
                self.rest = &self.rest[at + 1..];
                return Ok(value);
            }
        }
        Err(malformed(if self.rest.len() < 10 { "unexpected EOF" } else { "integer overflow" }))
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], DecodeError> {
        let (head, tail) = self.rest.split_at_checked(length).ok_or_else(|| malformed("unexpected EOF"))?;
        self.rest = tail;
        Ok(head)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let bytes = self.take(N)?;
        Ok(bytes.try_into().expect("take returns exactly what was asked for"))
    }
}

impl<'a> Payload<'a> {
    pub(super) fn bytes(self) -> Result<&'a [u8], DecodeError> {
        match self {
            Payload::Bytes(bytes) => Ok(bytes),
            _ => Err(malformed("wrong wireType")),
        }
    }

    pub(super) fn text(self) -> Result<&'a str, DecodeError> {
        std::str::from_utf8(self.bytes()?).map_err(|_not_utf8| malformed("string field contains invalid UTF-8"))
    }

    pub(super) fn varint(self) -> Result<u64, DecodeError> {
        match self {
            Payload::Varint(value) => Ok(value),
            _ => Err(malformed("wrong wireType")),
        }
    }

    /// Integers travel as the two's complement of their 64-bit value.
    pub(super) fn integer(self) -> Result<i64, DecodeError> {
        self.varint().map(u64::cast_signed)
    }

    pub(super) fn double(self) -> Result<f64, DecodeError> {
        match self {
            Payload::Fixed64(bits) => Ok(f64::from_bits(bits)),
            _ => Err(malformed("wrong wireType")),
        }
    }
}

fn malformed(problem: &str) -> DecodeError {
    DecodeError::Syntax(format!("proto: {problem}"))
}

/// Writes a message back to front, so that a nested message's length is known when it is written.
#[derive(Debug)]
pub(super) struct Writer {
    buffer: Vec<u8>,
    start: usize,
}

impl Writer {
    pub(super) fn with_capacity(capacity: usize) -> Writer {
        Writer { buffer: vec![0; capacity], start: capacity }
    }

    pub(super) fn finish(mut self) -> Vec<u8> {
        self.buffer.drain(..self.start);
        self.buffer
    }

    /// Puts `bytes` before everything written so far.
    pub(super) fn raw(&mut self, bytes: &[u8]) {
        if self.start < bytes.len() {
            self.grow(bytes.len());
        }
        let start = self.start - bytes.len();
        self.buffer[start..self.start].copy_from_slice(bytes);
        self.start = start;
    }

    pub(super) fn bytes_field(&mut self, number: u32, bytes: &[u8]) {
        self.raw(bytes);
        self.varint(bytes.len() as u64);
        self.tag(number, 2);
    }

    pub(super) fn varint_field(&mut self, number: u32, value: u64) {
        self.varint(value);
        self.tag(number, 0);
    }

    pub(super) fn double_field(&mut self, number: u32, value: f64) {
        self.raw(&value.to_bits().to_le_bytes());
        self.tag(number, 1);
    }

    /// A nested message; `write` puts its fields in descending order.
    pub(super) fn message(&mut self, number: u32, write: impl FnOnce(&mut Writer)) {
        let end = self.buffer.len() - self.start;
        write(self);
        let length = self.buffer.len() - self.start - end;
        self.varint(length as u64);
        self.tag(number, 2);
    }

    /// How many bytes have been written.
    pub(super) fn length(&self) -> usize {
        self.buffer.len() - self.start
    }

    /// Tag and length of a message of `length` bytes that stands behind.
    pub(super) fn length_prefix(&mut self, number: u32, length: usize) {
        self.varint(length as u64);
        self.tag(number, 2);
    }

    fn tag(&mut self, number: u32, wire_type: u64) {
        self.varint((u64::from(number) << 3) | wire_type);
    }

    fn varint(&mut self, mut value: u64) {
        let mut bytes = [0_u8; 10];
        let mut length = 0;
        loop {
            let low = u8::try_from(value & 0x7f).expect("seven bits fit a byte");
            value >>= 7;
            bytes[length] = if value == 0 { low } else { low | 0x80 };
            length += 1;
            if value == 0 {
                break;
            }
        }
        self.raw(&bytes[..length]);
    }

    fn grow(&mut self, wanted: usize) {
        let used = self.buffer.len() - self.start;
        let capacity = (self.buffer.len() * 2).max(used + wanted);
        let mut buffer = vec![0; capacity];
        buffer[capacity - used..].copy_from_slice(&self.buffer[self.start..]);
        self.start = capacity - used;
        self.buffer = buffer;
    }
}
