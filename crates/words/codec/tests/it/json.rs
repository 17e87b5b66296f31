//! How JSON is read: Go's habits, case by case.

use codec::{DecodeError, Root, json};

fn root(kind: &str) -> Root<'static> {
    let version = if matches!(kind, "Deployment") { "apps/v1" } else { "v1" };
    Root::builtin(version, kind).expect("the kind exists")
}

#[test]
fn canonical_reading() {
    // (kind, as sent, as stored)
    let cases = [
        (
            "ConfigMap",
            r#"{"metadata":{"labels":{},"creationTimestamp":null},"data":{"a":null}}"#,
            r#"{"metadata":{},"data":{"a":""}}"#,
        ),
        (
            "Secret",
            r#"{"metadata":{"name":"s"},"data":{"a":null,"b":"eA=="}}"#,
            r#"{"metadata":{"name":"s"},"data":{"a":null,"b":"eA=="}}"#,
        ),
        (
            "Namespace",
            r#"{"metadata":{"name":"n","finalizers":[]}}"#,
            r#"{"metadata":{"name":"n"},"spec":{},"status":{}}"#,
        ),
        ("Pod", r#"{"spec":{}}"#, r#"{"metadata":{},"spec":{"containers":null},"status":{}}"#),
        (
            "Pod",
            r#"{"spec":{"containers":[{"name":"c","resources":{"limits":{"cpu":1.50,"memory":"1024Mi"}}}]}}"#,
            r#"{"metadata":{},"spec":{"containers":[{"name":"c","resources":{"limits":{"cpu":"1500m","memory":"1Gi"}}}]},"status":{}}"#,
        ),
        (
            "Deployment",
            r#"{"spec":{"replicas":0,"template":{}}}"#,
            r#"{"metadata":{},"spec":{"replicas":0,"selector":null,"template":{"metadata":{},"spec":{"containers":null}},"strategy":{}},"status":{}}"#,
        ),
        (
            "Pod",
            r#"{"metadata":{"creationTimestamp":"2024-05-01T12:00:00.9+02:00"},"status":{"conditions":[{"type":"Ready","status":"True"}]}}"#,
            r#"{"metadata":{"creationTimestamp":"2024-05-01T10:00:00Z"},"spec":{"containers":null},"status":{"conditions":[{"type":"Ready","status":"True","lastProbeTime":null,"lastTransitionTime":null}]}}"#,
        ),
        (
            "ConfigMap",
            r#"{"data":{"h":"<&>\u2028\u00e9\ud83d\ude00\n\t\u0001"}}"#,
            "{\"metadata\":{},\"data\":{\"h\":\"\\u003c\\u0026\\u003e\\u2028\u{e9}\u{1f600}\\n\\t\\u0001\"}}",
        ),
        (
            "Service",
            r#"{"spec":{"ports":[{"port":80,"targetPort":"http"}]}}"#,
            r#"{"metadata":{},"spec":{"ports":[{"port":80,"targetPort":"http"}]},"status":{"loadBalancer":{}}}"#,
        ),
        (
            "Service",
            r#"{"spec":{"ports":[{"port":80}]}}"#,
            r#"{"metadata":{},"spec":{"ports":[{"port":80,"targetPort":0}]},"status":{"loadBalancer":{}}}"#,
        ),
    ];
    for (kind, sent, stored) in cases {
        let decoded = json::decode(sent.as_bytes(), root(kind)).unwrap_or_else(|e| panic!("{sent}: {e}"));
        let encoded = String::from_utf8(json::encode(&decoded.value, root(kind))).expect("JSON is text");
        assert_eq!(encoded, stored, "{sent}");
        let again = json::decode(encoded.as_bytes(), root(kind)).expect("own output is read");
        assert_eq!(again.value, decoded.value, "reading again changes nothing: {sent}");
    }
}

#[test]
fn strict_problems() {
    let cases: [(&str, &[&str]); 4] = [
        (r#"{"spec":{"hostname":"a","hostname":"b"}}"#, &[r#"duplicate field "spec.hostname""#]),
        (
            r#"{"spec":{"containers":[{"name":"a","img":"x"}]},"foo":{"bar":1}}"#,
            &[r#"unknown field "spec.containers[0].img""#, r#"unknown field "foo""#],
        ),
        (r#"{"metadata":{"labels":{"a":"1","a":"2"}}}"#, &[r#"duplicate field "metadata.labels.a""#]),
        (r#"{"spec":{"Hostname":"a"}}"#, &[r#"unknown field "spec.Hostname""#]),
    ];
    for (sent, problems) in cases {
        let decoded = json::decode(sent.as_bytes(), root("Pod")).unwrap_or_else(|e| panic!("{sent}: {e}"));
        assert_eq!(decoded.strict_problems, problems, "{sent}");
    }
}

#[test]
fn refusals() {
    let cases = [
        (
            r#"{"spec":{"containers":"x"}}"#,
            "json: cannot unmarshal string into Go struct field PodSpec.spec.containers of type []v1.Container",
        ),
        (
            r#"{"spec":{"activeDeadlineSeconds":30.0}}"#,
            "json: cannot unmarshal number 30.0 into Go struct field PodSpec.spec.activeDeadlineSeconds of type int64",
        ),
        (
            r#"{"spec":{"priority":3000000000}}"#,
            "json: cannot unmarshal number 3000000000 into Go struct field PodSpec.spec.priority of type int32",
        ),
        (r#"[]"#, "json: cannot unmarshal array into Go value of type v1.Pod"),
        (
            r#"{"spec":{"hostname":1}}"#,
            "json: cannot unmarshal number into Go struct field PodSpec.spec.hostname of type string",
        ),
        (
            r#"{"metadata":{"labels":{"a":1}}}"#,
            "json: cannot unmarshal number into Go struct field ObjectMeta.metadata.labels of type string",
        ),
        (
            r#"{"spec":{"volumes":[{"configMap":{"name":1}}]}}"#,
            "json: cannot unmarshal number into Go struct field \
             ConfigMapVolumeSource.spec.volumes.VolumeSource.configMap.LocalObjectReference.name of type string",
        ),
        (
            r#"{"spec":{"containers":[{"resources":{"limits":"x"}}]}}"#,
            "json: cannot unmarshal string into Go struct field ResourceRequirements.spec.containers.resources.limits of \
             type v1.ResourceList",
        ),
        (
            r#"{"spec":{"restartPolicy":1}}"#,
            "json: cannot unmarshal number into Go struct field PodSpec.spec.restartPolicy of type v1.RestartPolicy",
        ),
        (
            r#"{"spec":{"containers":[{"securityContext":{"capabilities":{"add":{}}}}]}}"#,
            "json: cannot unmarshal object into Go struct field \
             Capabilities.spec.containers.securityContext.capabilities.add of type []v1.Capability",
        ),
        (
            r#"{"status":{"startTime":1}}"#,
            "json: cannot unmarshal number into Go struct field PodStatus.status.startTime of type string",
        ),
        (
            r#"{"status":{"startTime":"x"}}"#,
            r#"parsing time "x" as "2006-01-02T15:04:05Z07:00": cannot parse "x" as "2006""#,
        ),
        (r#"{"a" 1}"#, "invalid character '1' after object key"),
        (r#"{"a":1"#, "unexpected end of JSON input"),
        (r#"{"a":01}"#, "invalid character '1' after object key:value pair"),
        ("", "unexpected end of JSON input"),
        ("nul", "unexpected end of JSON input"),
        ("{} x", "invalid character 'x' after top-level value"),
        (r#"{"a":"\x"}"#, r"invalid character 'x' in string escape code"),
    ];
    for (sent, message) in cases {
        let error = json::decode(sent.as_bytes(), root("Pod")).expect_err(sent);
        assert_eq!(error.to_string(), message, "{sent}");
    }
    let deep = "[".repeat(100_000);
    assert_eq!(json::parse(deep.as_bytes()), Err(DecodeError::TooDeep));
}

#[test]
fn floats_as_go_writes_them() {
    for (sent, written) in [
        ("1.0", "1"),
        ("1e3", "1000"),
        ("0.000001", "0.000001"),
        ("1e-7", "1e-7"),
        ("1e21", "1e+21"),
        ("-2.5", "-2.5"),
        ("9223372036854775808", "9223372036854776000"),
    ] {
        let mut out = Vec::new();
        json::write(&json::parse(sent.as_bytes()).expect(sent), &mut out);
        assert_eq!(String::from_utf8_lossy(&out), written, "{sent}");
    }
}

#[test]
fn pretty_printing() {
    let text = json::pretty(br#"{"a":{},"b":[],"c":[1,{"d":"x:{\"y\\"}]}"#);
    let expected =
        "{\n  \"a\": {},\n  \"b\": [],\n  \"c\": [\n    1,\n    {\n      \"d\": \"x:{\\\"y\\\\\"\n    }\n  ]\n}";
    assert_eq!(String::from_utf8_lossy(&text), expected);
}

#[test]
fn a_negative_zero_is_zero() {
    for literal in ["-0", "-0.0", "-0e5", "-1e-999", "0.0"] {
        let mut text = Vec::new();
        json::write(&json::parse(literal.as_bytes()).expect("it is JSON"), &mut text);
        assert_eq!(text, b"0", "{literal}");
        assert_eq!(codec::yaml::to_json(literal.as_bytes()).expect("it is YAML"), b"0", "{literal} in YAML");
    }
}
