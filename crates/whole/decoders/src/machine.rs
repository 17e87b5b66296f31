//! What the machine and its runtime tell: the kernel, the store's files and servers, containers' logs and networks.

use std::sync::LazyLock;

use prost::Message;
use registry::StoredForm;
use store::Revision;

static PODS: LazyLock<StoredForm> = LazyLock::new(|| {
    let rows = resources::strategies();
    let pods = rows.into_iter().find(|strategy| strategy.resource().kind == "Pod").expect("Pods have a strategy");
    StoredForm::new(pods, true)
});

/// A datagram of the kernel's: links, addresses, sets, connections, refusals.
pub fn netlink(bytes: &[u8]) {
    netlink::fuzz::datagram(bytes);
}

/// A row of the embedded store, a record of its log, an answer of etcd's, or an object as it is stored.
pub fn store(bytes: &[u8]) {
    store::fuzz::row(bytes);
    store::fuzz::record(bytes);
    store::fuzz::answer(bytes);
    if let Ok(pod) = PODS.decode(bytes, Revision(1)) {
        let again = PODS.decode(&PODS.encode(&pod), Revision(1)).expect("what was stored can be read");
        assert_eq!(PODS.encode(&again), PODS.encode(&pod), "what was stored reads the same");
    }
}

/// What a runtime, a network plugin's caller, a container's log, a manifest and the kernel's text files say.
pub fn node(bytes: &[u8]) {
    drop(cri::v1::ContainerStatusResponse::decode(bytes));
    drop(cri::v1::ListContainersResponse::decode(bytes));
    drop(cri::v1::PodSandboxStatusResponse::decode(bytes));
    drop(cri::v1::ContainerEventResponse::decode(bytes));
    drop(kubelet::decode(bytes));
    kubelet::fuzz::log(bytes);
    if let Ok(text) = std::str::from_utf8(bytes) {
        mounts::fuzz::kernel_text(text);
        podnet::fuzz::configuration(text);
    }
}
