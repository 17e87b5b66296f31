//! A runtime behind a Unix socket.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures::StreamExt;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Response, Status};

use crate::Failure;
use crate::connector::UnixConnector;
use crate::runtime::{Answer, ContainerCreation, EventStream, ImagePull, Runtime};
use crate::v1::image_service_client::ImageServiceClient;
use crate::v1::runtime_service_client::RuntimeServiceClient;
use crate::v1::{
    AttachRequest, CheckpointContainerRequest, Container, ContainerFilter, ContainerStats, ContainerStatsFilter,
    ContainerStatusRequest, ContainerStatusResponse, CreateContainerRequest, ExecRequest, ExecSyncRequest,
    ExecSyncResponse, GetEventsRequest, Image, ImageFsInfoRequest, ImageFsInfoResponse, ImageSpec, ImageStatusRequest,
    LinuxContainerResources, ListContainerStatsRequest, ListContainersRequest, ListImagesRequest,
    ListPodSandboxRequest, ListPodSandboxStatsRequest, NetworkConfig, PodSandbox, PodSandboxConfig, PodSandboxFilter,
    PodSandboxStats, PodSandboxStatsFilter, PodSandboxStatusRequest, PodSandboxStatusResponse, PortForwardRequest,
    PullImageRequest, RemoveContainerRequest, RemoveImageRequest, RemovePodSandboxRequest, ReopenContainerLogRequest,
    RunPodSandboxRequest, RuntimeConfig, RuntimeConfigRequest, RuntimeConfigResponse, StartContainerRequest,
    StatusRequest, StatusResponse, StopContainerRequest, StopPodSandboxRequest, UpdateContainerResourcesRequest,
    UpdatePodSandboxResourcesRequest, UpdateRuntimeConfigRequest, VersionRequest, VersionResponse,
};

/// The largest answer that is taken. A list of 500 pods with long annotations stays below.
const ANSWER_BYTES_MAX: usize = 16 << 20;

/// How long calls may take.
#[derive(Debug, Clone, Copy)]
pub struct TimeLimits {
    /// For questions and small changes (`runtimeRequestTimeout`, 2 min).
    pub call: Duration,
    /// For the creation and the stop of sandboxes, which run network plugins.
    pub sandbox: Duration,
}

impl Default for TimeLimits {
    fn default() -> TimeLimits {
        TimeLimits { call: Duration::from_secs(120), sandbox: Duration::from_secs(240) }
    }
}

/// A runtime behind a Unix socket. Connects when first used and again after the connection broke.
#[derive(Debug, Clone)]
pub struct Remote {
    socket: PathBuf,
    runtime: RuntimeServiceClient<Channel>,
    images: ImageServiceClient<Channel>,
    limits: TimeLimits,
}

impl Remote {
    /// A runtime at `socket`, a path with or without the scheme `unix://`.
    ///
    /// Must be called inside a tokio runtime. Nothing is connected yet.
    pub fn new(socket: &Path, limits: TimeLimits) -> Remote {
        let text = socket.to_string_lossy();
        let socket = PathBuf::from(text.strip_prefix("unix://").unwrap_or(&text));
        let channel = Endpoint::from_static("http://runtime")
            .connect_with_connector_lazy(UnixConnector { socket: socket.clone() });
        let runtime = RuntimeServiceClient::new(channel.clone()).max_decoding_message_size(ANSWER_BYTES_MAX);
        let images = ImageServiceClient::new(channel).max_decoding_message_size(ANSWER_BYTES_MAX);
        Remote { socket, runtime, images, limits }
    }

    /// The socket that calls go to.
    pub fn socket(&self) -> &Path {
        &self.socket
    }
}

/// Waits for an answer, at most `limit`.
async fn limited<T>(
    call: &'static str,
    limit: Duration,
    answer: impl Future<Output = Result<Response<T>, Status>> + Send,
) -> Result<T, Failure> {
    match env::time::timeout(limit, answer).await {
        Ok(Ok(response)) => Ok(response.into_inner()),
        Ok(Err(status)) => Err(Failure::of(call, &status)),
        Err(_elapsed) => Err(Failure::TimedOut { call, limit_seconds: limit.as_secs() }),
    }
}

/// That something is already gone is what a removal wanted.
fn gone_is_fine<T: Default>(answer: Result<T, Failure>) -> Result<T, Failure> {
    match answer {
        Err(failure) if failure.is_not_found() => Ok(T::default()),
        other => other,
    }
}

fn whole_seconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)
}

impl Runtime for Remote {
    fn version(&self) -> Answer<'_, VersionResponse> {
        let mut client = self.runtime.clone();
        let request = VersionRequest { version: "v1".to_owned() };
        Box::pin(async move { limited("Version", self.limits.call, client.version(request)).await })
    }

    fn status(&self, verbose: bool) -> Answer<'_, StatusResponse> {
        let mut client = self.runtime.clone();
        Box::pin(async move { limited("Status", self.limits.call, client.status(StatusRequest { verbose })).await })
    }

    fn config(&self) -> Answer<'_, RuntimeConfigResponse> {
        let mut client = self.runtime.clone();
        let request = RuntimeConfigRequest {};
        Box::pin(async move { limited("RuntimeConfig", self.limits.call, client.runtime_config(request)).await })
    }

    fn network_config(&self, pod_cidr: String) -> Answer<'_, ()> {
        let mut client = self.runtime.clone();
        let runtime_config = RuntimeConfig { network_config: Some(NetworkConfig { pod_cidr }) };
        let request = UpdateRuntimeConfigRequest { runtime_config: Some(runtime_config) };
        Box::pin(async move {
            limited("UpdateRuntimeConfig", self.limits.call, client.update_runtime_config(request)).await?;
            Ok(())
        })
    }

    fn sandbox_run(&self, config: PodSandboxConfig, handler: String) -> Answer<'_, String> {
        let mut client = self.runtime.clone();
        let request = RunPodSandboxRequest { config: Some(config), runtime_handler: handler };
        Box::pin(async move {
            let answer =
                limited("RunPodSandbox", self.limits.sandbox, Box::pin(client.run_pod_sandbox(request))).await?;
            Ok(answer.pod_sandbox_id)
        })
    }

    fn sandbox_stop(&self, id: String) -> Answer<'_, ()> {
        let mut client = self.runtime.clone();
        let request = StopPodSandboxRequest { pod_sandbox_id: id };
        Box::pin(async move {
            let answer = limited("StopPodSandbox", self.limits.sandbox, client.stop_pod_sandbox(request)).await;
            gone_is_fine(answer).map(|_| ())
        })
    }

    fn sandbox_remove(&self, id: String) -> Answer<'_, ()> {
        let mut client = self.runtime.clone();
        let request = RemovePodSandboxRequest { pod_sandbox_id: id };
        Box::pin(async move {
            let answer = limited("RemovePodSandbox", self.limits.call, client.remove_pod_sandbox(request)).await;
            gone_is_fine(answer).map(|_| ())
        })
    }

    fn sandbox_status(&self, id: String, verbose: bool) -> Answer<'_, PodSandboxStatusResponse> {
        let mut client = self.runtime.clone();
        let request = PodSandboxStatusRequest { pod_sandbox_id: id, verbose };
        Box::pin(async move { limited("PodSandboxStatus", self.limits.call, client.pod_sandbox_status(request)).await })
    }

    fn sandbox_list(&self, filter: PodSandboxFilter) -> Answer<'_, Vec<PodSandbox>> {
        let mut client = self.runtime.clone();
        let request = ListPodSandboxRequest { filter: Some(filter) };
        Box::pin(async move {
            Ok(limited("ListPodSandbox", self.limits.call, client.list_pod_sandbox(request)).await?.items)
        })
    }

    fn sandbox_resources(&self, id: String, resources: LinuxContainerResources) -> Answer<'_, ()> {
        let mut client = self.runtime.clone();
        let request =
            UpdatePodSandboxResourcesRequest { pod_sandbox_id: id, overhead: None, resources: Some(resources) };
        Box::pin(async move {
            let answer = client.update_pod_sandbox_resources(request);
            limited("UpdatePodSandboxResources", self.limits.call, answer).await?;
            Ok(())
        })
    }

    fn sandbox_stats(&self, filter: PodSandboxStatsFilter) -> Answer<'_, Vec<PodSandboxStats>> {
        let mut client = self.runtime.clone();
        let request = ListPodSandboxStatsRequest { filter: Some(filter) };
        Box::pin(async move {
            let answer = client.list_pod_sandbox_stats(request);
            Ok(limited("ListPodSandboxStats", self.limits.call, answer).await?.stats)
        })
    }

    fn container_create(&self, creation: ContainerCreation) -> Answer<'_, String> {
        let mut client = self.runtime.clone();
        let request = CreateContainerRequest {
            pod_sandbox_id: creation.sandbox,
            config: Some(creation.config),
            sandbox_config: Some(creation.sandbox_config),
        };
        Box::pin(async move {
            Ok(limited("CreateContainer", self.limits.call, Box::pin(client.create_container(request)))
                .await?
                .container_id)
        })
    }

    fn container_start(&self, id: String) -> Answer<'_, ()> {
        let mut client = self.runtime.clone();
        let request = StartContainerRequest { container_id: id };
        Box::pin(async move {
            limited("StartContainer", self.limits.call, client.start_container(request)).await?;
            Ok(())
        })
    }

    fn container_stop(&self, id: String, grace: Duration) -> Answer<'_, ()> {
        let mut client = self.runtime.clone();
        let request = StopContainerRequest { container_id: id, timeout: whole_seconds(grace) };
        Box::pin(async move {
            let limit = self.limits.call + grace;
            gone_is_fine(limited("StopContainer", limit, client.stop_container(request)).await).map(|_| ())
        })
    }

    fn container_remove(&self, id: String) -> Answer<'_, ()> {
        let mut client = self.runtime.clone();
        let request = RemoveContainerRequest { container_id: id };
        Box::pin(async move {
            let answer = limited("RemoveContainer", self.limits.call, client.remove_container(request)).await;
            gone_is_fine(answer).map(|_| ())
        })
    }

    fn container_status(&self, id: String, verbose: bool) -> Answer<'_, ContainerStatusResponse> {
        let mut client = self.runtime.clone();
        let request = ContainerStatusRequest { container_id: id, verbose };
        Box::pin(async move { limited("ContainerStatus", self.limits.call, client.container_status(request)).await })
    }

    fn container_list(&self, filter: ContainerFilter) -> Answer<'_, Vec<Container>> {
        let mut client = self.runtime.clone();
        let request = ListContainersRequest { filter: Some(filter) };
        Box::pin(async move {
            Ok(limited("ListContainers", self.limits.call, client.list_containers(request)).await?.containers)
        })
    }

    fn container_resources(&self, id: String, resources: LinuxContainerResources) -> Answer<'_, ()> {
        let mut client = self.runtime.clone();
        let request =
            UpdateContainerResourcesRequest { container_id: id, linux: Some(resources), ..Default::default() };
        Box::pin(async move {
            let answer = client.update_container_resources(request);
            limited("UpdateContainerResources", self.limits.call, answer).await?;
            Ok(())
        })
    }

    fn container_log_reopen(&self, id: String) -> Answer<'_, ()> {
        let mut client = self.runtime.clone();
        let request = ReopenContainerLogRequest { container_id: id };
        Box::pin(async move {
            limited("ReopenContainerLog", self.limits.call, client.reopen_container_log(request)).await?;
            Ok(())
        })
    }

    fn container_stats(&self, filter: ContainerStatsFilter) -> Answer<'_, Vec<ContainerStats>> {
        let mut client = self.runtime.clone();
        let request = ListContainerStatsRequest { filter: Some(filter) };
        Box::pin(async move {
            Ok(limited("ListContainerStats", self.limits.call, client.list_container_stats(request)).await?.stats)
        })
    }

    fn container_exec_sync(&self, id: String, command: Vec<String>, limit: Duration) -> Answer<'_, ExecSyncResponse> {
        let mut client = self.runtime.clone();
        let request = ExecSyncRequest { container_id: id, cmd: command, timeout: whole_seconds(limit) };
        Box::pin(async move { limited("ExecSync", self.limits.call + limit, client.exec_sync(request)).await })
    }

    fn container_checkpoint(&self, id: String, location: String) -> Answer<'_, ()> {
        let mut client = self.runtime.clone();
        let timeout = whole_seconds(self.limits.call);
        let request = CheckpointContainerRequest { container_id: id, location, timeout };
        Box::pin(async move {
            limited("CheckpointContainer", self.limits.call, client.checkpoint_container(request)).await?;
            Ok(())
        })
    }

    fn exec_url(&self, request: ExecRequest) -> Answer<'_, String> {
        let mut client = self.runtime.clone();
        Box::pin(async move { Ok(limited("Exec", self.limits.call, client.exec(request)).await?.url) })
    }

    fn attach_url(&self, request: AttachRequest) -> Answer<'_, String> {
        let mut client = self.runtime.clone();
        Box::pin(async move { Ok(limited("Attach", self.limits.call, client.attach(request)).await?.url) })
    }

    fn port_forward_url(&self, request: PortForwardRequest) -> Answer<'_, String> {
        let mut client = self.runtime.clone();
        Box::pin(async move { Ok(limited("PortForward", self.limits.call, client.port_forward(request)).await?.url) })
    }

    fn image_list(&self) -> Answer<'_, Vec<Image>> {
        let mut client = self.images.clone();
        let request = ListImagesRequest { filter: None };
        Box::pin(async move { Ok(limited("ListImages", self.limits.call, client.list_images(request)).await?.images) })
    }

    fn image_status(&self, image: ImageSpec) -> Answer<'_, Option<Image>> {
        let mut client = self.images.clone();
        let request = ImageStatusRequest { image: Some(image), verbose: false };
        Box::pin(async move {
            let answer = limited("ImageStatus", self.limits.call, client.image_status(request)).await;
            Ok(gone_is_fine(answer)?.image)
        })
    }

    fn image_pull(&self, pull: ImagePull) -> Answer<'_, String> {
        let mut client = self.images.clone();
        let request =
            PullImageRequest { image: Some(pull.image), auth: pull.auth, sandbox_config: pull.sandbox_config };
        Box::pin(
            async move { Ok(limited("PullImage", pull.limit, Box::pin(client.pull_image(request))).await?.image_ref) },
        )
    }

    fn image_remove(&self, image: ImageSpec) -> Answer<'_, ()> {
        let mut client = self.images.clone();
        let request = RemoveImageRequest { image: Some(image) };
        Box::pin(async move {
            gone_is_fine(limited("RemoveImage", self.limits.call, client.remove_image(request)).await).map(|_| ())
        })
    }

    fn image_filesystems(&self) -> Answer<'_, ImageFsInfoResponse> {
        let mut client = self.images.clone();
        let request = ImageFsInfoRequest {};
        Box::pin(async move { limited("ImageFsInfo", self.limits.call, client.image_fs_info(request)).await })
    }

    fn events(&self) -> Answer<'_, EventStream> {
        let mut client = self.runtime.clone();
        Box::pin(async move {
            let call = "GetContainerEvents";
            let request = Request::new(GetEventsRequest {});
            let stream = limited(call, self.limits.call, client.get_container_events(request)).await?;
            let events = stream.map(move |event| event.map_err(|status| Failure::of(call, &status)));
            Ok(Box::pin(events) as EventStream)
        })
    }
}
