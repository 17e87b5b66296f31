//! Storms: users, kubelets and crashes in random order on a seed; afterwards everything must be as the users wish.

use std::sync::Arc;

use jiff::Timestamp;
use plan::{Plan, Propagation, View, meta};
use rehearsal::{Actor, Dice, Playhouse, at, settle};
use typed::api::apps::v1::{DaemonSet, Deployment, StatefulSet};
use typed::api::batch::v1::Job;
use typed::api::core::v1::Pod;

use crate::pods;
use crate::samples::{self, DAEMON_SET, DEPLOYMENT, JOB, STATEFUL_SET, node};

type Planner = fn(&Playhouse, Timestamp) -> Vec<Plan>;

struct Storm {
    house: Playhouse,
    dice: Dice,
    seconds: i64,
    planners: Vec<Planner>,
}

impl Storm {
    fn new(seed: u64, yaml: &str, planners: &[Planner]) -> Self {
        let house = Playhouse::read(at(0), yaml);
        Self { house, dice: Dice::new(seed), seconds: 0, planners: planners.to_vec() }
    }

    fn pods(&self) -> Vec<Arc<Pod>> {
        let view: &dyn View<Pod> = &self.house;
        view.all()
    }

    fn pick(&mut self, which: impl Fn(&Pod) -> bool) -> Option<Arc<Pod>> {
        let fitting: Vec<_> = self.pods().into_iter().filter(|pod| which(pod)).collect();
        let place = self.dice.roll(fitting.len());
        fitting.get(place).cloned()
    }

    /// A random thing that happens without users: time, plans (some cut short by a crash), kubelets, losses.
    fn weather(&mut self) {
        self.seconds += i64::try_from(self.dice.roll(20)).unwrap_or_default();
        self.house.now = Some(at(self.seconds));
        match self.dice.roll(8) {
            0..=3 => self.plan(),
            4 => self.house.run_pods(),
            5 => self.house.finish_terminations(),
            6 => self.lose_a_pod(),
            _ => self.unready_a_pod(),
        }
    }

    fn plan(&mut self) {
        let planner = self.planners[self.dice.roll(self.planners.len())];
        for plan in planner(&self.house, at(self.seconds)) {
            let steps = plan.actions().count();
            match self.dice.roll(3) {
                0 => drop(self.house.play_part(&plan, self.dice.roll(steps + 1))),
                _ => drop(self.house.play(&plan)),
            }
        }
    }

    fn lose_a_pod(&mut self) {
        if let Some(pod) = self.pick(|pod| !meta::is_deleting(&pod.metadata)) {
            self.house.delete::<Pod>("default", meta::name(&pod.metadata), Propagation::Background);
        }
    }

    fn unready_a_pod(&mut self) {
        if let Some(pod) = self.pick(pods::is_ready) {
            self.house.change::<Pod>("default", meta::name(&pod.metadata), |pod| {
                pod.status.get_or_insert_default().conditions = None;
                pod.status.get_or_insert_default().phase = Some("Pending".into());
            });
        }
    }

    /// Fair weather until nothing moves any more.
    fn calm(&mut self) {
        for _ in 0..60 {
            self.seconds += 700;
            let now = at(self.seconds);
            self.house.now = Some(now);
            let planners = self.planners.clone();
            let actors: Vec<Actor<'_>> = planners.iter().map(|planner| planner as Actor<'_>).collect();
            settle(&mut self.house, now, &actors);
            self.house.run_pods();
            self.house.finish_terminations();
        }
    }

    fn images(&self) -> Vec<String> {
        let image =
            |pod: &Arc<Pod>| pod.spec.as_ref().and_then(|spec| spec.containers[0].image.clone()).unwrap_or_default();
        self.pods().iter().map(image).collect()
    }
}

const SEEDS: u64 = 60;

#[test]
fn deployments_come_through() {
    for seed in 0..SEEDS {
        let mut storm = Storm::new(seed, DEPLOYMENT, &[samples::deployments, samples::replica_sets]);
        let (mut wished, mut image) = (4, "web:1".to_owned());
        for _ in 0..150 {
            match storm.dice.roll(12) {
                0 => wished = i32::try_from(storm.dice.roll(7)).unwrap_or_default(),
                1 => image = format!("web:{}", storm.dice.roll(4)),
                _ => storm.weather(),
            }
            storm.house.change::<Deployment>("default", "web", |deployment| {
                let spec = deployment.spec.get_or_insert_default();
                spec.replicas = Some(wished);
                spec.template.spec.get_or_insert_default().containers[0].image = Some(image.clone());
            });
        }
        storm.calm();
        assert_eq!(storm.images(), vec![image; usize::try_from(wished).unwrap_or_default()], "seed {seed}");
        let status = storm.house.expect::<Deployment>("default", "web").status.clone().unwrap_or_default();
        assert_eq!(status.available_replicas.unwrap_or_default(), wished, "seed {seed}");
    }
}

#[test]
fn stateful_sets_come_through() {
    for seed in 0..SEEDS {
        let yaml =
            if seed % 2 == 0 { STATEFUL_SET.to_owned() } else { STATEFUL_SET.replace("OrderedReady", "Parallel") };
        let mut storm = Storm::new(seed, &yaml, &[samples::stateful_sets]);
        let (mut wished, mut image) = (3, "db:1".to_owned());
        for _ in 0..150 {
            match storm.dice.roll(12) {
                0 => wished = i32::try_from(storm.dice.roll(5)).unwrap_or_default(),
                1 => image = format!("db:{}", storm.dice.roll(4)),
                _ => storm.weather(),
            }
            storm.house.change::<StatefulSet>("default", "db", |set| {
                let spec = set.spec.get_or_insert_default();
                spec.replicas = Some(wished);
                spec.template.spec.get_or_insert_default().containers[0].image = Some(image.clone());
            });
            // The claims of a pod that was scaled away belong to it, and the garbage collector takes them.
            orphaned_claims(&mut storm);
        }
        for _ in 0..5 {
            storm.calm();
            orphaned_claims(&mut storm);
        }
        assert_eq!(storm.images(), vec![image; usize::try_from(wished).unwrap_or_default()], "seed {seed}");
        let names: Vec<String> = storm.pods().iter().map(|pod| meta::name(&pod.metadata).to_owned()).collect();
        assert_eq!(names, (0..wished).map(|ordinal| format!("db-{ordinal}")).collect::<Vec<_>>(), "seed {seed}");
    }
}

fn orphaned_claims(storm: &mut Storm) {
    let claims: &dyn View<typed::api::core::v1::PersistentVolumeClaim> = &storm.house;
    let alive: Vec<String> = storm.pods().iter().map(|pod| meta::uid(&pod.metadata).to_owned()).collect();
    let lost = |owner: &typed::meta::OwnerReference| owner.kind == "Pod" && !alive.contains(&owner.uid);
    let orphaned = claims.all().into_iter().filter(|claim| claim.metadata.owner_references.iter().flatten().any(lost));
    for claim in orphaned.collect::<Vec<_>>() {
        storm.house.vanish::<typed::api::core::v1::PersistentVolumeClaim>("default", meta::name(&claim.metadata));
    }
}

#[test]
fn daemon_sets_come_through() {
    for seed in 0..SEEDS {
        let surge = DAEMON_SET.replace("{maxSurge: 0, maxUnavailable: 1}", "{maxSurge: 1, maxUnavailable: 0}");
        let yaml = if seed % 2 == 0 { DAEMON_SET } else { &surge };
        let mut storm = Storm::new(seed, yaml, &[samples::daemon_sets]);
        ["n1", "n2", "n3"].into_iter().for_each(|name| storm.house.add_yaml(&node(name)));
        let mut image = "agent:1".to_owned();
        for _ in 0..120 {
            match storm.dice.roll(12) {
                0 => image = format!("agent:{}", storm.dice.roll(4)),
                _ => storm.weather(),
            }
            storm.house.change::<DaemonSet>("default", "agent", |set| {
                let spec = set.spec.get_or_insert_default();
                spec.template.spec.get_or_insert_default().containers[0].image = Some(image.clone());
            });
        }
        storm.calm();
        assert_eq!(storm.images(), vec![image; 3], "seed {seed}");
    }
}

#[test]
fn jobs_count_every_success_exactly_once() {
    for seed in 0..SEEDS {
        let indexed = seed % 2 == 1;
        let mode = if indexed { "Indexed" } else { "NonIndexed" };
        let yaml = JOB
            .replace("NonIndexed", mode)
            .replace("completions: 3", "completions: 8")
            .replace("backoffLimit: 2", "backoffLimit: 1000");
        let mut storm = Storm::new(seed, &yaml, &[samples::jobs]);
        let mut succeeded = 0;
        for _ in 0..250 {
            let ends = storm.dice.roll(6);
            let running = |pod: &Pod| pods::is_active(pod) && pods::phase(pod) == "Running";
            match (ends, storm.pick(running)) {
                (0, Some(pod)) => {
                    storm.house.end_pods("Succeeded", 0, |one| one.metadata.uid == pod.metadata.uid);
                    succeeded += 1;
                }
                (1, Some(pod)) => storm.house.end_pods("Failed", 1, |one| one.metadata.uid == pod.metadata.uid),
                _ => storm.weather(),
            }
        }
        for _ in 0..20 {
            let before = storm.pods().iter().filter(|pod| pods::is_active(pod)).count();
            storm.house.run_pods();
            storm.house.end_pods("Succeeded", 0, pods::is_active);
            succeeded += i32::try_from(before).unwrap_or_default();
            storm.calm_once();
        }
        let status = storm.house.expect::<Job>("default", "sum").status.clone().unwrap_or_default();
        let conditions: Vec<String> =
            status.conditions.iter().flatten().map(|condition| condition.type_.clone()).collect();
        assert!(conditions.contains(&"Complete".to_owned()), "seed {seed}: {conditions:?}");
        match indexed {
            true => assert_eq!(status.completed_indexes.as_deref(), Some("0-7"), "seed {seed}"),
            false => assert_eq!(status.succeeded, Some(succeeded), "seed {seed}"),
        }
        let held = storm.pods().iter().filter(|pod| meta::has_finalizer(&pod.metadata, crate::job::TRACKING)).count();
        assert_eq!(held, 0, "seed {seed}");
    }
}

impl Storm {
    fn calm_once(&mut self) {
        self.seconds += 700;
        let now = at(self.seconds);
        self.house.now = Some(now);
        let planner = self.planners[0];
        settle(&mut self.house, now, &[&planner]);
        self.house.finish_terminations();
        settle(&mut self.house, now, &[&planner]);
    }
}
