//! What probes found of a pod, and whether there is more of it than the last plan knew.

use podplan::probe::Findings;
use tokio::sync::watch;

/// Probes write, plans read. Whatever was not read by the last plan ends the rest behind it, also what came before that
/// rest began: a verdict is told once, and one that is slept through leaves a pod unready for good.
#[derive(Debug)]
pub(super) struct Verdicts {
    found: watch::Sender<Findings>,
    planned: watch::Receiver<Findings>,
}

impl Default for Verdicts {
    fn default() -> Verdicts {
        let (found, planned) = watch::channel(Findings::default());
        Verdicts { found, planned }
    }
}

impl Verdicts {
    /// Where probes write.
    pub(super) fn board(&self) -> &watch::Sender<Findings> {
        &self.found
    }

    /// All that is known, for a plan.
    pub(super) fn for_plan(&mut self) -> Findings {
        self.planned.borrow_and_update().clone()
    }

    /// Waits until more is known than the last plan knew.
    pub(super) async fn news(&mut self) {
        // The board's writer is ours, so waiting ends with news and nothing else.
        if self.planned.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;
    use podplan::probe::Kind;

    use super::*;

    #[test]
    fn what_is_found_between_a_plan_and_its_rest_ends_the_rest() {
        let mut verdicts = Verdicts::default();
        assert_eq!(verdicts.for_plan().get("c1", Kind::Readiness), None);
        verdicts.board().send_modify(|found| found.set("c1", Kind::Readiness, true));
        assert!(verdicts.news().now_or_never().is_some(), "the verdict is slept through");
        assert_eq!(verdicts.for_plan().get("c1", Kind::Readiness), Some(true));
        assert!(verdicts.news().now_or_never().is_none(), "what a plan knew is no news");
    }
}
