//! Events: the same again is counted, not written again.

use std::time::Duration;

use client::{Client, Patch};
use object::Value;
use typed::Kind;
use typed::api::core::v1::Event;

use super::kept::Kept;
use super::problem;
use crate::api::ApiError;

/// How many different events are remembered.
const EVENTS_MAX: usize = 4096;
/// How long: the server keeps events no longer.
const EVENT_LIFE: Duration = Duration::from_secs(3600);

/// What was told lately.
#[derive(Debug)]
pub(super) struct Announcements {
    told: Kept<(String, i32)>,
}

impl Default for Announcements {
    fn default() -> Announcements {
        Announcements { told: Kept::new(EVENTS_MAX) }
    }
}

impl Announcements {
    pub(super) async fn tell(&self, client: &Client, event: Event) -> Result<(), ApiError> {
        let key = key(&event);
        if let Some((name, count)) = self.told.get(&key) {
            let mut again = Value::from_pairs([("count", i64::from(count) + 1)]);
            if let Some(at) = &event.last_timestamp {
                again.set(&["lastTimestamp"], at.0.strftime("%Y-%m-%dT%H:%M:%SZ").to_string());
            }
            let patched = client.patch::<Event>(event.namespace(), &name, "", &Patch::Strategic(again)).await;
            match patched {
                Ok(_event) => {
                    self.told.put(key, (name, count.saturating_add(1)), EVENT_LIFE);
                    return Ok(());
                }
                // The server has forgotten it: it is told as new.
                Err(error) if error.is_not_found() => {}
                Err(error) => return Err(problem(error)),
            }
        }
        let written = client.create(&event).await.map_err(problem)?;
        self.told.put(key, (written.name().to_owned(), 1), EVENT_LIFE);
        Ok(())
    }
}

/// What makes two events the same.
fn key(event: &Event) -> String {
    let object = &event.involved_object;
    let parts =
        [&object.namespace, &object.name, &object.uid, &object.field_path, &event.type_, &event.reason, &event.message];
    let parts: Vec<&str> = parts.iter().map(|part| part.as_deref().unwrap_or_default()).collect();
    parts.join("\u{0}")
}
