//! The documents below `/openapi`: described, the same in both encodings, and not sent twice.

use object::Value;

use crate::fixture::{Answer, Client, Cluster};

const PODS: &str = "/openapi/v3/api/v1";
const PROTOBUF: &str = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf";

async fn packed(client: &Client, path: &str) -> Answer {
    client.with("accept-encoding", "gzip").get(path).await.is(200)
}

#[tokio::test]
async fn kubectl_can_explain() {
    let cluster = Cluster::start().await;
    let client = cluster.admin();
    let index = client.get("/openapi/v3").await.is(200).tree();
    let place = index.at(&["paths", "api/v1"]).and_then(|place| place.str_at(&["serverRelativeURL"]));
    let document = client.get(place.expect("the index names core v1")).await.is(200);
    assert!(document.header("cache-control").contains("immutable"), "{}", document.header("cache-control"));
    let spec = ["components", "schemas", "io.k8s.api.core.v1.PodSpec", "properties", "containers", "description"];
    let tree = document.tree();
    let sentence = tree.str_at(&spec).unwrap_or_default();
    assert!(sentence.starts_with("List of containers belonging to the pod."), "{sentence:?}");
    let swagger = client.get("/openapi/v2").await.is(200).tree();
    let pod = swagger.at(&["definitions", "io.k8s.api.core.v1.Pod"]).and_then(|pod| pod.get("description"));
    let begins = |text: &str| text.starts_with("Pod is a collection of containers");
    assert!(pod.and_then(Value::as_str).is_some_and(begins), "{pod:?}");
    let message = client.with("accept", PROTOBUF).get("/openapi/v2").await.is(200);
    let said = b"Pod is a collection of containers";
    assert!(message.body.windows(said.len()).any(|window| window == said), "the protobuf form says it too");
}

#[tokio::test]
async fn documents_are_the_same_in_both_encodings_and_not_sent_twice() {
    let cluster = Cluster::start().await;
    let client = cluster.admin();
    for path in [PODS, "/openapi/v2", "/openapi/v3"] {
        let (plain, packed) = (client.get(path).await.is(200), packed(&client, path).await);
        assert_eq!(packed.header("content-encoding"), "gzip", "{path}");
        assert_eq!(serving::gzip::unpack(&packed.body).expect("it is gzip"), plain.body, "{path}");
        assert_eq!(packed.header("etag"), plain.header("etag"), "{path}");
        let again = client.with("if-none-match", &plain.header("etag")).get(path).await.is(304);
        assert!(again.body.is_empty(), "{path}");
        println!("{path}: {} bytes, {} of them kept", plain.body.len(), packed.body.len());
    }
}
