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
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use cri::Runtime;
use cri::v1::ImageSpec;

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

/// Whether an ELF executable names no interpreter, that is: runs in an empty root.
fn is_static(executable: &Path) -> anyhow::Result<bool> {
    const INTERPRETER: u32 = 3;
    let bytes = env::fs::read(executable).with_context(|| format!("cannot read {}", executable.display()))?;
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
    let kinds = (0..count).filter_map(|index| number(usize::try_from(offset + index * size).ok()?, 4));
    Ok(!kinds.into_iter().any(|kind| kind == u64::from(INTERPRETER)))
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
    own()?.write_to(file)?;
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

async fn import(bundle: &Bundle, socket: &Path) -> anyhow::Result<()> {
    let folder = tempfile::Builder::new().prefix("ferrokube-images-").tempdir()?;
    let archive = folder.path().join("images.tar");
    let (copy, target) = (bundle.clone(), archive.clone());
    env::task::blocking(move || copy.write_to(&target)).await?;
    let archive = archive.to_str().context("the temporary folder's name is not text")?;
    ctr(socket, &["images", "import", archive]).await?;
    for (name, _) in bundle.ids() {
        // The kubelet's garbage collection leaves alone what is pinned.
        ctr(socket, &["images", "label", name, "io.cri-containerd.pinned=pinned"]).await?;
    }
    Ok(())
}

/// Runs containerd's own client: the CRI has no way to bring an image.
async fn ctr(socket: &Path, arguments: &[&str]) -> anyhow::Result<()> {
    let mut command = env::process::command("ctr");
    command.arg("--address").arg(socket).args(["--namespace", NAMESPACE]).args(arguments);
    let output = command.output().await.context("cannot run ctr, which comes with containerd")?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("ctr {} ended with {}: {}", arguments.join(" "), output.status, said.trim());
    }
    Ok(())
}

impl Bundle {
    /// Writes the archive into a new file.
    pub(crate) fn write_to(&self, file: &Path) -> anyhow::Result<()> {
        let out = File::create(file).with_context(|| format!("cannot write {}", file.display()))?;
        let mut out = BufWriter::new(out);
        self.write(&mut out).with_context(|| format!("cannot write {}", file.display()))?;
        std::io::Write::flush(&mut out)?;
        Ok(())
    }
}
