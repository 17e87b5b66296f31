//! Bodies by themselves: chunks, channels, compression.

use std::io::Read;

use bytes::{Buf, Bytes};
use flate2::read::GzDecoder;
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, VARY};
use http::{HeaderMap, Response};

use crate::{Body, CollectError, collect, gzip};

async fn read(mut body: Body) -> Vec<u8> {
    let mut all = Vec::new();
    while let Some(chunk) = body.next().await {
        all.extend_from_slice(&chunk.unwrap());
    }
    all
}

#[tokio::test]
async fn lengths_are_known_when_they_can_be() {
    assert_eq!(Body::empty().len(), Some(0));
    assert_eq!(Body::from("abc").len(), Some(3));
    assert_eq!(Body::chunks(["a", "", "bc"].map(Bytes::from)).len(), Some(3));
    assert_eq!(Body::channel(1).1.len(), None);
    assert_eq!(read(Body::chunks(["a", "", "bc"].map(Bytes::from))).await, b"abc");
}

#[tokio::test]
async fn many_chunks_are_written_as_one_piece() {
    let body = Body::chunks((0..100).map(|_| Bytes::from_static(b"0123456789")));
    let mut body = std::pin::pin!(body);
    let frame = std::future::poll_fn(|cx| http_body::Body::poll_frame(body.as_mut(), cx)).await.unwrap().unwrap();
    let mut piece = frame.into_data().unwrap();
    let mut slices = [std::io::IoSlice::new(&[]); 64];
    assert_eq!(piece.chunks_vectored(&mut slices), 64);
    piece.advance(15);
    assert_eq!((piece.remaining(), piece.chunk()), (985, &b"56789"[..]));
    assert_eq!(piece.into_bytes().len(), 985);
}

#[tokio::test]
async fn a_channel_holds_back_its_writer() {
    let (sender, mut body) = Body::channel(2);
    assert!(sender.try_send(Bytes::from_static(b"1")));
    assert!(sender.try_send(Bytes::from_static(b"2")));
    assert!(!sender.try_send(Bytes::from_static(b"3")), "no room");
    assert_eq!(body.next().await.unwrap().unwrap(), "1");
    assert!(sender.send(Bytes::from_static(b"3")).await);
    assert_eq!(body.next().await.unwrap().unwrap(), "2");
    assert!(sender.fail("enough".to_owned()).await);
    assert_eq!(body.next().await.unwrap().unwrap(), "3");
    assert!(body.next().await.unwrap().is_err());
    assert!(body.next().await.is_none());
}

#[tokio::test]
async fn collecting_stops_at_the_bound() {
    let whole = |max| collect(Body::chunks(["ab", "cd"].map(Bytes::from)), max);
    assert_eq!(whole(4).await.unwrap(), "abcd");
    assert!(matches!(whole(3).await, Err(CollectError::TooLarge { body_bytes_max: 3 })));
    let (sender, body) = Body::channel(4);
    for chunk in ["ab", "cd", "e"] {
        sender.send(Bytes::from_static(chunk.as_bytes())).await;
    }
    drop(sender);
    assert!(matches!(collect(body, 4).await, Err(CollectError::TooLarge { .. })), "nothing was announced");
}

fn accepting(value: &'static str) -> HeaderMap {
    HeaderMap::from_iter([(ACCEPT_ENCODING, value.parse().unwrap())])
}

#[test]
fn gzip_is_used_when_asked_for() {
    for (value, accepted) in [("gzip", true), ("br, gzip", true), ("br", false), ("gzipped", false), ("", false)] {
        assert_eq!(gzip::is_accepted(&accepting(value)), accepted, "{value:?}");
    }
    assert!(!gzip::is_accepted(&HeaderMap::new()));
}

#[test]
fn what_was_packed_is_had_again() {
    let plain = "a sentence about a field ".repeat(1000).into_bytes();
    let packed = gzip::pack(&plain);
    assert!(packed.len() * 50 < plain.len(), "{} bytes", packed.len());
    assert_eq!(gzip::unpack(&packed).unwrap(), plain);
    gzip::unpack(&packed[..packed.len() / 2]).expect_err("the half of it is not the whole");
}

#[tokio::test]
async fn large_ready_bodies_are_compressed_and_others_are_not() {
    let item = Bytes::from("some object or other ".repeat(500));
    let items: Vec<Bytes> = std::iter::repeat_n(item, 100).collect();
    let plain: Vec<u8> = items.concat();
    let response = gzip::apply(Response::new(Body::chunks(items)));
    assert_eq!(response.headers()[CONTENT_ENCODING], "gzip");
    assert_eq!(response.headers()[VARY], "Accept-Encoding");
    let compressed = read(response.into_body()).await;
    assert!(compressed.len() * 20 < plain.len(), "{} bytes", compressed.len());
    let mut decoded = Vec::new();
    GzDecoder::new(&compressed[..]).read_to_end(&mut decoded).unwrap();
    assert!(decoded == plain, "the decoded body differs");

    let small = gzip::apply(Response::new(Body::from("small")));
    assert!(!small.headers().contains_key(CONTENT_ENCODING));
    let (_sender, watch) = Body::channel(1);
    assert!(!gzip::apply(Response::new(watch)).headers().contains_key(CONTENT_ENCODING));
}

#[tokio::test]
async fn a_spun_body_runs_as_it_is_pulled() {
    let (told, mut heard) = tokio::sync::mpsc::unbounded_channel();
    let mut body = Body::spun(|outlet| async move {
        for (at, text) in ["a", "b"].into_iter().enumerate() {
            told.send(at).unwrap();
            outlet.give(Bytes::from_static(text.as_bytes())).await;
        }
        outlet.give(vec![Bytes::from_static(b"c"), Bytes::from_static(b"d")]).await;
    });
    assert!(heard.try_recv().is_err(), "nothing runs before it is pulled");
    assert_eq!(body.next().await.unwrap().unwrap(), "a");
    assert_eq!((heard.try_recv(), heard.try_recv().is_err()), (Ok(0), true), "nor further than it is pulled");
    assert_eq!(read(body).await, b"bcd");
}
