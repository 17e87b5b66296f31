//! What a planner says to the people who read `kubectl describe`.

use typed::api::core::v1::ObjectReference;

use crate::Kind;

/// `Normal` or `Warning`, the two event types of the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventType {
    /// Expected course of things.
    Normal,
    /// Somebody should look.
    Warning,
}

impl EventType {
    /// The wire word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Normal => "Normal",
            Self::Warning => "Warning",
        }
    }
}

/// An event about one object.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// The object that the event is about.
    pub regarding: ObjectReference,
    /// Its type, reason and text.
    pub say: Say,
}

impl Event {
    /// An event whose words are known when the plan is made.
    #[must_use]
    pub fn about<K: Kind>(object: &K, say: Say) -> Self {
        Self { regarding: reference(object), say }
    }
}

/// Type, reason and words of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Say {
    /// Normal or Warning.
    pub event_type: EventType,
    /// The machine-readable reason, upper camel case.
    pub reason: &'static str,
    /// The message.
    pub note: Note,
}

/// A message; parts of it may only be known to the executor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Note {
    /// The whole text.
    Text(String),
    /// The text followed by the name that the server gave to the written object.
    Named(String),
    /// The text followed by the server's refusal.
    Refused(String),
}

impl Note {
    /// The words, once the executor knows the name and the refusal.
    #[must_use]
    pub fn words(&self, name: &str, refusal: &str) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Named(text) => format!("{text}{name}"),
            Self::Refused(text) => format!("{text}{refusal}"),
        }
    }
}

impl Say {
    /// A Normal event with a known text.
    #[must_use]
    pub fn normal(reason: &'static str, text: impl Into<String>) -> Self {
        Self { event_type: EventType::Normal, reason, note: Note::Text(text.into()) }
    }

    /// A Warning event with a known text.
    #[must_use]
    pub fn warning(reason: &'static str, text: impl Into<String>) -> Self {
        Self { event_type: EventType::Warning, reason, note: Note::Text(text.into()) }
    }

    /// A Normal event that ends with the written object's name.
    #[must_use]
    pub fn named(reason: &'static str, text: impl Into<String>) -> Self {
        Self { event_type: EventType::Normal, reason, note: Note::Named(text.into()) }
    }

    /// A Warning event that ends with the server's refusal.
    #[must_use]
    pub fn refused(reason: &'static str, text: impl Into<String>) -> Self {
        Self { event_type: EventType::Warning, reason, note: Note::Refused(text.into()) }
    }
}

/// The reference that events and endpoints carry.
#[must_use]
pub fn reference<K: Kind>(object: &K) -> ObjectReference {
    let meta = object.meta();
    ObjectReference {
        api_version: Some(K::RESOURCE.api_version()),
        kind: Some(K::RESOURCE.kind.to_string()),
        namespace: meta.namespace.clone(),
        name: meta.name.clone(),
        uid: meta.uid.clone(),
        resource_version: meta.resource_version.clone(),
        field_path: None,
    }
}
