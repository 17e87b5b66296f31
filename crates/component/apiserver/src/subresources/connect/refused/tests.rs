//! What somebody is told who asks for a log and gets a few words.

use bytes::Bytes;
use http::Response;
use serving::Body;

use super::{WORDS_BYTES_MAX, unless_log};

fn answer(code: u16, chunks: &[&str]) -> Response<Body> {
    let chunks: Vec<Bytes> = chunks.iter().map(|chunk| Bytes::from((*chunk).to_owned())).collect();
    Response::builder().status(code).body(Body::chunks(chunks)).expect("a response of a known code")
}

#[tokio::test]
async fn words_of_kubelets_become_statuses() {
    let missing = r#"previous terminated container "c" in pod "p" not found"#;
    let cases = [
        (400, &[missing][..], Some((400, missing.to_owned()))),
        (400, &["in ", "two\n"][..], Some((400, "in two".to_owned()))),
        (500, &["broken"][..], Some((500, "Internal error occurred: broken".to_owned()))),
        (200, &["a line\n"][..], None),
        (404, &["404 page not found"][..], None),
    ];
    for (code, chunks, expected) in cases {
        let refused = unless_log(answer(code, chunks)).await.err();
        assert_eq!(refused.map(|refusal| (refusal.code(), refusal.to_string())), expected, "{code} {chunks:?}");
    }
}

#[tokio::test]
async fn words_have_a_bound() {
    let long = "x".repeat(WORDS_BYTES_MAX - 1);
    let refused = unless_log(answer(400, &[&long, "yyy"])).await.expect_err("it is no log");
    assert_eq!(refused.to_string(), format!("{long}y"));
}
