//! The configuration file, in version 2 of its format: containerd 1.5 to 2.x read it.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use nix::mount::{MntFlags, MsFlags, mount, umount2};

/// How containers' roots are put together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Snapshotter {
    /// Layers over each other: fast and small.
    Overlay,
    /// Copies, where the kernel refuses the former (an overlay on an overlay).
    Native,
}

impl Snapshotter {
    fn name(self) -> &'static str {
        match self {
            Snapshotter::Overlay => "overlayfs",
            Snapshotter::Native => "native",
        }
    }
}

/// What differs from place to place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Settings {
    /// Lasting state.
    pub(crate) root: PathBuf,
    /// Passing state.
    pub(crate) state: PathBuf,
    /// The socket.
    pub(crate) socket: PathBuf,
    /// Network plugins.
    pub(crate) cni_bin: PathBuf,
    /// Network configurations.
    pub(crate) cni_conf: PathBuf,
    /// The image that holds a pod's namespaces.
    pub(crate) pause_image: String,
    /// How roots are put together.
    pub(crate) snapshotter: Snapshotter,
    /// Whether the machine lets us shield a process from the out-of-memory killer; a sandbox may not.
    pub(crate) may_shield: bool,
}

impl Settings {
    /// The file's text.
    pub(crate) fn render(&self) -> String {
        let path = |path: &Path| quoted(&path.to_string_lossy());
        let snapshotter = self.snapshotter.name();
        let rows: [(&str, &[(&str, String)]); 8] = [
            (
                "",
                &[
                    ("version", "2".to_owned()),
                    ("root", path(&self.root)),
                    ("state", path(&self.state)),
                    ("disabled_plugins", disabled()),
                ],
            ),
            ("grpc", &[("address", path(&self.socket))]),
            ("ttrpc", &[("address", path(&self.socket.with_extension("ttrpc")))]),
            // Its default is a folder of the machine's.
            (r#"plugins."io.containerd.internal.v1.opt""#, &[("path", path(&self.root.join("opt")))]),
            (
                r#"plugins."io.containerd.grpc.v1.cri""#,
                &[
                    ("sandbox_image", quoted(&self.pause_image)),
                    ("stream_server_address", quoted("127.0.0.1")),
                    ("stream_server_port", quoted("0")),
                    // Namespaces beside the rest of the state, where they are known to be ours.
                    ("netns_mounts_under_state_dir", "true".to_owned()),
                    ("device_ownership_from_security_context", "true".to_owned()),
                    ("restrict_oom_score_adj", (!self.may_shield).to_string()),
                ],
            ),
            (
                r#"plugins."io.containerd.grpc.v1.cri".cni"#,
                &[("bin_dir", path(&self.cni_bin)), ("conf_dir", path(&self.cni_conf))],
            ),
            (
                r#"plugins."io.containerd.grpc.v1.cri".containerd"#,
                &[("snapshotter", quoted(snapshotter)), ("default_runtime_name", quoted("runc"))],
            ),
            (
                r#"plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc"#,
                &[("runtime_type", quoted("io.containerd.runc.v2"))],
            ),
        ];
        let mut text = String::from("# Written by ferrokube at each start.\n");
        for (section, values) in rows {
            let head = if section.is_empty() { String::new() } else { format!("\n[{section}]\n") };
            let lines: String = values.iter().fold(head, |mut lines, (name, value)| {
                writeln!(lines, "{name} = {value}").expect("writing to a string cannot fail");
                lines
            });
            text += &lines;
        }
        text
    }
}

/// Storage that nobody asks for, and that complains where its file system or device is absent.
fn disabled() -> String {
    let names = ["aufs", "btrfs", "devmapper", "zfs"];
    let quoted: Vec<String> =
        names.iter().map(|name| quoted(&format!("io.containerd.snapshotter.v1.{name}"))).collect();
    format!("[{}]", quoted.join(", "))
}

/// A basic string of TOML 1.0.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for character in text.chars() {
        match character {
            '"' | '\\' => out.extend(['\\', character]),
            control if control.is_control() => {
                write!(out, "\\u{:04X}", u32::from(control)).expect("writing to a string cannot fail");
            }
            other => out.push(other),
        }
    }
    out.push('"');
    out
}

/// Whether this process may lower scores of the out-of-memory killer, as pods' first processes want it.
pub(crate) fn may_shield() -> bool {
    caps::has_cap(None, caps::CapSet::Effective, caps::Capability::CAP_SYS_RESOURCE).unwrap_or(false)
}

/// What works below `folder`: looked at by doing it.
pub(crate) fn snapshotter_for(folder: &Path) -> Snapshotter {
    match overlay_works(folder) {
        Ok(()) => Snapshotter::Overlay,
        Err(error) => {
            tracing::info!(error = format!("{error:#}"), "no overlays here; containers' roots are copies");
            Snapshotter::Native
        }
    }
}

fn overlay_works(folder: &Path) -> anyhow::Result<()> {
    let trial = tempfile::Builder::new().prefix("overlay-trial-").tempdir_in(folder)?;
    let [lower, upper, work, merged] = ["lower", "upper", "work", "merged"].map(|name| trial.path().join(name));
    for folder in [&lower, &upper, &work, &merged] {
        env::fs::create_dir_all(folder)?;
    }
    let options = format!("lowerdir={},upperdir={},workdir={}", lower.display(), upper.display(), work.display());
    mount(Some("overlay"), &merged, Some("overlay"), MsFlags::empty(), Some(options.as_str()))?;
    umount2(&merged, MntFlags::MNT_DETACH)?;
    Ok(())
}
