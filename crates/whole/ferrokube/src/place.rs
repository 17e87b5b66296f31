//! Where a cluster lives on this machine: the layout of its folders.

use std::path::{Path, PathBuf};

use crate::cli::PlaceOptions;

const DATA_DIR: &str = "/var/lib/ferrokube";
const RUN_DIR: &str = "/run/ferrokube";
const KUBERNETES_DIR: &str = "/etc/kubernetes";

/// The folders of one cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    /// State that outlives the machine's boot.
    pub(crate) data_dir: PathBuf,
    /// Sockets and mounts that do not.
    pub(crate) run_dir: PathBuf,
    /// Certificates (`pki`) and kubeconfigs.
    pub(crate) kubernetes_dir: PathBuf,
    /// The administrator's kubeconfig.
    pub(crate) kubeconfig: PathBuf,
    /// Whether it is the machine's one cluster in the usual folders.
    pub(crate) is_usual: bool,
}

impl Place {
    /// The place that `options` name, for the user of this process.
    pub(crate) fn of(options: &PlaceOptions) -> Place {
        let is_root = nix::unistd::geteuid().is_root();
        let home = env::process::variable("HOME");
        Place::choose(options, is_root, home.as_deref())
    }

    fn choose(options: &PlaceOptions, is_root: bool, home: Option<&str>) -> Place {
        let data_dir = match (&options.data_dir, is_root, home) {
            (Some(folder), ..) => std::path::absolute(folder).unwrap_or_else(|_| folder.clone()),
            (None, false, Some(home)) => Path::new(home).join(".local/share/ferrokube"),
            _ => PathBuf::from(DATA_DIR),
        };
        let is_usual = data_dir == Path::new(DATA_DIR);
        let (run_dir, kubernetes_dir) = if is_usual {
            (PathBuf::from(RUN_DIR), PathBuf::from(KUBERNETES_DIR))
        } else {
            (data_dir.join("run"), data_dir.join("kubernetes"))
        };
        let kubeconfig = options.kubeconfig.clone().unwrap_or_else(|| kubernetes_dir.join("admin.conf"));
        Place { data_dir, run_dir, kubernetes_dir, kubeconfig, is_usual }
    }

    /// Certificates and keys.
    pub(crate) fn pki(&self) -> PathBuf {
        self.kubernetes_dir.join("pki")
    }

    /// The embedded store's file.
    pub(crate) fn store(&self) -> PathBuf {
        self.data_dir.join("store.redb")
    }

    /// Held by the running instance; its text is that instance's process id.
    pub(crate) fn lock(&self) -> PathBuf {
        self.data_dir.join("lock")
    }

    /// What the last `up` was told.
    pub(crate) fn record(&self) -> PathBuf {
        self.data_dir.join("cluster.json")
    }

    /// What a detached instance says.
    pub(crate) fn log(&self) -> PathBuf {
        self.data_dir.join("ferrokube.log")
    }

    /// The own containerd's lasting state and configuration.
    pub(crate) fn containerd_root(&self) -> PathBuf {
        self.data_dir.join("containerd")
    }

    /// The own containerd's passing state: mounts, namespaces, bundles.
    pub(crate) fn containerd_state(&self) -> PathBuf {
        self.run_dir.join("containerd")
    }

    /// The own containerd's socket.
    pub(crate) fn containerd_socket(&self) -> PathBuf {
        self.containerd_state().join("containerd.sock")
    }

    /// Network plugins.
    pub(crate) fn cni_bin(&self) -> PathBuf {
        self.data_dir.join("cni/bin")
    }

    /// Network configurations.
    pub(crate) fn cni_conf(&self) -> PathBuf {
        self.data_dir.join("cni/net.d")
    }

    /// The kubelet's state.
    pub(crate) fn kubelet_root(&self) -> PathBuf {
        if self.is_usual { PathBuf::from("/var/lib/kubelet") } else { self.data_dir.join("kubelet") }
    }

    /// The cgroup below which this cluster's pods are, and nobody else's.
    pub(crate) fn cgroup_root(&self) -> String {
        if self.is_usual {
            return "ferrokube".to_owned();
        }
        let digest = pki::sha256(self.data_dir.as_os_str().as_encoded_bytes());
        let [a, b, c, d, ..] = digest;
        format!("ferrokube-{a:02x}{b:02x}{c:02x}{d:02x}")
    }
}

#[cfg(test)]
mod tests;
