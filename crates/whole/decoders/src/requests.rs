//! What a request asks for, before anybody looks at its body.

use gate::RequestInfo;
use http::Method;
use registry::negotiate;

/// Lines: method, path with query, `Accept`, `Content-Type`, a continue token, `User-Agent`.
pub fn requests(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let mut lines = text.split('\n');
    let mut line = || lines.next().unwrap_or_default();
    let method = Method::from_bytes(line().as_bytes()).unwrap_or(Method::GET);
    let (path, query) = line().split_once('?').unwrap_or_default();
    let info = RequestInfo::parse(&method, path, query);
    if let Some(target) = &info.target {
        assert!(!target.resource.is_empty(), "a target names a resource: {target:?}");
        assert!(target.subresource.is_empty() || !target.name.is_empty(), "a subresource is of something: {target:?}");
    }
    for (key, value) in info.query.iter() {
        assert!(info.query.all(key).any(|one| one == value), "a parameter is found by its name");
        let _flag = info.query.flag(key);
    }
    let accept = line();
    for (pretty, protobuf) in [(false, true), (true, false)] {
        if let Ok(wanted) = negotiate::wanted(accept, pretty, protobuf) {
            assert!(!negotiate::content_type(wanted, true).is_empty(), "every form has a name");
        }
    }
    let _discovery = negotiate::wants_aggregated_discovery(accept);
    drop(negotiate::body_media(line()));
    registry::fuzz::continue_token(line());
    assert!(
        patch::apply::manager_name(line()).len() <= patch::apply::MANAGER_BYTES_MAX,
        "a manager's name has a bound"
    );
    kubelet::fuzz::query(query);
}
