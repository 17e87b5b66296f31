//! The command line.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// A whole Kubernetes cluster in one program.
#[derive(Debug, Parser)]
#[command(name = "ferrokube", disable_version_flag = true)]
pub(crate) struct Arguments {
    /// How much is logged: 4 is debugging, 6 is everything.
    #[arg(short = 'v', long = "v", global = true, default_value_t = 0, value_name = "LEVEL")]
    pub(crate) verbosity: u8,
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Brings this machine up as a cluster and keeps it running; a cluster that was here before goes on.
    Up(Box<UpOptions>),
    /// Stops the cluster and takes back everything it made, except its data.
    Down(DownOptions),
    /// Says what is healthy and, where something is not, why. Fails unless everything is.
    Status(PlaceOptions),
    /// The images that this program is.
    Image {
        #[command(subcommand)]
        verb: ImageVerb,
    },
    /// Shows a Deployment answering through its Service and its node port.
    Demo(PlaceOptions),
    /// Inside pods: the cluster's name service.
    Dns(DnsOptions),
    /// Inside pods: holds a pod's namespaces.
    Pause,
    /// Inside pods: a web server that tells who answers.
    Web(WebOptions),
    /// Prints the version.
    Version,
}

/// Where a cluster lives. Several live side by side when these differ.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct PlaceOptions {
    /// Where everything is kept. By default /var/lib/ferrokube, with certificates and kubeconfigs in /etc/kubernetes;
    /// for users other than root .local/share/ferrokube in their home, with everything inside.
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// The administrator's kubeconfig, by default /etc/kubernetes/admin.conf.
    #[arg(long, value_name = "FILE")]
    pub(crate) kubeconfig: Option<PathBuf>,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct UpOptions {
    #[command(flatten)]
    pub(crate) place: PlaceOptions,
    /// The address that the API listens on; by default all.
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) bind_address: Option<IpAddr>,
    /// The port that the API listens on.
    #[arg(long, value_name = "PORT", default_value_t = 6443)]
    pub(crate) secure_port: u16,
    /// The port on this machine's loopback where the scheduler says how it is; 0 for none. By default 10259, and none with
    /// another folder than the usual one.
    #[arg(long, value_name = "PORT")]
    pub(crate) scheduler_secure_port: Option<u16>,
    /// The same for the controllers; by default 10257.
    #[arg(long, value_name = "PORT")]
    pub(crate) controller_manager_secure_port: Option<u16>,
    /// What to start, by name; by default everything.
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub(crate) components: Vec<String>,
    /// The node's name; by default the machine's.
    #[arg(long, value_name = "NAME")]
    pub(crate) node_name: Option<String>,
    /// The cluster's addresses for pods.
    #[arg(long, value_name = "RANGE", default_value = "10.244.0.0/16")]
    pub(crate) pod_network_cidr: String,
    /// The cluster's addresses for Services.
    #[arg(long, value_name = "RANGE", default_value = "10.96.0.0/12")]
    pub(crate) service_cidr: String,
    /// A running container runtime to use instead of an own containerd: unix:///run/containerd/containerd.sock.
    #[arg(long, value_name = "SOCKET")]
    pub(crate) container_runtime_endpoint: Option<String>,
    /// Returns when the cluster is ready and leaves it running in the background.
    #[arg(long)]
    pub(crate) detach: bool,
    /// The process that `--detach` leaves behind.
    #[arg(long, hide = true)]
    pub(crate) in_background: bool,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct DownOptions {
    #[command(flatten)]
    pub(crate) place: PlaceOptions,
    /// Forgets the cluster: its data, certificates, kubeconfigs and images go too.
    #[arg(long)]
    pub(crate) purge: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ImageVerb {
    /// Prints the names and ids of the images.
    List,
    /// Writes the images as an OCI archive.
    Save {
        /// The archive.
        file: PathBuf,
    },
    /// Puts the images into a containerd.
    Import {
        #[command(flatten)]
        place: PlaceOptions,
        /// The containerd's socket, by default that of the cluster on this machine.
        #[arg(long, value_name = "SOCKET")]
        address: Option<PathBuf>,
    },
}

#[derive(Debug, Clone, Args)]
pub(crate) struct WebOptions {
    /// The port to listen on.
    #[arg(long, default_value_t = 8080)]
    pub(crate) port: u16,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct DnsOptions {
    /// The Corefile; without one, kubeadm's holds.
    #[arg(long, value_name = "FILE")]
    pub(crate) conf: Option<PathBuf>,
    /// The addresses of this name service.
    #[arg(long)]
    pub(crate) own_address: Vec<IpAddr>,
}
