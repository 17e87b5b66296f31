//! Documents of small sources, whole.
