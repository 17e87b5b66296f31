//! Many streams of one connection that are only listened to.
//!
//! A thousand watchers of a general client cost more than the server that serves them, and then it is the client that is
//! measured. This one speaks as much HTTP/2 as listening needs: requests without bodies, and frames handed on where they
//! lie, without a task, a queue or a copy per stream.
//!
//! Invariants
//! - What is heard is handed on in order, per stream.
//! - Windows are not renewed: a stream that says more than its window holds is an error, not a silence.

mod frames;

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use env::time::timeout;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt};

use super::Call;
use super::connection::{CONNECTION_WINDOW_BYTES, Dialled, FRAME_BYTES_MAX, STREAM_WINDOW_BYTES, Target};
use frames::{Frames, Kind, Part};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// The first window of every connection.
const FIRST_WINDOW_BYTES: u32 = 65_535;
/// `:status: 200` in the table of headers that both sides know.
const STATUS_200: u8 = 0x88;
/// A server that says nothing for so long will not.
const SILENCE_MAX: Duration = Duration::from_secs(60);

/// See the module's documentation.
#[derive(Debug)]
pub(crate) struct Listener {
    stream: Dialled,
    frames: Frames,
    /// Bytes heard of each stream, in the order of the requests.
    heard: Vec<u32>,
    /// Streams whose head has come.
    answered: usize,
    /// Frames to send.
    replies: Vec<u8>,
}

impl Listener {
    /// Sends the same request `streams` times and waits until each is answered by 200.
    pub(crate) async fn open(target: &Target, call: &Call, streams: usize) -> Result<Listener> {
        let mut replies = PREFACE.to_vec();
        frames::settings(&[(2, 0), (4, STREAM_WINDOW_BYTES), (5, FRAME_BYTES_MAX)], &mut replies);
        frames::window(CONNECTION_WINDOW_BYTES - FIRST_WINDOW_BYTES, &mut replies);
        let head = frames::head(&call.path, &target.address.to_string(), call.accept);
        for index in 0..streams {
            frames::request(stream_of(index)?, &head, &mut replies);
        }
        let stream = target.dial().await?;
        let mut listener =
            Listener { stream, frames: Frames::default(), heard: vec![0; streams], answered: 0, replies };
        while listener.answered < streams {
            listener.turn(|_, bytes| bail!("{} bytes before all have begun to listen", bytes.len())).await?;
        }
        Ok(listener)
    }

    /// Hands on what is said, with the number of the request, until `hear` has heard enough.
    pub(crate) async fn listen(&mut self, mut hear: impl FnMut(usize, &[u8]) -> Result<bool>) -> Result<()> {
        while !self.turn(&mut hear).await? {}
        Ok(())
    }

    /// Sends what is to be sent and reads once.
    async fn turn(&mut self, mut hear: impl FnMut(usize, &[u8]) -> Result<bool>) -> Result<bool> {
        if !self.replies.is_empty() {
            self.stream.write_all(&self.replies).await?;
            self.stream.flush().await?;
            self.replies.clear();
        }
        let mut bytes = timeout(SILENCE_MAX, self.stream.fill_buf()).await.context("the server says nothing")??;
        ensure!(!bytes.is_empty(), "the server ended a connection");
        let (read, mut enough) = (bytes.len(), false);
        while let Some(part) = self.frames.next(&mut bytes)? {
            match part {
                Part::Data { stream, bytes } => {
                    let index = index_of(stream);
                    let heard = self.heard.get_mut(index).context("nobody asked on this stream")?;
                    *heard += u32::try_from(bytes.len())?;
                    ensure!(*heard < STREAM_WINDOW_BYTES, "a stream says more than is listened to");
                    enough = hear(index, bytes)?;
                }
                Part::Whole { kind: Kind::Headers, payload, .. } => {
                    ensure!(payload.first() == Some(&STATUS_200), "a watch is not answered by 200");
                    self.answered += 1;
                }
                Part::Whole { kind: Kind::Settings, answers: false, .. } => frames::settings_heard(&mut self.replies),
                Part::Whole { kind: Kind::Ping, answers: false, payload } => frames::pong(payload, &mut self.replies),
                Part::Whole { kind: Kind::Reset | Kind::GoAway, payload, .. } => {
                    bail!("the server ended a watch: {payload:?}")
                }
                Part::Whole { .. } => {}
            }
        }
        self.stream.consume(read);
        Ok(enough)
    }
}

fn stream_of(index: usize) -> Result<u32> {
    Ok(u32::try_from(index)? * 2 + 1)
}

fn index_of(stream: u32) -> usize {
    stream as usize / 2
}
