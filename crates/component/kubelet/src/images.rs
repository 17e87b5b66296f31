//! Images: present or pulled, with back-off, one at a time or as many as allowed.

pub(crate) mod credentials;

use std::collections::BTreeMap;
use std::sync::Arc;

use cri::v1::{AuthConfig, Image, ImageSpec};
use cri::{ImagePull, Runtime};
use parking_lot::Mutex;
use podplan::Held;
use podplan::backoff::BackOffs;
use podplan::images::{self, Choice};
use tokio::sync::Semaphore;
use typed::api::core::v1::{Container, Pod, Secret};

use crate::api::Api;
use crate::config::Config;
use crate::events::{Notice, Recorder};

/// Gets images for containers.
#[derive(Debug)]
pub(crate) struct Images {
    runtime: Arc<dyn Runtime>,
    api: Arc<dyn Api>,
    recorder: Arc<Recorder>,
    config: Arc<Config>,
    pulls: Semaphore,
    failures: Mutex<Failures>,
}

#[derive(Debug, Default)]
struct Failures {
    back_offs: BackOffs,
    last: BTreeMap<String, (jiff::Timestamp, String)>,
}

impl Images {
    pub(crate) fn new(
        runtime: Arc<dyn Runtime>,
        api: Arc<dyn Api>,
        recorder: Arc<Recorder>,
        config: Arc<Config>,
    ) -> Images {
        let pulls = Semaphore::new(config.image_pulls_max.max(1));
        Images { runtime, api, recorder, config, pulls, failures: Mutex::default() }
    }

    /// Makes sure that the container's image is there; `Err` says why the container waits.
    pub(crate) async fn ensure(&self, pod: &Pod, container: &Container) -> Result<(ImageSpec, Image), Held> {
        let asked = container.image.clone().unwrap_or_default();
        let now = env::time::now();
        let again = |seconds| now.saturating_add(jiff::SignedDuration::from_secs(seconds)).unwrap_or(now);
        images::check(&asked).map_err(|message| {
            self.tell(pod, container, Notice::warning("InspectFailed", &message));
            Held { reason: "InvalidImageName".to_owned(), message, until: again(60) }
        })?;
        let spec =
            ImageSpec { image: images::normalized(&asked), user_specified_image: asked.clone(), ..Default::default() };
        let present = self.runtime.image_status(spec.clone()).await.map_err(|failure| {
            let message = format!("Failed to inspect image \"{asked}\": {failure}");
            self.tell(pod, container, Notice::warning("InspectFailed", &message));
            Held { reason: "ImageInspectError".to_owned(), message, until: again(10) }
        })?;
        match images::choose(container.image_pull_policy.as_deref(), &asked, present.is_some()) {
            Choice::Use => {
                self.tell(pod, container, Notice::normal("Pulled", &images::present_message(&asked)));
                Ok((spec, present.unwrap_or_default()))
            }
            Choice::Refuse => {
                let message = images::never_message(&asked);
                self.tell(pod, container, Notice::warning("ErrImageNeverPull", &message));
                Err(Held { reason: "ErrImageNeverPull".to_owned(), message, until: again(10) })
            }
            Choice::Pull => self.pull(pod, container, asked, spec).await,
        }
    }

    async fn pull(
        &self,
        pod: &Pod,
        container: &Container,
        asked: String,
        spec: ImageSpec,
    ) -> Result<(ImageSpec, Image), Held> {
        let key = format!("{}_{asked}", pod.metadata.uid.as_deref().unwrap_or_default());
        if let Some(held) = self.backing_off(&key, &asked) {
            let event = format!("Back-off pulling image \"{asked}\"");
            self.tell(pod, container, Notice::normal("BackOff", &event));
            return Err(held);
        }
        let secrets = self.pull_secrets(pod).await;
        let credentials = credentials::matching(&asked, &secrets).map_err(|problem| {
            self.tell(pod, container, Notice::warning("Failed", &format!("Error: {problem}")));
            self.held_back(&key, problem.clone(), problem.clone(), problem)
        })?;
        let queued = env::time::Instant::now();
        let permit = self.pulls.acquire().await;
        let waiting = queued.elapsed();
        self.tell(pod, container, Notice::normal("Pulling", &format!("Pulling image \"{asked}\"")));
        let started = env::time::Instant::now();
        let answer = self.pull_with_any(credentials, &spec).await;
        drop(permit);
        let found = match answer {
            Ok(_reference) => self.runtime.image_status(spec.clone()).await,
            Err(failure) => Err(failure),
        };
        match found {
            Ok(image) => {
                let image = image.unwrap_or_default();
                let signed = |duration| jiff::SignedDuration::try_from(duration).unwrap_or_default();
                let message = images::pulled_message(&asked, signed(started.elapsed()), signed(waiting), image.size);
                self.tell(pod, container, Notice::normal("Pulled", &message));
                self.failures.lock().back_offs.forget(&key);
                Ok((spec, image))
            }
            Err(failure) => Err(self.failed(pod, container, &key, &failure.to_string())),
        }
    }

    /// Pulls with each of the credentials that are meant for the image, or with none; the last failure counts.
    async fn pull_with_any(&self, credentials: Vec<AuthConfig>, spec: &ImageSpec) -> Result<String, cri::Failure> {
        let mut all: Vec<_> = credentials.into_iter().map(Some).collect();
        if all.is_empty() {
            all.push(None);
        }
        let mut failure = None;
        for auth in all {
            let limit = self.config.image_pull_limit;
            let pull = ImagePull { image: spec.clone(), auth, sandbox_config: None, limit };
            match self.runtime.image_pull(pull).await {
                Ok(reference) => return Ok(reference),
                Err(next) => failure = Some(next),
            }
        }
        Err(failure.expect("at least one pull was tried"))
    }

    async fn pull_secrets(&self, pod: &Pod) -> Vec<Arc<Secret>> {
        let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
        let (mut found, mut missing) = (Vec::new(), Vec::new());
        for reference in pod.spec.iter().flat_map(|spec| spec.image_pull_secrets.iter().flatten()) {
            match self.api.secret(namespace, &reference.name).await {
                Ok(secret) => found.push(secret),
                Err(error) => {
                    tracing::warn!(secret = reference.name, %error, "a pull secret cannot be read");
                    missing.push(reference.name.as_str());
                }
            }
        }
        if !missing.is_empty() {
            let message = format!(
                "Unable to retrieve some image pull secrets ({}); attempting to pull the image may not succeed.",
                missing.join(", ")
            );
            self.recorder.tell(pod, None, Notice::warning("FailedToRetrieveImagePullSecret", &message));
        }
        found
    }

    fn backing_off(&self, key: &str, asked: &str) -> Option<Held> {
        let failures = self.failures.lock();
        let (failed_at, failure) = failures.last.get(key)?;
        let (until, _) = failures.back_offs.until(key, *failed_at, self.config.image_pull)?;
        let held =
            Held { reason: "ImagePullBackOff".to_owned(), message: images::back_off_message(asked, failure), until };
        (until > env::time::now()).then_some(held)
    }

    fn failed(&self, pod: &Pod, container: &Container, key: &str, failure: &str) -> Held {
        let asked = container.image.as_deref().unwrap_or_default();
        let message = format!("failed to pull and unpack image \"{asked}\": {failure}");
        self.tell(pod, container, Notice::warning("Failed", &format!("Failed to pull image \"{asked}\": {failure}")));
        self.tell(pod, container, Notice::warning("Failed", "Error: ErrImagePull"));
        self.held_back(key, "ErrImagePull".to_owned(), failure.to_owned(), message)
    }

    /// The next try is later than the one before; until then the container waits for `reason`.
    fn held_back(&self, key: &str, reason: String, failure: String, message: String) -> Held {
        let now = env::time::now();
        let mut failures = self.failures.lock();
        failures.back_offs.lengthen(key, now, now, self.config.image_pull);
        failures.last.insert(key.to_owned(), (now, failure));
        // The plan comes back at once and then says that it backs off, as upstream's next sync does.
        let soon = now.saturating_add(jiff::SignedDuration::from_secs(1)).unwrap_or(now);
        Held { reason, message, until: soon }
    }

    fn tell(&self, pod: &Pod, container: &Container, notice: Notice<'_>) {
        self.recorder.tell(pod, Some(&container.name), notice);
    }
}
