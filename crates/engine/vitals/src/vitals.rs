//! What there is to say of a component.

use std::sync::Arc;

use object::Value;
use observe::health::Checks;
use observe::metrics::Registry;
use parking_lot::RwLock;

/// A component's checks, what it counts, and the settings that hold. The component fills it; a [`crate::Port`] shows it.
#[derive(Debug)]
pub struct Vitals {
    pub(crate) healthz: Checks,
    pub(crate) livez: Checks,
    pub(crate) readyz: Checks,
    metrics: Registry,
    settings: RwLock<Value>,
}

impl Default for Vitals {
    fn default() -> Vitals {
        Vitals {
            healthz: Checks::new("healthz"),
            livez: Checks::new("livez"),
            readyz: Checks::new("readyz"),
            metrics: Registry::new(),
            settings: RwLock::new(Value::map()),
        }
    }
}

impl Vitals {
    /// Nothing to say yet but that somebody answers.
    pub fn new() -> Arc<Vitals> {
        Arc::default()
    }

    /// Adds a check without which the component is not healthy, hence neither alive nor ready. It must not block.
    pub fn alive_while(&self, name: &str, test: impl Fn() -> Result<(), String> + Send + Sync + Clone + 'static) {
        for checks in [&self.healthz, &self.livez] {
            checks.add(name, test.clone());
        }
        self.ready_while(name, test);
    }

    /// Adds a check without which the component is not ready. It must not block.
    pub fn ready_while(&self, name: &str, test: impl Fn() -> Result<(), String> + Send + Sync + 'static) {
        self.readyz.add(name, test);
    }

    /// Where the component registers what it counts.
    pub fn metrics(&self) -> &Registry {
        &self.metrics
    }

    /// Tells the settings that hold, under the name by which upstream shows them.
    pub fn settings_are(&self, name: &str, settings: Value) {
        self.settings.write().set(&[name], settings);
    }

    /// What `/configz` shows.
    pub(crate) fn configz(&self) -> Value {
        self.settings.read().clone()
    }
}
