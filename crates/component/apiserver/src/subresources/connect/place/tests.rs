//! What of a path is the receiver's.

use super::below;

#[test]
fn the_path_behind_the_subresource_is_found_by_its_place() {
    let cases = [
        ("/api/v1/namespaces/a/pods/p/proxy", true, ""),
        ("/api/v1/namespaces/a/pods/p/proxy/", true, "/"),
        ("/api/v1/namespaces/a/services/https:web:443/proxy/some//path/", true, "/some//path/"),
        ("/api/v1/namespaces/proxy-1/pods/proxy/proxy/proxy", true, "/proxy"),
        ("/api/v1/nodes/proxy:10250/proxy/logs/", false, "/logs/"),
    ];
    for (path, namespaced, expected) in cases {
        assert_eq!(below(path, namespaced), expected, "{path}");
    }
}
