//! The authorizers against tables of questions.

mod bootstrap;
mod escalation;
mod node;
mod rbac;
mod reconcile;
