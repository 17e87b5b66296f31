//! Rows read as they would have been made at the moment they are read.

use object::Value;

use super::*;

fn at(text: &str) -> Timestamp {
    text.parse().expect("the time is valid")
}

#[test]
fn ages_go_on_while_the_text_stays() {
    let cells = [
        Cell::from("a\"b"),
        Cell::from(3_i64),
        Cell::Text(vec![
            Part::Text("2 \"times\" (".into()),
            Part::Since(at("2026-05-01T11:00:00Z")),
            Part::Text(" ago)".into()),
        ]),
        Cell::since(at("2026-05-01T11:59:00Z")),
    ];
    let (mut text, mut holes) = (Vec::new(), Vec::new());
    text.push(b'[');
    for (at, cell) in cells.iter().enumerate() {
        if at > 0 {
            text.push(b',');
        }
        write_cell(cell, &mut text, &mut holes);
    }
    text.push(b']');
    let row = Encoded { text: text.into(), holes: Some(holes.into()), event: None };
    for now in ["2026-05-01T12:00:00Z", "2026-05-01T12:00:01Z", "2026-05-03T12:00:00Z"].map(at) {
        let mut filling = Filling::new(now, Vec::new());
        filling.push(&row);
        let read = json::parse(&filling.pieces.concat()).expect("it is JSON");
        assert_eq!(read, Value::List(cells.iter().map(|cell| cell.at(now)).collect()), "at {now}");
    }
}
