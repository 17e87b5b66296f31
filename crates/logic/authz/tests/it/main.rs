//! The authorizers against tables of questions.

mod bootstrap;
mod escalation;
mod rbac;
mod reconcile;
