//! Whether the node has room for a resize, and whose turn it is when several wait for room.

use std::cmp::Reverse;

use jiff::Timestamp;
use typed::api::core::v1::Pod;

use super::PENDING;
use crate::admission::{self, Room};
use crate::qos::{self, Class};
use crate::resources;

/// Grants `pod` what it asks for, or says why it has to wait; `room` has the other pods only.
pub fn admit(pod: &Pod, room: &Room<'_>) -> Result<(), String> {
    admission::misfit(pod, room).map_or(Ok(()), |(_, message)| Err(message))
}

/// Puts pods that wait for a resize in the order in which they are looked at: those that give back first, then by
/// priority, by quality of service, and by how long they have waited. Each comes with what it was granted so far.
pub fn in_turn<T>(waiting: &mut [(T, T)])
where
    T: AsRef<Pod>,
{
    waiting.sort_by_cached_key(|(wanted, granted)| {
        let (wanted, granted) = (wanted.as_ref(), granted.as_ref());
        let (new, old) = (resources::totals(wanted), resources::totals(granted));
        let grows =
            new.cpu_request_milli > old.cpu_request_milli || new.memory_request_bytes > old.memory_request_bytes;
        let priority = wanted.spec.as_ref().and_then(|spec| spec.priority).unwrap_or_default();
        let guaranteed = qos::class(wanted) == Class::Guaranteed;
        (grows, Reverse(priority), !guaranteed, waits_since(wanted).unwrap_or(Timestamp::MAX))
    });
}

fn waits_since(pod: &Pod) -> Option<Timestamp> {
    let conditions = pod.status.as_ref()?.conditions.as_deref()?;
    let pending = conditions.iter().find(|condition| condition.type_ == PENDING)?;
    pending.last_transition_time.as_ref().map(|time| time.0)
}
