//! Entries for the decoders that are hidden: each takes arbitrary bytes, and has only to return.

use std::sync::Arc;

use typed::ByteString;
use typed::api::core::v1::Secret;

use crate::{images, logs, server};

/// Reads `bytes` as the log of a container.
pub fn log(bytes: &[u8]) {
    bytes.split_inclusive(|byte| *byte == b'\n').for_each(|line| {
        if let Some((time, ..)) = logs::reading::parse(line) {
            let _moment = logs::reading::moment(time);
        }
    });
}

/// Reads `text` as a query.
pub fn query(text: &str) {
    server::query::values(text, "container").for_each(drop);
}

/// Reads `bytes` as the content of a pull secret, in both forms.
pub fn pull_secret(bytes: &[u8]) {
    let forms = [(".dockerconfigjson", "kubernetes.io/dockerconfigjson"), (".dockercfg", "kubernetes.io/dockercfg")];
    for (key, kind) in forms {
        let data = [(key.to_owned(), ByteString(bytes.to_vec()))];
        let secret = Secret { data: Some(data.into()), type_: Some(kind.to_owned()), ..Secret::default() };
        drop(images::credentials::matching("registry.example.com:5000/team/app:1", &[Arc::new(secret)]));
    }
}
