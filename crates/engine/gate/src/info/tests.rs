//! Tests of `info`.

use super::*;

/// `verb group/version namespace resource name subresource rest`, or `verb path` when it is no resource.
fn shown(method: &Method, uri: &str) -> String {
    let (path, query) = uri.split_once('?').unwrap_or((uri, ""));
    let info = RequestInfo::parse(method, path, query);
    match info.target {
        None => format!("{} {}", info.verb, info.path),
        Some(t) => format!(
            "{} {}/{} [{}] {} [{}] [{}] [{}]",
            info.verb, t.group, t.version, t.namespace, t.resource, t.name, t.subresource, t.rest
        ),
    }
}

#[test]
fn paths() {
    let cases = [
        (Method::GET, "/", "get /"),
        (Method::GET, "/healthz/ping", "get /healthz/ping"),
        (Method::GET, "/api", "get /api"),
        (Method::GET, "//api//v1//pods", "get //api//v1//pods"),
        (Method::GET, "/api/v1/namespaces//pods", "get /api/v1/namespaces//pods"),
        (Method::GET, "/apis//v1/deployments", "get /apis//v1/deployments"),
        (Method::GET, "/api//pods", "get /api//pods"),
        // Only what follows the subresource `proxy` may have empty parts, not what follows a thing of that name.
        (Method::GET, "/api/v1/proxy//log", "get /api/v1/proxy//log"),
        (Method::GET, "/api/proxy//log", "get /api/proxy//log"),
        (Method::GET, "/api/v1/namespaces/proxy//pods", "get /api/v1/namespaces/proxy//pods"),
        (Method::GET, "/api/v1/namespaces/n/pods/proxy//log", "get /api/v1/namespaces/n/pods/proxy//log"),
        (Method::GET, "/api/v1/namespaces/n/pods/p/log//x", "get /api/v1/namespaces/n/pods/p/log//x"),
        (Method::GET, "/api/v1/namespaces/n/pods/proxy/log", "get /v1 [n] pods [proxy] [log] []"),
        (Method::GET, "/api/v1/pods/", "list /v1 [] pods [] [] []"),
        (Method::GET, "/api/v1/namespaces/n/services/s/proxy//a//b", "get /v1 [n] services [s] [proxy] [/a//b]"),
        (Method::GET, "/apis/apps/v1", "get /apis/apps/v1"),
        (Method::GET, "/api/v1/pods", "list /v1 [] pods [] [] []"),
        (Method::GET, "/api/v1/pods?watch=true", "watch /v1 [] pods [] [] []"),
        (Method::GET, "/api/v1/pods?watch=0", "list /v1 [] pods [] [] []"),
        (Method::GET, "/api/v1/watch/pods", "watch /v1 [] pods [] [] []"),
        (Method::GET, "/api/v1/namespaces", "list /v1 [] namespaces [] [] []"),
        (Method::GET, "/api/v1/namespaces/n", "get /v1 [n] namespaces [n] [] []"),
        (Method::PUT, "/api/v1/namespaces/n/finalize", "update /v1 [n] namespaces [n] [finalize] []"),
        (Method::GET, "/api/v1/namespaces/n/pods/p/log", "get /v1 [n] pods [p] [log] []"),
        (Method::POST, "/api/v1/namespaces/n/pods/p/proxy/a/b", "create /v1 [n] pods [p] [proxy] [a/b]"),
        (Method::DELETE, "/apis/apps/v1/namespaces/n/deployments", "deletecollection apps/v1 [n] deployments [] [] []"),
        (Method::DELETE, "/apis/apps/v1/namespaces/n/deployments/d", "delete apps/v1 [n] deployments [d] [] []"),
        (Method::PATCH, "/api/v1/nodes/a%2Fb/status", "patch /v1 [] nodes [a/b] [status] []"),
        (Method::GET, "/api/v1/secrets?fieldSelector=metadata.name%3Dx", "list /v1 [] secrets [x] [] []"),
        (Method::GET, "/api/v1/namespaces/n/pods/p?watch=1", "watch /v1 [n] pods [p] [] []"),
        (Method::GET, "/api/v1/namespaces/n/pods/p/exec?watch=1", "get /v1 [n] pods [p] [exec] []"),
    ];
    for (method, uri, expected) in cases {
        assert_eq!(shown(&method, uri), expected, "{method} {uri}");
    }
}
