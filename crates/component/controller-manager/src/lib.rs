//! kube-controller-manager: wires planners (`workloads`, `endpoints`, `lifecycle`) to informers and work queues.
//!
//! It holds no algorithm: [`roster`] says which controllers there are, what they are called, whose credentials they use and
//! whether their planner is built; the planners decide, the queue executes.

pub mod roster;
