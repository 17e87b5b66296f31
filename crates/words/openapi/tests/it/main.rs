//! The built-in kinds' documents against what a v1.36 server publishes.

mod reference;
