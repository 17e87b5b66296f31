//! No bytes make a decoder panic, and what one form accepts the others agree on.

use codec::{Root, json, proto, yaml};
use proptest::prelude::*;

fn pod() -> Root<'static> {
    Root::builtin("v1", "Pod").expect("Pod is a kind")
}

fn schema_props() -> Root<'static> {
    let schema = object::Schema::builtin();
    let name = "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaProps";
    Root { schema, id: schema.named(name).expect("schemas are a type") }
}

fn any_json() -> impl Strategy<Value = object::Value> {
    let leaf = prop_oneof![
        Just(object::Value::Null),
        any::<bool>().prop_map(object::Value::Bool),
        any::<i64>().prop_map(object::Value::Int),
        "[a-zA-Z0-9<&\u{e9}\u{2028}\n\"\\\\ ]{0,12}".prop_map(object::Value::from),
    ];
    leaf.prop_recursive(4, 48, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(object::Value::List),
            prop::collection::vec(("[a-z]{1,6}", inner), 0..5).prop_map(object::Value::from_pairs),
        ]
    })
}

proptest! {
    #[test]
    fn random_bytes_do_no_harm(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        drop(json::decode(&bytes, pod()));
        drop(yaml::parse(&bytes));
        drop(proto::decode(&bytes, pod()));
        drop(proto::open(&bytes));
    }

    #[test]
    fn json_like_text_does_no_harm(text in r#"[\[\]{}",:0-9a-z\\ue.+-]{0,80}"#) {
        drop(json::decode(text.as_bytes(), pod()));
    }

    #[test]
    fn trees_round_trip(value in any_json()) {
        let mut text = Vec::new();
        json::write(&value, &mut text);
        prop_assert_eq!(&json::parse(&text).expect("own output is read"), &value);
        let spaced = json::pretty(&text);
        prop_assert_eq!(&json::parse(&spaced).expect("own output is read"), &value);
    }
}

#[test]
fn protobuf_brings_no_number_that_json_lacks() {
    let root = schema_props();
    let field = root.schema.field(root.id, "maximum").expect("schemas have a maximum");
    for (number, read) in [(1.5, true), (f64::NAN, false), (f64::INFINITY, false), (f64::NEG_INFINITY, false)] {
        let tag = u8::try_from(field.number << 3 | 1).expect("it is a small number");
        let message = [&[tag][..], &number.to_le_bytes()].concat();
        assert_eq!(proto::decode(&message, root).is_ok(), read, "{number}");
    }
}

#[test]
fn a_time_before_year_0_has_no_words() {
    let first = -62_167_219_200_i64;
    let message = |seconds: i64| {
        // PodStatus.startTime is field 7 of field 3, and a Time's seconds are its field 1.
        let mut varint = Vec::new();
        let mut rest = u64::from_ne_bytes(seconds.to_ne_bytes());
        while rest >= 0x80 {
            varint.push(rest.to_le_bytes()[0] | 0x80);
            rest >>= 7;
        }
        varint.push(rest.to_le_bytes()[0]);
        let length = |bytes: &[u8]| u8::try_from(bytes.len()).expect("it is short");
        let time = [&[0x08], &varint[..]].concat();
        let status = [&[0x3a, length(&time)], &time[..]].concat();
        [&[0x1a, length(&status)], &status[..]].concat()
    };
    let read = proto::decode(&message(first), pod()).expect("year 0 can be written").value;
    assert_eq!(read.str_at(&["status", "startTime"]), Some("0000-01-01T00:00:00Z"));
    assert!(proto::decode(&message(first - 1), pod()).is_err());
    let json = |time: &str| json::decode(format!(r#"{{"status":{{"startTime":"{time}"}}}}"#).as_bytes(), pod());
    assert!(json("0000-01-01T00:00:00+00:00").is_ok());
    assert!(json("0000-01-01T00:00:00+01:00").is_err());
}

#[test]
fn an_envelope_says_no_more_than_its_type_has() {
    let cases = [
        ("v1", "WatchEvent", [None, None]),
        ("", "CreateOptions", [None, Some("CreateOptions")]),
        ("v1", "Pod", [Some("v1"), Some("Pod")]),
    ];
    for (api_version, kind, expected) in cases {
        let sealed = proto::enclose(&[], api_version, kind);
        let decoded = proto::decode_enveloped(&sealed, object::Schema::builtin()).expect("the kind is known");
        assert_eq!(["apiVersion", "kind"].map(|field| decoded.value.str_at(&[field])), expected, "{kind}");
    }
}

#[test]
fn fields_that_come_again_and_again_cost_no_more() {
    let root = schema_props();
    let text = |name: &str| {
        let tag = root.schema.field(root.id, name).expect("schemas have it").number << 3 | 2;
        let low = u8::try_from(tag & 0x7f).expect("it is seven bits");
        let high = u8::try_from(tag >> 7).expect("it is a small number");
        vec![low | 0x80, high, 1, b'a']
    };
    // Looking at all that came before, for each of them, would take minutes.
    let pair = [text("required"), text("description")].concat();
    let decoded = proto::decode(&pair.repeat(400_000), root).expect("it is a schema").value;
    assert_eq!(decoded.list_at(&["required"]).len(), 400_000);
    assert_eq!(decoded.str_at(&["description"]), Some("a"));
}

#[test]
fn problems_do_not_repeat_a_long_path_forever() {
    let long = "k".repeat(1 << 20);
    let fields: Vec<String> = (0..100).map(|number| format!(r#""u{number}":1"#)).collect();
    let text = format!(r#"{{"properties":{{"{long}":{{{}}}}}}}"#, fields.join(","));
    let decoded = json::decode(text.as_bytes(), schema_props()).expect("it is a schema");
    let bytes: usize = decoded.strict_problems.iter().map(String::len).sum();
    assert!(bytes < 2 << 20, "{bytes} bytes of problems");
}

#[test]
fn a_list_without_items_is_null_whether_its_message_is_there_or_not() {
    let root = Root::builtin("certificates.k8s.io/v1", "CertificateSigningRequest").expect("requests are a kind");
    let sent = br#"{"spec":{"extra":{"a":null,"b":[],"c":["x"]}}}"#;
    let sent = json::decode(sent, root).expect("it is a request").value;
    let read = proto::decode(&proto::encode(&sent, root), root).expect("it is a request").value;
    let shown = |key| read.at(&["spec", "extra", key]).map(object::Value::type_name);
    assert_eq!(["a", "b", "c"].map(shown), [Some("null"), Some("null"), Some("array")]);
}
