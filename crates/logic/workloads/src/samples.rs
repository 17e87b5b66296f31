//! Objects to rehearse with, as users write them (defaults filled in as the server would).

use plan::{Key, Kind, Plan, View, meta};
use rehearsal::Playhouse;
use typed::api::apps::v1::{DaemonSet, Deployment, ReplicaSet, StatefulSet};
use typed::api::batch::v1::Job;

use crate::{daemon, deployment, job, replicas, stateful};

pub(crate) const DEPLOYMENT: &str = "
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: default}
spec:
  replicas: 4
  progressDeadlineSeconds: 600
  revisionHistoryLimit: 1
  selector: {matchLabels: {app: web}}
  strategy: {type: RollingUpdate, rollingUpdate: {maxSurge: 25%, maxUnavailable: 25%}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: main, image: web:1}]}
";

pub(crate) const STATEFUL_SET: &str = "
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db, namespace: default}
spec:
  replicas: 3
  serviceName: db
  podManagementPolicy: OrderedReady
  selector: {matchLabels: {app: db}}
  updateStrategy: {type: RollingUpdate, rollingUpdate: {partition: 0}}
  persistentVolumeClaimRetentionPolicy: {whenDeleted: Retain, whenScaled: Delete}
  template:
    metadata: {labels: {app: db}}
    spec: {containers: [{name: main, image: db:1}]}
  volumeClaimTemplates:
  - metadata: {name: data}
    spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
";

pub(crate) const DAEMON_SET: &str = "
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: agent, namespace: default}
spec:
  selector: {matchLabels: {app: agent}}
  updateStrategy: {type: RollingUpdate, rollingUpdate: {maxSurge: 0, maxUnavailable: 1}}
  template:
    metadata: {labels: {app: agent}}
    spec: {containers: [{name: main, image: agent:1}]}
";

pub(crate) const JOB: &str = "
apiVersion: batch/v1
kind: Job
metadata: {name: sum, namespace: default}
spec:
  parallelism: 2
  completions: 3
  backoffLimit: 2
  completionMode: NonIndexed
  podReplacementPolicy: TerminatingOrFailed
  selector: {matchLabels: {job-name: sum}}
  template:
    metadata: {labels: {job-name: sum}}
    spec: {restartPolicy: Never, containers: [{name: main, image: sum:1}]}
";

pub(crate) fn node(name: &str) -> String {
    format!("apiVersion: v1\nkind: Node\nmetadata: {{name: {name}}}\n")
}

fn each<T: Kind>(house: &Playhouse, plan: impl Fn(&Key) -> Plan) -> Vec<Plan> {
    let view: &dyn View<T> = house;
    view.all().iter().map(|object| plan(&Key::new(meta::namespace(object.meta()), meta::name(object.meta())))).collect()
}

pub(crate) fn deployments(house: &Playhouse, now: jiff::Timestamp) -> Vec<Plan> {
    let world = deployment::World { deployments: house, replica_sets: house, pods: house, refusal: None };
    each::<Deployment>(house, |key| deployment::plan(key, &world, now))
}

pub(crate) fn replica_sets(house: &Playhouse, now: jiff::Timestamp) -> Vec<Plan> {
    let world = replicas::World { sets: house, pods: house, refusal: None };
    each::<ReplicaSet>(house, |key| replicas::plan_replica_set(key, &world, now))
}

pub(crate) fn stateful_sets(house: &Playhouse, now: jiff::Timestamp) -> Vec<Plan> {
    let world =
        stateful::World { sets: house, revisions: house, pods: house, claims: house, max_unavailable_enabled: false };
    each::<StatefulSet>(house, |key| stateful::plan(key, &world, now))
}

pub(crate) fn daemon_sets(house: &Playhouse, now: jiff::Timestamp) -> Vec<Plan> {
    let world = daemon::World { sets: house, revisions: house, pods: house, nodes: house };
    each::<DaemonSet>(house, |key| daemon::plan(key, &world, now))
}

pub(crate) fn jobs(house: &Playhouse, now: jiff::Timestamp) -> Vec<Plan> {
    let world = job::World { jobs: house, pods: house, refusal: None };
    each::<Job>(house, |key| job::plan(key, &world, now))
}
