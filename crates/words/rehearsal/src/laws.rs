//! The laws that every planner owes.

use jiff::Timestamp;
use plan::{Action, Plan};

use crate::{Playhouse, script};

/// A planner together with the keys it is responsible for in a rehearsal.
pub type Actor<'a> = &'a dyn Fn(&Playhouse, Timestamp) -> Vec<Plan>;

/// Plays the actors in turn until nobody wants to write; the rounds it took. Panics if they never agree.
pub fn settle(house: &mut Playhouse, now: Timestamp, actors: &[Actor<'_>]) -> usize {
    for round in 0..200 {
        let mut writes = 0;
        for actor in actors {
            for plan in actor(house, now) {
                let outcome = house.play(&plan);
                writes += outcome.writes;
                assert_eq!(outcome.empty_writes, 0, "a planner wrote what was there already:\n{}", script(&plan));
            }
        }
        if writes == 0 {
            return round;
        }
    }
    let wishes: Vec<String> = actors.iter().flat_map(|actor| actor(house, now)).map(|plan| script(&plan)).collect();
    panic!("no agreement after 200 rounds; still wanted:\n{}", wishes.join("\n"));
}

/// Checks the laws from a starting cluster, and returns the cluster at rest.
///
/// *Convergence*: the actors come to rest. *Fixed point*: at rest nobody wants to write. *Order-blind*: another order of the
/// same actors comes to the same objects apart from names made by the server. *Stale-safe*: the first plans, played on the
/// settled cluster, are refused or change nothing that identity or revision protects.
pub fn laws_hold(start: &Playhouse, now: Timestamp, actors: &[Actor<'_>]) -> Playhouse {
    let mut house = start.clone();
    settle(&mut house, now, actors);
    for plan in actors.iter().flat_map(|actor| actor(&house, now)) {
        assert!(plan.stages.is_empty(), "at rest, and yet:\n{}", script(&plan));
    }
    let mut other = start.clone();
    let reversed: Vec<Actor<'_>> = actors.iter().rev().copied().collect();
    settle(&mut other, now, &reversed);
    assert_eq!(census(&house), census(&other), "the order of wake-ups must not matter");
    let mut late = house.clone();
    for plan in actors.iter().flat_map(|actor| actor(start, now)) {
        for stage in &plan.stages {
            for step in stage.steps.iter().filter(|step| matches!(step.action, Action::Update { .. })) {
                let alone =
                    Plan { stages: vec![plan::Stage { steps: vec![step.clone()], always: false }], ..Plan::default() };
                let outcome = late.play(&alone);
                let harmless = outcome.refusal.is_some() || outcome.writes == 0;
                assert!(
                    harmless || !changed_since(start, &house, &step.action),
                    "a stale plan was accepted:\n{}",
                    script(&alone)
                );
            }
        }
    }
    house
}

fn changed_since(start: &Playhouse, rest: &Playhouse, action: &Action) -> bool {
    let Action::Update { object, .. } = action else { return false };
    let revision = |house: &Playhouse| {
        house
            .objects()
            .find(|o| o.resource() == object.resource() && plan::meta::uid(o.meta()) == plan::meta::uid(object.meta()))
            .and_then(|o| o.meta().resource_version.clone())
    };
    revision(start) != revision(rest)
}

/// How many objects of each kind there are, with given names and generated prefixes.
fn census(house: &Playhouse) -> Vec<String> {
    let mut all: Vec<String> = house
        .objects()
        .map(|object| {
            let about = object.meta();
            let name = about.generate_name.clone().unwrap_or_else(|| plan::meta::name(about).to_owned());
            let leaving = if plan::meta::is_deleting(about) { " leaving" } else { "" };
            format!("{} {}/{name}{leaving}", object.resource().kind, plan::meta::namespace(about))
        })
        .collect();
    all.sort();
    all
}
