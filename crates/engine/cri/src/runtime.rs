//! What a node needs of a container runtime.

use std::fmt::Debug;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use futures::Stream;

use crate::Failure;
use crate::v1::{
    AttachRequest, AuthConfig, Container, ContainerConfig, ContainerEventResponse, ContainerFilter, ContainerStats,
    ContainerStatsFilter, ContainerStatusResponse, ExecRequest, ExecSyncResponse, Image, ImageFsInfoResponse,
    ImageSpec, LinuxContainerResources, PodSandbox, PodSandboxConfig, PodSandboxFilter, PodSandboxStats,
    PodSandboxStatsFilter, PodSandboxStatusResponse, PortForwardRequest, RuntimeConfigResponse, StatusResponse,
    VersionResponse,
};

/// The future of a call.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, Failure>> + Send + 'a>>;

/// Container events as they happen, until the connection ends.
pub type EventStream = Pin<Box<dyn Stream<Item = Result<ContainerEventResponse, Failure>> + Send>>;

/// A container runtime: sandboxes, containers in them, and images.
///
/// Names start with the noun; each method is the CRI call of the same words turned around. All ids are the runtime's.
pub trait Runtime: Debug + Send + Sync {
    /// Name and version of the runtime.
    fn version(&self) -> Answer<'_, VersionResponse>;
    /// Its conditions (`RuntimeReady`, `NetworkReady`), handlers and features; `verbose` adds its configuration.
    fn status(&self, verbose: bool) -> Answer<'_, StatusResponse>;
    /// Its cgroup driver. Runtimes before CRI 1.28 answer [`Failure::Unimplemented`].
    fn config(&self) -> Answer<'_, RuntimeConfigResponse>;
    /// Tells the node's pod address range.
    fn network_config(&self, pod_cidr: String) -> Answer<'_, ()>;

    /// Creates and starts a sandbox; the answer is its id.
    fn sandbox_run(&self, config: PodSandboxConfig, handler: String) -> Answer<'_, String>;
    /// Stops everything in a sandbox and gives its network back. May be repeated.
    fn sandbox_stop(&self, id: String) -> Answer<'_, ()>;
    /// Removes a sandbox with its containers. May be repeated.
    fn sandbox_remove(&self, id: String) -> Answer<'_, ()>;
    /// One sandbox in full; `verbose` adds what the runtime knows beyond the CRI, as JSON texts.
    fn sandbox_status(&self, id: String, verbose: bool) -> Answer<'_, PodSandboxStatusResponse>;
    /// The sandboxes that pass the filter, in no order.
    fn sandbox_list(&self, filter: PodSandboxFilter) -> Answer<'_, Vec<PodSandbox>>;
    /// Changes the resources of a running sandbox.
    fn sandbox_resources(&self, id: String, resources: LinuxContainerResources) -> Answer<'_, ()>;
    /// Usage of the sandboxes that pass the filter.
    fn sandbox_stats(&self, filter: PodSandboxStatsFilter) -> Answer<'_, Vec<PodSandboxStats>>;

    /// Creates a container in a sandbox; the answer is its id.
    fn container_create(&self, request: ContainerCreation) -> Answer<'_, String>;
    /// Starts a created container.
    fn container_start(&self, id: String) -> Answer<'_, ()>;
    /// Sends the stop signal, and after `grace` the kill signal. Answers when the container has ended.
    fn container_stop(&self, id: String, grace: Duration) -> Answer<'_, ()>;
    /// Removes a container, running or not. May be repeated.
    fn container_remove(&self, id: String) -> Answer<'_, ()>;
    /// One container in full; `verbose` adds what the runtime knows beyond the CRI, as JSON texts.
    fn container_status(&self, id: String, verbose: bool) -> Answer<'_, ContainerStatusResponse>;
    /// The containers that pass the filter, in no order.
    fn container_list(&self, filter: ContainerFilter) -> Answer<'_, Vec<Container>>;
    /// Changes the resources of a running container.
    fn container_resources(&self, id: String, resources: LinuxContainerResources) -> Answer<'_, ()>;
    /// Makes the runtime open the container's log path anew, after the old file was moved away.
    fn container_log_reopen(&self, id: String) -> Answer<'_, ()>;
    /// Usage of the containers that pass the filter.
    fn container_stats(&self, filter: ContainerStatsFilter) -> Answer<'_, Vec<ContainerStats>>;
    /// Runs a command in a container and collects its output. A `limit` of zero means the default of the transport.
    fn container_exec_sync(&self, id: String, command: Vec<String>, limit: Duration) -> Answer<'_, ExecSyncResponse>;
    /// Writes a checkpoint of a running container to the file `location`.
    fn container_checkpoint(&self, id: String, location: String) -> Answer<'_, ()>;

    /// The URL at which the runtime serves the streams of a command.
    fn exec_url(&self, request: ExecRequest) -> Answer<'_, String>;
    /// The URL at which the runtime serves the streams of a running container.
    fn attach_url(&self, request: AttachRequest) -> Answer<'_, String>;
    /// The URL at which the runtime serves connections to ports of a sandbox.
    fn port_forward_url(&self, request: PortForwardRequest) -> Answer<'_, String>;

    /// All images.
    fn image_list(&self) -> Answer<'_, Vec<Image>>;
    /// An image; `None` when it is absent.
    fn image_status(&self, image: ImageSpec) -> Answer<'_, Option<Image>>;
    /// Pulls an image; the answer is its reference in the runtime.
    fn image_pull(&self, pull: ImagePull) -> Answer<'_, String>;
    /// Removes an image. May be repeated.
    fn image_remove(&self, image: ImageSpec) -> Answer<'_, ()>;
    /// Usage of the file systems that hold images and containers.
    fn image_filesystems(&self) -> Answer<'_, ImageFsInfoResponse>;

    /// Container events from now on. containerd before 1.7 answers [`Failure::Unimplemented`].
    fn events(&self) -> Answer<'_, EventStream>;
}

/// A container to create.
#[derive(Debug, Clone)]
pub struct ContainerCreation {
    /// The sandbox's id.
    pub sandbox: String,
    /// The container.
    pub config: ContainerConfig,
    /// The configuration that the sandbox was run with.
    pub sandbox_config: PodSandboxConfig,
}

/// An image to pull.
#[derive(Debug, Clone)]
pub struct ImagePull {
    /// What to pull.
    pub image: ImageSpec,
    /// With which credentials; `None` for an anonymous pull.
    pub auth: Option<AuthConfig>,
    /// For which sandbox, where that matters to the runtime.
    pub sandbox_config: Option<PodSandboxConfig>,
    /// How long it may take.
    pub limit: Duration,
}
