//! The images that this executable is: one layer with the executable, one image per role.
//!
//! No registry is ever asked: [`ensure`] packs the running executable and hands it to containerd.
//!
//! Invariants
//! - The same executable gives the same bytes, and so the same ids.
//! - What is imported already under the same id is not imported again.

mod archive;
mod oci;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::io::{BufWriter, Read as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use cri::Runtime;
use cri::v1::ImageSpec;
use env::process::{Command, Output, Stdio};

use crate::progress::print_line;
pub(crate) use archive::{Bundle, ImageRow};

/// Tags follow the version that this build speaks.
macro_rules! row {
    ($name:literal, $arguments:expr, $ports:expr, $user:expr) => {
        ImageRow {
            name: concat!("ferrokube.io/", $name, ":v1.36.0"),
            arguments: $arguments,
            ports: $ports,
            user: $user,
        }
    };
}

/// The images, one per role that is built.
pub(crate) const IMAGES: [ImageRow; 3] = [
    row!("pause", &["pause"], &[], "65535:65535"),
    row!("dns", &["dns"], &["53/udp", "53/tcp"], "0:0"),
    row!("web", &["web"], &["8080/tcp"], "65534:65534"),
];

/// The image that holds a pod's namespaces.
pub(crate) const PAUSE: &str = IMAGES[0].name;
/// The executable's name in the images' root.
const PROGRAM: &str = "ferrokube";
/// containerd's namespace for what the CRI shows.
const NAMESPACE: &str = "k8s.io";
const NO_CTR: &str = "cannot run ctr, which comes with containerd";
const ARCHIVE_BUFFER_BYTES: usize = 64 << 10;

/// The images of the running executable.
pub(crate) fn own() -> anyhow::Result<Bundle> {
    let executable = env::process::executable()?;
    if !is_static(&executable)? {
        bail!(
            "{} needs libraries of this machine and cannot run inside pods; build it as `make build` does",
            executable.display()
        );
    }
    Bundle::of(&executable, PROGRAM, &IMAGES)
}

/// Linkers put an executable's headers at its beginning.
const HEADERS_BYTES_MAX: u64 = 4 << 10;

/// Whether an ELF executable names no interpreter, that is: runs in an empty root.
fn is_static(executable: &Path) -> anyhow::Result<bool> {
    const INTERPRETER: u32 = 3;
    let cannot = || format!("cannot read {}", executable.display());
    let mut bytes = Vec::new();
    File::open(executable)
        .and_then(|file| file.take(HEADERS_BYTES_MAX).read_to_end(&mut bytes))
        .with_context(cannot)?;
    let number = |at: usize, length: usize| -> Option<u64> {
        let mut padded = [0; 8];
        padded[..length].copy_from_slice(bytes.get(at..at + length)?);
        Some(u64::from_le_bytes(padded))
    };
    // ELF-64, little endian: where the program headers are, how long and how many.
    let headers = || Some((number(32, 8)?, number(54, 2)?, number(56, 2)?));
    if !bytes.starts_with(b"\x7fELF\x02\x01") {
        bail!("{} is no ELF executable of this kind of machine", executable.display());
    }
    let (offset, size, count) = headers().context("the executable is cut short")?;
    let kind = |index| number(usize::try_from(offset + index * size).ok()?, 4);
    let kinds: Option<Vec<u64>> = (0..count).map(kind).collect();
    let kinds = kinds.context("the executable's headers are not at its beginning")?;
    Ok(!kinds.contains(&u64::from(INTERPRETER)))
}

/// Prints names and ids.
pub(crate) fn print_list() -> anyhow::Result<ExitCode> {
    let bundle = own()?;
    for (name, id) in bundle.ids() {
        print_line(&format!("{name:<32} {id}"));
    }
    Ok(ExitCode::SUCCESS)
}

/// Writes the archive to `file`.
pub(crate) fn save(file: &Path) -> anyhow::Result<ExitCode> {
    let cannot = || format!("cannot write {}", file.display());
    let out = File::create(file).with_context(cannot)?;
    own()?.write_to(out).with_context(cannot)?;
    Ok(ExitCode::SUCCESS)
}

/// Imports into the containerd at `socket` and says what was done.
pub(crate) async fn import_and_tell(socket: PathBuf) -> anyhow::Result<ExitCode> {
    let bundle = env::task::blocking(own).await?;
    print_line(&ensure(&bundle, &socket).await?);
    Ok(ExitCode::SUCCESS)
}

/// Makes sure that the containerd at `socket` has the images of `bundle`; says what was done.
pub(crate) async fn ensure(bundle: &Bundle, socket: &Path) -> anyhow::Result<String> {
    let runtime = cri::Remote::new(socket, cri::TimeLimits::default());
    let mut missing = 0;
    for (name, id) in bundle.ids() {
        let spec = ImageSpec { image: name.to_owned(), ..ImageSpec::default() };
        let known = runtime.image_status(spec).await?;
        missing += usize::from(known.is_none_or(|image| image.id != id));
    }
    let all = bundle.ids().count();
    if missing == 0 {
        return Ok(format!("{all} there already"));
    }
    import(bundle, socket).await?;
    Ok(format!("{all} packed and imported"))
}

/// Hands the archive to containerd's own client as it is made: the CRI has no way to bring an image.
async fn import(bundle: &Bundle, socket: &Path) -> anyhow::Result<()> {
    let mut importing = ctr(socket, &["images", "import", "-"]).stdin(Stdio::piped()).spawn().context(NO_CTR)?;
    let pipe = importing.stdin.take().context("ctr was started without a pipe")?.into_owned_fd()?;
    let copy = bundle.clone();
    let written = env::task::blocking(move || copy.write_to(File::from(pipe)));
    let (written, ended) = futures::join!(written, importing.wait_with_output());
    // Why it ended says more than that it stopped reading.
    succeeded("images import", &ended?)?;
    written.context("cannot hand the images over")?;
    // The kubelet's garbage collection leaves alone what is pinned.
    let pinned = bundle.ids().map(|(name, _)| async move {
        let output = ctr(socket, &["images", "label", name, "io.cri-containerd.pinned=pinned"]).output().await;
        succeeded("images label", &output.context(NO_CTR)?)
    });
    futures::future::try_join_all(pinned).await.map(drop)
}

/// containerd's own client.
fn ctr(socket: &Path, arguments: &[&str]) -> Command {
    let mut command = env::process::command("ctr");
    command.arg("--address").arg(socket).args(["--namespace", NAMESPACE]).args(arguments);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn succeeded(what: &str, output: &Output) -> anyhow::Result<()> {
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("ctr {what} ended with {}: {}", output.status, said.trim());
    }
    Ok(())
}

impl Bundle {
    /// Writes the archive into a new file, or whatever else is open.
    pub(crate) fn write_to(&self, file: File) -> std::io::Result<()> {
        let mut out = BufWriter::with_capacity(ARCHIVE_BUFFER_BYTES, file);
        self.write(&mut out)?;
        std::io::Write::flush(&mut out)
    }
}
