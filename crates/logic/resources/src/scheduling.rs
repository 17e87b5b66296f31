//! PriorityClasses and RuntimeClasses.

use crate::promises::Promises;
use crate::tree::{at, default_to, round_quantities};

/// A PriorityClass.
pub(crate) const PRIORITY_CLASS: Promises = Promises {
    default: |class| default_to(class, "preemptionPolicy", "PreemptLowerPriority"),
    check_create: crate::check::simple::priority_class,
    check_update: crate::check::simple::priority_class_update,
    columns: crate::print::policy::PRIORITY_CLASS,
    cells: crate::print::policy::priority_class,
    ..Promises::COUNTED
};

/// A RuntimeClass.
pub(crate) const RUNTIME_CLASS: Promises = Promises {
    default: |class| at(class, &["overhead"], |overhead| round_quantities(overhead, "podFixed")),
    check_create: crate::check::simple::runtime_class,
    check_update: crate::check::simple::runtime_class_update,
    warn: crate::check::warnings::runtime_class,
    columns: crate::print::policy::RUNTIME_CLASS,
    cells: crate::print::policy::runtime_class,
    ..Promises::DATA.versioned_updates()
};
