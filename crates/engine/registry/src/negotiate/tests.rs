//! Tests of `negotiate`.

use super::*;

#[test]
fn accept_headers() {
    let table = Shape::Table(Include::Metadata);
    let cases = [
        ("", Some((Media::Json, Shape::Object))),
        ("*/*", Some((Media::Json, Shape::Object))),
        ("application/yaml", Some((Media::Yaml, Shape::Object))),
        ("application/vnd.kubernetes.protobuf, application/json", Some((Media::Protobuf, Shape::Object))),
        ("application/json;as=Table;v=v1;g=meta.k8s.io,application/json", Some((Media::Json, table))),
        ("application/json;as=Table;v=v9;g=meta.k8s.io,application/json", Some((Media::Json, Shape::Object))),
        ("application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1", Some((Media::Json, Shape::Metadata))),
        ("text/html;q=0.9,application/json;q=0.1", Some((Media::Json, Shape::Object))),
        ("application/cbor,application/json;q=0.5", Some((Media::Json, Shape::Object))),
        ("text/plain", None),
    ];
    for (accept, expected) in cases {
        let found = wanted(accept, false, true).ok().map(|wanted| (wanted.media, wanted.shape));
        assert_eq!(found, expected, "{accept:?}");
    }
}

#[test]
fn discovery() {
    assert!(wants_aggregated_discovery(
        "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json"
    ));
    assert!(!wants_aggregated_discovery("application/json"));
    assert!(!wants_aggregated_discovery("application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList"));
}
