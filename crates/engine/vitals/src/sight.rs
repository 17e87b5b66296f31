//! Whether a component sees the cluster.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use informer::Informers;

use crate::Vitals;

/// What a component's check `informer-sync` goes by: it passes once all informers have their first full state. Cheap to
/// clone.
#[derive(Debug, Clone, Default)]
pub struct Sight(Arc<State>);

#[derive(Debug, Default)]
struct State {
    informers: OnceLock<Informers>,
    stands_by: AtomicBool,
}

impl Sight {
    /// Adds the check; until the component looks, it is not ready.
    pub fn told_to(vitals: &Vitals) -> Sight {
        let sight = Sight::default();
        let seen = sight.clone();
        vitals.ready_while("informer-sync", move || seen.check());
        sight
    }

    /// The component is one of several candidates: whoever does not lead does not look, and is ready to.
    pub fn stand_by(&self) {
        self.0.stands_by.store(true, Ordering::Relaxed);
    }

    /// The component begins to look. Only the first call counts.
    pub fn look_with(&self, informers: &Informers) {
        self.0.informers.get_or_init(|| informers.clone());
    }

    fn check(&self) -> Result<(), String> {
        let Some(informers) = self.0.informers.get() else {
            let stands_by = self.0.stands_by.load(Ordering::Relaxed);
            return if stands_by { Ok(()) } else { Err("no informer has started yet".to_owned()) };
        };
        let missing = informers.unsynced();
        if missing.is_empty() { Ok(()) } else { Err(format!("informers not synced: {}", missing.join(", "))) }
    }
}
