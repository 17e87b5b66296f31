//! The kinds of the group `flowcontrol.apiserver.k8s.io`.

use object::Value;

use crate::promises::Promises;
use crate::tree::{default_nonzero, default_to, within};

/// A FlowSchema.
pub(crate) const FLOW_SCHEMA: Promises = Promises {
    default: |schema| within(schema, "spec", |spec| default_nonzero(spec, "matchingPrecedence", 1000)),
    check_create: crate::check::flowcontrol::schema,
    check_update: |context, new, _| crate::check::flowcontrol::schema(context, new),
    columns: crate::print::policy::FLOW_SCHEMA,
    cells: crate::print::policy::flow_schema,
    ..Promises::WORKLOAD
};

/// A PriorityLevelConfiguration.
pub(crate) const PRIORITY_LEVEL: Promises = Promises {
    default: |level| within(level, "spec", default_level),
    check_create: crate::check::flowcontrol::level,
    check_update: |context, new, _| crate::check::flowcontrol::level(context, new),
    columns: crate::print::policy::PRIORITY_LEVEL,
    cells: crate::print::policy::priority_level,
    ..Promises::WORKLOAD
};

fn default_level(spec: &mut Value) {
    within(spec, "exempt", |exempt| {
        default_to(exempt, "nominalConcurrencyShares", 0);
        default_to(exempt, "lendablePercent", 0);
    });
    within(spec, "limited", |limited| {
        default_to(limited, "nominalConcurrencyShares", 30);
        default_to(limited, "lendablePercent", 0);
        within(limited, "limitResponse", |response| {
            within(response, "queuing", |queuing| {
                default_nonzero(queuing, "handSize", 8);
                default_nonzero(queuing, "queues", 64);
                default_nonzero(queuing, "queueLengthLimit", 50);
            });
        });
    });
}
