//! What is wrong with objects, in upstream's words.
//!
//! - `spot`: a place in an object; complaints are made at it.
//! - `formats`, `addresses`, `amounts`: scalars that kinds share.
//! - `podspec` and below: pod specs, wherever one stands.
//! - the rest: kinds, by family.
//!
//! Not here: metadata, which `registry` checks for all kinds alike.

pub(crate) mod addresses;
pub(crate) mod admission;
pub(crate) mod affinity;
pub(crate) mod amounts;
pub(crate) mod autoscaling;
pub(crate) mod batch;
pub(crate) mod certificates;
pub(crate) mod container;
pub(crate) mod core;
pub(crate) mod data;
pub(crate) mod devices;
pub(crate) mod discovery;
pub(crate) mod endpoints;
pub(crate) mod environment;
pub(crate) mod event;
pub(crate) mod extension;
pub(crate) mod flowcontrol;
pub(crate) mod formats;
pub(crate) mod keypair;
pub(crate) mod mounts;
pub(crate) mod networking;
pub(crate) mod node;
pub(crate) mod pod;
pub(crate) mod podresize;
pub(crate) mod podspec;
pub(crate) mod podupdate;
pub(crate) mod podvolumes;
pub(crate) mod podwarnings;
pub(crate) mod policy;
pub(crate) mod probe;
pub(crate) mod quota;
pub(crate) mod rbac;
pub(crate) mod security;
pub(crate) mod service;
pub(crate) mod simple;
pub(crate) mod spot;
pub(crate) mod storage;
pub(crate) mod volume;
pub(crate) mod volumewarnings;
pub(crate) mod warnings;
pub(crate) mod workload;

use kind::Problem;
use object::Value;

use spot::{Problems, Spot};

/// Runs a check over a whole object.
fn over(object: &Value, check: impl FnOnce(&Spot<'_>, &mut Problems)) -> Vec<Problem> {
    let mut out = Problems::new();
    check(&Spot::root(object), &mut out);
    out
}

/// Complains about each of `fields` that an update changed.
fn frozen(new: &Value, old: &Value, fields: &[&str], out: &mut Problems) {
    let (new, old) = (Spot::root(new), Spot::root(old));
    for field in fields {
        new.at(field).immutable(out, &old.at(field));
    }
}
