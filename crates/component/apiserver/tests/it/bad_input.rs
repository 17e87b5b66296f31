//! Requests that make no sense: each gets a Status that says so, quickly, and changes nothing.

use http::Method;

use crate::fixture::{
    APPLY, Answer, Client, Cluster, JSON, JSON_PATCH, MAPS, MERGE, PODS, PROTOBUF, Protocol, STRATEGIC, config_map, pod,
};

/// Generated requests.
const REQUESTS: usize = 1_000;
/// What the server may hold more after all of them.
const GROWTH_BYTES_MAX: usize = 256 << 20;

/// Chance that can be repeated.
struct Dice(u64);

impl Dice {
    /// A number below `bound`.
    fn roll(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % bound as u64).expect("it is below the bound")
    }

    fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.roll(of.len())]
    }
}

/// Why the answer is not one that a bad request may get.
fn complaint(answer: &Answer) -> Option<String> {
    let status = answer.body.starts_with(b"k8s\0")
        || codec::json::parse(&answer.body).is_ok_and(|tree| tree.str_at(&["kind"]) == Some("Status"));
    let fine = match answer.code {
        200..=299 => true,
        400..=499 => status,
        _ => false,
    };
    (!fine).then(|| format!("{} {}", answer.code, answer.text().chars().take(300).collect::<String>()))
}

/// Values of all types, to stand where others belong.
const VALUES: &[&str] = &[
    "null",
    "true",
    "-1",
    "1.5",
    "1e400",
    "99999999999999999999",
    "\"\"",
    "\"x\"",
    "\"\\ud800\"",
    "\"\\u0000\"",
    "[]",
    "[[]]",
    "[null]",
    "{}",
    "{\"a\":null}",
    "{\"\":\"\"}",
    "[{\"name\":\"c\"}]",
    "[1,\"a\",{}]",
];

/// A body: a fitting one, damaged.
fn body(dice: &mut Dice) -> Vec<u8> {
    let whole = [
        pod("p"),
        config_map("c", "v"),
        r#"{"metadata":{"name":"s"},"spec":{"ports":[{"port":80}],"type":"NodePort"}}"#.to_owned(),
    ];
    let mut bytes = whole[dice.roll(whole.len())].clone().into_bytes();
    match dice.roll(8) {
        0 => bytes.truncate(dice.roll(bytes.len())),
        1 => {
            let at = dice.roll(bytes.len());
            bytes[at] = u8::try_from(dice.roll(256)).expect("a byte");
        }
        2 => {
            // Another value behind some colon.
            let colons: Vec<usize> = (0..bytes.len()).filter(|at| bytes[*at] == b':').collect();
            let at = colons[dice.roll(colons.len())];
            let rest = bytes.split_off(at + 1);
            bytes.extend_from_slice(dice.pick(VALUES).as_bytes());
            let end = rest.iter().position(|byte| matches!(byte, b',' | b'}')).unwrap_or(rest.len());
            bytes.extend_from_slice(&rest[end..]);
        }
        3 => bytes = dice.pick(VALUES).as_bytes().to_vec(),
        4 => bytes = (0..dice.roll(200)).map(|_| u8::try_from(dice.roll(256)).expect("a byte")).collect(),
        5 => {
            bytes = b"k8s\0".to_vec();
            bytes.extend((0..dice.roll(100)).map(|_| u8::try_from(dice.roll(256)).expect("a byte")));
        }
        6 => {
            let deep = 1 + dice.roll(5_000);
            bytes = format!(r#"{{"metadata":{{"name":"d"}},"data":{}"#, "[".repeat(deep)).into_bytes();
        }
        _ => {
            let path = dice.pick(&[
                "/data",
                "/metadata/labels/a~2",
                "",
                "/spec/containers/-",
                "/spec/containers/99999999999999999999",
                "x",
            ]);
            let op = dice.pick(&["add", "remove", "move", "copy", "test", "odd"]);
            let value = dice.pick(VALUES);
            bytes = format!(r#"[{{"op":"{op}","path":"{path}","from":"{path}","value":{value}}}]"#).into_bytes();
        }
    }
    bytes
}

fn query(dice: &mut Dice) -> String {
    let key = dice.pick(&[
        "limit",
        "continue",
        "resourceVersion",
        "labelSelector",
        "fieldSelector",
        "timeoutSeconds",
        "dryRun",
        "fieldManager",
        "force",
        "fieldValidation",
        "gracePeriodSeconds",
        "propagationPolicy",
        "resourceVersionMatch",
        "includeObject",
        "pretty",
        "odd",
    ]);
    let value = dice.pick(&[
        "",
        "-1",
        "x",
        "%00",
        "%ff",
        "%zz",
        "1e9",
        "99999999999999999999",
        "a%3Db%2C%2C",
        "(((",
        "%F0%9F%98%80",
        "All",
        "1",
    ]);
    format!("{key}={value}")
}

async fn send(client: &Client, dice: &mut Dice) -> (String, Answer) {
    let method = dice.pick(&["POST", "PUT", "PATCH", "DELETE", "GET"]).parse::<Method>().expect("a method");
    let path = dice.pick(&[
        MAPS,
        PODS,
        "/api/v1/namespaces/default/configmaps/kept",
        "/api/v1/namespaces/default/pods/kept",
        "/api/v1/namespaces/default/services",
        "/api/v1/namespaces/default/pods/kept/status",
        "/api/v1/namespaces/default/pods/kept/binding",
        "/api/v1/namespaces/default/pods/kept/eviction",
        "/api/v1/namespaces/default/serviceaccounts/default/token",
        "/apis/apps/v1/namespaces/default/deployments/d/scale",
        "/api/v1/namespaces/%2e%2e/pods/x",
        "/api/v1/namespaces/default/pods/%00",
        "/api/v1/namespaces/default/pods/a%2Fb",
        "/apis/authorization.k8s.io/v1/subjectaccessreviews",
        "/apis/x/y/z",
        "/api/v1/namespaces//pods",
        "/api/v2/pods",
        "/apis/apps/v1/namespaces/default/deployments",
        "/api/v1/namespaces/default/pods/kept/odd/more",
    ]);
    let media = dice.pick(&[
        JSON,
        JSON,
        MERGE,
        STRATEGIC,
        JSON_PATCH,
        APPLY,
        PROTOBUF,
        "application/yaml",
        "text/plain",
        "",
        "application/json;;=",
        "*/*",
    ]);
    let query = query(dice);
    let body = if method == Method::GET { Vec::new() } else { body(dice) };
    let shown = format!("{method} {path}?{query} {media} {}", String::from_utf8_lossy(&body[..body.len().min(200)]));
    (shown, client.send(method, &format!("{path}?{query}"), media, body).await)
}

/// The memory of this process.
fn resident_bytes() -> usize {
    let text = env::fs::read_to_string(std::path::Path::new("/proc/self/statm")).expect("the kernel says it");
    let pages: usize = text.split(' ').nth(1).and_then(|pages| pages.parse().ok()).expect("the second number");
    pages * 4096
}

#[tokio::test]
async fn nonsense_is_refused_and_costs_little() {
    let admin = Cluster::start().await.admin();
    admin.post(MAPS, &config_map("kept", "a")).await.is(201);
    admin.post(PODS, &pod("kept")).await.is(201);
    let before = resident_bytes();
    let mut dice = Dice(0x5eed_f00d_cafe_0001);
    let (mut refused, mut failures) = (0, Vec::new());
    for _ in 0..REQUESTS {
        let (shown, answer) = send(&admin, &mut dice).await;
        refused += usize::from(answer.code >= 400);
        if let Some(complaint) = complaint(&answer) {
            failures.push(format!("{shown}\n    {complaint}"));
        }
    }
    assert!(failures.is_empty(), "{} requests are answered badly:\n{}", failures.len(), failures.join("\n"));
    assert!(refused > REQUESTS / 2, "most of it is nonsense: {refused}");
    let grown = resident_bytes().saturating_sub(before);
    assert!(grown < GROWTH_BYTES_MAX, "{grown} bytes more than before");
}

#[tokio::test]
async fn what_is_too_much_is_refused_by_its_size() {
    let admin = Cluster::start().await.admin();
    admin.post(MAPS, &config_map("kept", "a")).await.is(201);
    let large = config_map("large", &"x".repeat(3 << 20));
    let path = format!("{MAPS}/kept");
    for (method, path, media) in [
        (Method::POST, MAPS, JSON),
        (Method::POST, MAPS, "application/yaml"),
        (Method::POST, MAPS, PROTOBUF),
        (Method::PUT, path.as_str(), JSON),
        (Method::PATCH, path.as_str(), MERGE),
        (Method::PATCH, path.as_str(), STRATEGIC),
        (Method::DELETE, path.as_str(), JSON),
    ] {
        let answer = admin.send(method, path, media, large.clone()).await;
        answer.refuses(413, "RequestEntityTooLarge", "Request entity too large: limit is 3145728");
    }
    let many = format!("[{}]", vec![r#"{"op":"add","path":"/data/a","value":"b"}"#; 10_001].join(","));
    let many = admin.patch(&path, JSON_PATCH, &many).await;
    many.refuses(
        413,
        "RequestEntityTooLarge",
        "Request entity too large: The allowed maximum operations in a JSON patch is 10000, got 10001",
    );
    // Copies that double the object until nothing could hold it.
    let bomb: Vec<String> =
        (0..40).map(|at| format!(r#"{{"op":"copy","from":"/data","path":"/data/d{at}"}}"#)).collect();
    admin.patch(&path, JSON_PATCH, &format!("[{}]", bomb.join(","))).await.is(422);
    let nested = format!("{}{}", r#"{"a":"#.repeat(200_000), "}".repeat(200_000));
    for media in [MERGE, STRATEGIC] {
        let answer = admin.patch(&path, media, &nested).await;
        assert_eq!(answer.code, 400, "{}", answer.text());
    }
    let aliases = "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: &f [*e,*e,*e,*e,*e,*e,*e,*e,*e]\ng: &g [*f,*f,*f,*f,*f,*f,*f,*f,*f]\nh: [*g,*g,*g,*g,*g,*g,*g,*g,*g]\n";
    let answer = admin.send(Method::POST, MAPS, "application/yaml", aliases).await;
    assert!((400..500).contains(&answer.code), "{}", answer.text());
    admin.get(&path).await.is(200);
}

#[tokio::test]
async fn wrong_types_and_broken_texts_are_named() {
    let admin = Cluster::start().await.admin();
    let wrong = admin.post(PODS, r#"{"metadata":{"name":"p"},"spec":{"containers":"none"}}"#).await.is(400);
    assert!(wrong.at("message").starts_with(r#"Pod in version "v1" cannot be handled as a Pod: json: cannot unmarshal string into Go struct field PodSpec.spec.containers of type []v1.Container"#), "{}", wrong.text());
    let number =
        admin.post(PODS, r#"{"metadata":{"name":"p"},"spec":{"terminationGracePeriodSeconds":"soon"}}"#).await.is(400);
    assert!(number.at("message").contains("terminationGracePeriodSeconds"), "{}", number.text());
    let quantity = r#"{"metadata":{"name":"p"},"spec":{"containers":[{"name":"c","image":"i","resources":{"limits":{"cpu":"lots"}}}]}}"#;
    let quantity = admin.post(PODS, quantity).await.is(400);
    assert!(quantity.at("message").contains("quantities must match the regular expression"), "{}", quantity.text());
    for broken in ["", "{", "[]", "nonsense", "{\"a\":}", "\u{feff}{}", "{} {}"] {
        let answer = admin.post(MAPS, broken).await;
        assert!(answer.code == 400 || answer.code == 422, "{broken:?}: {}", answer.text());
        assert_eq!(answer.at("kind"), "Status");
    }
    for path in [
        "/api/v1/nothing",
        "/apis/none/v1/things",
        "/apis/apps/v2/deployments",
        "/api/v1/namespaces/default/nodes",
        "/api/v1/pods/name",
    ] {
        admin.get(path).await.refuses(404, "NotFound", "the server could not find the requested resource");
    }
}

#[tokio::test]
async fn odd_requests_on_the_wire_are_answered() {
    let listening = Cluster::start().await.listen().await;
    for protocol in [Protocol::One, Protocol::Two] {
        let mut admin = listening.connect(protocol, Some(&listening.admin)).await;
        for (method, path, code) in [
            ("OPTIONS", "/api/v1/pods", 405),
            ("TRACE", "/api/v1/pods", 405),
            ("BREW", "/api/v1/pods", 405),
            ("GET", "/api/v1/namespaces/default/pods/../../../../../metrics", 404),
            ("GET", "//api//v1//pods", 404),
            ("GET", "/api/v1/pods/", 200),
            ("GET", "/api/v1/namespaces/default/pods/%F0%9F%92%A9", 404),
            ("GET", "/api/v1/namespaces/default/pods?limit=1&limit=x", 200),
            ("GET", "/api/v1/namespaces/default/pods?&&==&%", 200),
            ("POST", "/healthz", 405),
        ] {
            let method: Method = method.parse().expect("a method");
            let shown = format!("{protocol:?} {method} {path}");
            let answer = admin.send(method, path, &[("content-type", JSON)], b"").await;
            let fine = answer.code == code || (code == 405 && matches!(answer.code, 403 | 404));
            assert!(fine, "{shown}: {} {}", answer.code, answer.text());
        }
        let head = admin.send(Method::HEAD, "/api/v1/namespaces", &[], b"").await;
        assert!(head.code < 500 && head.body.is_empty(), "{}", head.code);
        let long = format!("/api/v1/pods?labelSelector={}", "a".repeat(60_000));
        let long = admin.send(Method::GET, &long, &[], b"").await;
        assert!((400..500).contains(&long.code), "{}", long.code);
        let zipped = admin
            .send(Method::POST, MAPS, &[("content-type", JSON), ("content-encoding", "gzip")], b"\x1f\x8b\x08")
            .await;
        assert!((400..500).contains(&zipped.code), "{}", zipped.text());
    }
}
