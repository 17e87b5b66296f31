//! The authorizers against tables of questions.

mod aggregation;
mod bootstrap;
mod escalation;
mod node;
mod rbac;
mod reconcile;
