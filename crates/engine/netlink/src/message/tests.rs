//! What is written is read, and nothing that is read breaks the reader.

use super::{Messages, attribute, attributes, read_be32, received, text};

#[test]
fn what_is_written_is_read() {
    let mut messages = Messages::starting_at(7);
    messages.message(3, 1, |m| {
        m.raw(&[1, 2, 3, 4]);
        m.text(1, "name");
        m.nested(2, |m| m.be32(5, 99));
    });
    messages.message(4, 2, |_| {});
    let read: Vec<_> = received(messages.bytes()).collect();
    let heads: Vec<_> = read.iter().map(|message| (message.kind, message.flags, message.sequence)).collect();
    assert_eq!(heads, [(3, 1, 7), (4, 2, 8)]);
    let body = &read[0].body[4..];
    assert_eq!(attribute(body, 1).map(text).as_deref(), Some("name"));
    assert_eq!(attribute(body, 2).and_then(|nest| attribute(nest, 5)).and_then(read_be32), Some(99));
    assert_eq!(attribute(body, 3), None);
}

#[test]
fn lengths_that_lie_end_the_reading() {
    let mut messages = Messages::starting_at(1);
    messages.message(3, 1, |m| m.nested(2, |m| m.be32(5, 99)));
    let sound = messages.bytes();
    for at in 0..sound.len() {
        for byte in [0, 1, 3, 4, 5, 17, 255] {
            let mut message = sound.to_vec();
            message[at] = byte;
            for length in 0..=message.len() {
                let found = received(&message[..length]).flat_map(|one| attributes(one.body));
                let nested: usize = found.map(|(_, nest)| attributes(nest).count()).sum();
                assert!(nested <= 1, "{message:?}");
            }
        }
    }
}
