//! No bytes make a decoder panic, and what one form accepts the others agree on.

use codec::{Root, json, proto, yaml};
use proptest::prelude::*;

fn pod() -> Root<'static> {
    Root::builtin("v1", "Pod").expect("Pod is a kind")
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
