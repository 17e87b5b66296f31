//! An entry for the readers of what the kernel answers.

use crate::message::{attributes, received, text};
use crate::{conntrack, nft, route, socket};

/// Reads `bytes` as a datagram, and each message in it as any answer.
pub fn datagram(bytes: &[u8]) {
    for message in received(bytes) {
        drop(route::read::read_link(message.body));
        let _address = route::read::read_address(message.body);
        let _flow = message.body.get(4..).and_then(conntrack::read_flow);
        let elements = attributes(message.body).filter_map(|(_, element)| nft::readback::read(element));
        elements.for_each(drop);
        attributes(message.body).for_each(|(_, payload)| drop(text(payload)));
        drop(socket::refusal(message));
    }
}
