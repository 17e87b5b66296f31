//! Reading a container's log as `kubectl logs` asks for it.
//!
//! A line on disk is `time stream tag text`: the time in RFC 3339 with nanoseconds, `stdout` or `stderr`, `F` for the
//! end of a line or `P` for a part of one.

use std::io::{self, Read, Seek, SeekFrom};
use std::path::PathBuf;

use jiff::Timestamp;

/// How many bytes are read at a time.
const READ_BYTES: usize = 64 << 10;

/// What of a log is wanted (`PodLogOptions`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// Only so many lines from the end.
    pub(crate) tail_lines: Option<usize>,
    /// Only what was said at or after this time.
    pub(crate) since: Option<Timestamp>,
    /// Each line with its time.
    pub(crate) timestamps: bool,
    /// No more bytes than this.
    pub(crate) bytes_max: Option<u64>,
    /// Only what was said on standard output, or on standard error.
    pub(crate) stream: Option<Stream>,
}

/// Where something was said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stream {
    /// `stdout`.
    Stdout,
    /// `stderr`.
    Stderr,
}

/// A log that is read on as it grows.
#[derive(Debug)]
pub(crate) struct Reader {
    path: PathBuf,
    file: env::fs::File,
    wanted: Wanted,
    rest: Vec<u8>,
    left: Option<u64>,
    within_line: bool,
}

impl Reader {
    /// Opens a log at the place where what is wanted begins.
    pub(crate) fn open(path: PathBuf, wanted: Wanted) -> io::Result<Reader> {
        let mut file = env::fs::File::open(&path)?;
        if let Some(lines) = wanted.tail_lines {
            let start = tail_start(&mut file, lines)?;
            file.seek(SeekFrom::Start(start))?;
        }
        let left = wanted.bytes_max;
        Ok(Reader { path, file, wanted, rest: Vec::new(), left, within_line: false })
    }

    /// The log's path.
    pub(crate) fn path(&self) -> &std::path::Path {
        &self.path
    }

    /// What is there now and wanted; empty at the present end, `None` when nothing more is wanted.
    pub(crate) fn read(&mut self) -> io::Result<Option<Vec<u8>>> {
        if self.left == Some(0) {
            return Ok(None);
        }
        let mut out = Vec::new();
        while out.is_empty() {
            let mut buffer = vec![0; READ_BYTES];
            let count = self.file.read(&mut buffer)?;
            if count == 0 {
                if !self.reopened()? {
                    break;
                }
                continue;
            }
            self.rest.extend_from_slice(&buffer[..count]);
            let end = self.rest.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
            let lines: Vec<u8> = self.rest.drain(..end).collect();
            lines.split_inclusive(|byte| *byte == b'\n').for_each(|line| self.take(line, &mut out));
        }
        if let Some(left) = &mut self.left {
            out.truncate(usize::try_from(*left).unwrap_or(usize::MAX));
            *left -= out.len() as u64;
        }
        Ok(Some(out))
    }

    /// Goes on in the new file after a rotation.
    fn reopened(&mut self) -> io::Result<bool> {
        use std::os::unix::fs::MetadataExt;
        let present = match env::fs::metadata(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            other => other?,
        };
        if present.ino() == self.file.metadata()?.ino() {
            return Ok(false);
        }
        self.file = env::fs::File::open(&self.path)?;
        Ok(true)
    }

    fn take(&mut self, line: &[u8], out: &mut Vec<u8>) {
        let Some((time, stream, partial, text)) = parse(line) else { return };
        let unwanted = self.wanted.stream.is_some_and(|wanted| wanted != stream)
            || self.wanted.since.is_some_and(|since| moment(time).is_some_and(|time| time < since));
        if unwanted {
            return;
        }
        if self.wanted.timestamps && !self.within_line {
            out.extend_from_slice(time);
            out.push(b' ');
        }
        out.extend_from_slice(text);
        if !partial {
            out.push(b'\n');
        }
        self.within_line = partial;
    }
}

pub(crate) fn moment(time: &[u8]) -> Option<Timestamp> {
    std::str::from_utf8(time).ok()?.parse().ok()
}

/// Takes a line apart: time, stream, whether it goes on, text.
pub(crate) fn parse(line: &[u8]) -> Option<(&[u8], Stream, bool, &[u8])> {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let mut parts = line.splitn(4, |byte| *byte == b' ');
    let (time, stream, tag, text) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let stream = match stream {
        b"stdout" => Stream::Stdout,
        b"stderr" => Stream::Stderr,
        _ => return None,
    };
    Some((time, stream, tag.split(|byte| *byte == b':').next() == Some(b"P"), text))
}

/// Where the last `lines` lines begin, read from the end.
fn tail_start(file: &mut env::fs::File, lines: usize) -> io::Result<u64> {
    let size = file.metadata()?.len();
    let (mut at, mut found) = (size, 0);
    if lines == 0 {
        return Ok(size);
    }
    while at > 0 {
        let begin = at.saturating_sub(READ_BYTES as u64);
        let mut buffer = vec![0; usize::try_from(at - begin).unwrap_or(READ_BYTES)];
        file.seek(SeekFrom::Start(begin))?;
        file.read_exact(&mut buffer)?;
        for (index, byte) in buffer.iter().enumerate().rev() {
            let position = begin + index as u64;
            if *byte == b'\n' && position + 1 < size {
                found += 1;
                if found == lines {
                    return Ok(position + 1);
                }
            }
        }
        at = begin;
    }
    Ok(0)
}
