//! Texts as their readers expect them.

use std::time::Duration;

use env::time::Instant;

use crate::health::Checks;
use crate::metrics::Registry;
use crate::pulse::Pulse;
use crate::said::Said;
use crate::version;

#[test]
fn health_speaks_as_upstream_does() {
    let checks = Checks::new("livez");
    checks.add("etcd", || Ok(()));
    checks.add_to_group("informers", "pods", || Ok(()));
    let cases = [
        ("", "ok"),
        ("verbose", "[+]ping ok\n[+]etcd ok\n[+]pods ok\nlivez check passed\n"),
        ("verbose=true&exclude=etcd", "[+]ping ok\n[+]etcd excluded: ok\n[+]pods ok\nlivez check passed\n"),
        (
            "verbose&exclude=informers",
            "[+]ping ok\n[+]etcd ok\n[+]pods excluded with informers: ok\nlivez check passed\n",
        ),
        (
            "verbose&exclude=b%20x&exclude=a",
            "[+]ping ok\n[+]etcd ok\n[+]pods ok\n\
             warn: some health checks cannot be excluded: no matches for \"a\", \"b x\"\nlivez check passed\n",
        ),
    ];
    for (query, expected) in cases {
        let answer = checks.answer(query);
        assert_eq!((answer.status, answer.text.as_str()), (200, expected), "{query:?}");
    }
    checks.add("broken", || Err("no disk".to_owned()));
    let answer = checks.answer("");
    let expected = "[+]ping ok\n[+]etcd ok\n[+]pods ok\n[-]broken failed: reason withheld\nlivez check failed\n";
    assert_eq!((answer.status, answer.text.as_str()), (500, expected));
    assert_eq!(checks.answer("exclude=broken").text, "ok");
    assert_eq!(checks.answer_one("broken").text, "internal server error: no disk\n");
    assert_eq!(checks.answer_one("ping").text, "ok");
    assert_eq!(checks.answer_one("nothing").status, 404);
}

#[test]
fn metrics_read_as_prometheus_text() {
    let registry = Registry::new();
    let requests = registry.counter("apiserver_request_total", "Counter of requests.", &["verb", "code"]);
    requests.with(&["GET", "200"]).add(3);
    requests.with(&["a\"b", "500"]).inc();
    registry.gauge("depth", "Depth.", &[]).with(&[]).set(1.5);
    let seconds = registry.histogram("seconds", "Seconds.", &["op"], &[0.1, 1.0]);
    for value in [0.1, 0.5, 7.0] {
        seconds.with(&["x"]).observe(value);
    }
    registry.counter("untouched_total", "Nothing was measured.", &["x"]);
    let text = registry.encode();
    let expected = "\
# HELP apiserver_request_total Counter of requests.
# TYPE apiserver_request_total counter
apiserver_request_total{code=\"200\",verb=\"GET\"} 3
apiserver_request_total{code=\"500\",verb=\"a\\\"b\"} 1
# HELP depth Depth.
# TYPE depth gauge
depth 1.5
# HELP seconds Seconds.
# TYPE seconds histogram
seconds_bucket{op=\"x\",le=\"0.1\"} 1
seconds_bucket{op=\"x\",le=\"1\"} 2
seconds_bucket{op=\"x\",le=\"+Inf\"} 3
seconds_sum{op=\"x\"} 7.6
seconds_count{op=\"x\"} 3
";
    assert!(text.starts_with(expected), "{text}");
    for name in
        ["process_cpu_seconds_total ", "process_resident_memory_bytes ", "process_open_fds ", "process_max_fds "]
    {
        let value = text.lines().find_map(|line| line.strip_prefix(name)).and_then(|value| value.parse::<f64>().ok());
        assert!(value.is_some_and(|value| value >= 0.0), "{name}: {text}");
    }
    requests.remove(&["GET", "200"]);
    assert!(!registry.encode().contains("code=\"200\""));
}

#[test]
fn the_version_is_json() {
    let json = version().to_json();
    assert!(json.starts_with("{\n  \"major\": \"1\",\n  \"minor\": \"36\",\n  \"emulationMajor\": \"1\","), "{json}");
    assert!(json.contains("\"gitVersion\": \"v1.36.0\""), "{json}");
    assert!(json.ends_with("\n}"), "{json}");
}

#[test]
fn lines_look_like_klog() {
    use std::io::Write;
    use std::sync::Arc;

    #[derive(Clone, Default)]
    struct Sink(Arc<parking_lot::Mutex<Vec<u8>>>);
    impl Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let sink = Sink::default();
    let writer = sink.clone();
    let subscriber =
        tracing_subscriber::fmt().event_format(crate::logging::Klog).with_writer(move || writer.clone()).finish();
    tracing::subscriber::with_default(subscriber, || {
        tracing::warn!(pod = "kube-system/dns", tries = 3, "cannot start it");
    });
    let text = String::from_utf8(sink.0.lock().clone()).unwrap();
    assert!(text.starts_with('W'), "{text}");
    assert!(text.contains(" tests.rs:"), "{text}");
    assert!(text.ends_with("] \"cannot start it\" pod=\"kube-system/dns\" tries=3\n"), "{text}");
}

#[test]
fn a_loop_that_hangs_or_ends_is_not_alive() {
    let (pulse, patience) = (Pulse::default(), Duration::from_secs(3600));
    assert_eq!(pulse.check(patience), Ok(()), "it may be another's turn");
    let beat = pulse.begin();
    assert_eq!(pulse.check(Duration::ZERO), Ok(()), "whoever rests does not hang");
    beat.work();
    assert_eq!(pulse.check(patience), Ok(()));
    let began = Instant::now();
    while began.elapsed() == Duration::ZERO {}
    assert_eq!(pulse.check(Duration::ZERO), Err("its loop hangs: it has worked for 0 s without a rest".to_owned()));
    beat.rest();
    assert_eq!(pulse.check(Duration::ZERO), Ok(()));
    drop(beat);
    assert_eq!(pulse.check(patience), Err("its loop has ended".to_owned()));
}

#[test]
fn what_does_not_change_is_said_once() {
    let said = Said::default();
    let cases = [
        ("a", Some("denied"), true),
        ("a", Some("denied"), false),
        ("b", Some("denied"), true),
        ("a", Some("gone"), true),
        ("a", None, true),
        ("a", None, false),
        ("a", Some("gone"), true),
        ("c", None, false),
    ];
    for (at, (thing, words, news)) in cases.into_iter().enumerate() {
        assert_eq!(said.is_news(thing, words), news, "case {at}: {thing} {words:?}");
    }
    (0..2_000).for_each(|number| assert!(said.is_news(&number.to_string(), Some("x"))));
    assert!(said.is_news("a", Some("gone")), "what is forgotten is said again");
}
