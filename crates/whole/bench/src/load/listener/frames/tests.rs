//! Frames, cut everywhere.

use super::{Frames, Kind, Part, frame, head, integer, settings};

/// What was read: data joined per stream, and the other frames.
type Heard = (Vec<(u32, Vec<u8>)>, Vec<(Kind, bool, Vec<u8>)>);

fn read(text: &[u8], cut: usize) -> anyhow::Result<Heard> {
    let (mut frames, mut data, mut others) = (Frames::default(), Vec::<(u32, Vec<u8>)>::new(), Vec::new());
    for mut bytes in [&text[..cut], &text[cut..]] {
        while let Some(part) = frames.next(&mut bytes)? {
            match part {
                Part::Data { stream, bytes } => match data.last_mut() {
                    Some((last, text)) if *last == stream => text.extend_from_slice(bytes),
                    _ => data.push((stream, bytes.to_vec())),
                },
                Part::Whole { kind, answers, payload } => others.push((kind, answers, payload.to_vec())),
            }
        }
        assert!(bytes.is_empty(), "all bytes are taken");
    }
    Ok((data, others))
}

#[test]
fn a_frame_is_read_wherever_it_is_cut() {
    let mut text = Vec::new();
    settings(&[(4, 1 << 20)], &mut text);
    frame((1, 4, 3), &[0x88, 1, 2], &mut text);
    frame((0, 0, 3), b"three", &mut text);
    frame((4, 1, 0), &[], &mut text);
    frame((0, 0, 5), b"five", &mut text);
    frame((6, 0, 0), &[7; 8], &mut text);
    let settings = (Kind::Settings, false, vec![0, 4, 0, 16, 0, 0]);
    let headers = (Kind::Headers, false, vec![0x88, 1, 2]);
    let others = vec![settings, headers, (Kind::Settings, true, Vec::new()), (Kind::Ping, false, vec![7; 8])];
    let expected = (vec![(3, b"three".to_vec()), (5, b"five".to_vec())], others);
    for cut in 0..=text.len() {
        assert_eq!(read(&text, cut).expect("frames"), expected, "cut at {cut}");
    }
}

#[test]
fn the_end_of_a_stream_and_what_is_too_large_are_errors() {
    for (head, length) in [((0, 1, 3), 0), ((1, 5, 3), 0), ((0, 8, 3), 1), ((4, 0, 0), 1 << 17)] {
        let mut text = Vec::new();
        frame(head, &vec![0; length], &mut text);
        assert!(read(&text, text.len()).is_err(), "{head:?}");
    }
}

#[test]
fn numbers_and_headers_are_those_of_rfc_7541() {
    for (number, bits, expected) in
        [(10, 5, vec![10]), (1337, 5, vec![31, 154, 10]), (42, 7, vec![42]), (127, 7, vec![127, 0])]
    {
        let mut out = Vec::new();
        integer(number, bits, &mut out);
        assert_eq!(out, expected, "{number} in {bits} bits");
    }
    let head = head("/x", "a", "json");
    let expected = [b"\x82\x87\x04\x02/x\x01\x01a\x0f\x04\x04json\x0f\x2b\x05bench".as_slice()].concat();
    assert_eq!(head, expected);
}
