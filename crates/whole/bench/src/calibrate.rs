//! What the machine can do right now, measured before and after: a comparison on a machine that changes means nothing.

use std::io::Write;
use std::net::UdpSocket;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use aws_lc_rs::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use env::time::Instant;
use serde_json::{Value, json};

use crate::stats::{drift_percent, percentile};

const SYNCS: usize = 300;
const SYNC_BYTES: usize = 4_096;
const RECORD_BYTES: usize = 16 << 10;
const COPY_BYTES: usize = 64 << 20;
const ECHOES: usize = 5_000;
const BURST: Duration = Duration::from_millis(200);
/// More drift than this between start and end makes the run's figures doubtful.
const DRIFT_PERCENT_MAX: f64 = 10.0;
const STEAL_PERCENT_MAX: f64 = 2.0;
const LOAD_MAX: f64 = 0.3;

/// One look at the machine.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Calibration {
    pub(crate) fdatasync_p50_us: f64,
    pub(crate) aes_gcm_mb_per_s: f64,
    pub(crate) udp_echo_p50_us: f64,
    pub(crate) copy_mb_per_s: f64,
    pub(crate) load: f64,
    /// Ticks of all processors so far, and those that the host gave to others.
    ticks: (u64, u64),
}

impl Calibration {
    /// Measures for about a second; files go to `folder`. Blocks.
    pub(crate) fn take(folder: &Path) -> Result<Calibration> {
        Ok(Calibration {
            load: load()?,
            fdatasync_p50_us: fdatasync(folder)?,
            aes_gcm_mb_per_s: aes_gcm()?,
            udp_echo_p50_us: udp_echo()?,
            copy_mb_per_s: copy(),
            ticks: ticks()?,
        })
    }

    fn figures(&self) -> [(&'static str, &'static str, f64); 4] {
        [
            ("fdatasync p50", "us", self.fdatasync_p50_us),
            ("AES-128-GCM", "MB/s", self.aes_gcm_mb_per_s),
            ("UDP echo p50", "us", self.udp_echo_p50_us),
            ("memory copy", "MB/s", self.copy_mb_per_s),
        ]
    }

    /// One line.
    pub(crate) fn line(&self) -> String {
        let figures = self.figures().map(|(name, unit, value)| format!("{name} {value:.0} {unit}"));
        format!("{}, load {:.2}", figures.join(", "), self.load)
    }

    /// Raw values.
    pub(crate) fn json(&self) -> Value {
        let figures = self.figures().map(|(name, unit, value)| json!({"name": name, "unit": unit, "value": value}));
        json!({"figures": figures, "load": self.load})
    }

    /// Everything that speaks against comparing figures taken between `self` and `end`; empty for a quiet machine.
    pub(crate) fn doubts(&self, end: &Calibration) -> Vec<String> {
        let mut doubts = Vec::new();
        for ((name, _, before), (_, _, after)) in self.figures().into_iter().zip(end.figures()) {
            let drift = drift_percent(before, after);
            if drift.abs() > DRIFT_PERCENT_MAX {
                doubts.push(format!("{name} drifted by {drift:+.0} %"));
            }
        }
        let steal = self.steal_percent(end);
        if steal > STEAL_PERCENT_MAX {
            doubts.push(format!("the host took {steal:.1} % of the time"));
        }
        if self.load > LOAD_MAX {
            doubts.push(format!("load {:.2} at the start", self.load));
        }
        doubts
    }

    fn steal_percent(&self, end: &Calibration) -> f64 {
        let (all, stolen) = (end.ticks.0 - self.ticks.0, end.ticks.1 - self.ticks.1);
        if all == 0 { 0.0 } else { stolen as f64 / all as f64 * 100.0 }
    }
}

fn micros(value: Option<Duration>) -> f64 {
    value.unwrap_or_default().as_secs_f64() * 1e6
}

fn fdatasync(folder: &Path) -> Result<f64> {
    let path = folder.join("calibration");
    let mut file = env::fs::File::create(&path).with_context(|| format!("cannot make {}", path.display()))?;
    let block = [0x5a; SYNC_BYTES];
    let mut took = Vec::with_capacity(SYNCS);
    for _ in 0..SYNCS {
        let began = Instant::now();
        file.write_all(&block)?;
        file.sync_data()?;
        took.push(began.elapsed());
    }
    env::fs::remove_file(&path)?;
    Ok(micros(percentile(&took, 50)))
}

fn aes_gcm() -> Result<f64> {
    let key = UnboundKey::new(&AES_128_GCM, &[7; 16]).context("AES-128-GCM is not there")?;
    let key = LessSafeKey::new(key);
    let mut record = vec![0; RECORD_BYTES];
    let (began, mut bytes) = (Instant::now(), 0);
    while began.elapsed() < BURST {
        let nonce = Nonce::assume_unique_for_key([1; 12]);
        let tag = key.seal_in_place_separate_tag(nonce, Aad::empty(), &mut record).context("AES-128-GCM refuses")?;
        record[0] ^= tag.as_ref()[0];
        bytes += RECORD_BYTES;
    }
    Ok(bytes as f64 / began.elapsed().as_secs_f64() / 1e6)
}

/// Two sockets in two threads, so that a round trip wakes each once.
fn udp_echo() -> Result<f64> {
    let (near, far) = (UdpSocket::bind("127.0.0.1:0")?, UdpSocket::bind("127.0.0.1:0")?);
    near.connect(far.local_addr()?)?;
    far.connect(near.local_addr()?)?;
    near.set_read_timeout(Some(Duration::from_secs(1)))?;
    far.set_read_timeout(Some(Duration::from_secs(1)))?;
    std::thread::scope(|scope| {
        let echo = scope.spawn(move || -> std::io::Result<()> {
            let mut byte = [0; 8];
            for _ in 0..ECHOES {
                let length = far.recv(&mut byte)?;
                far.send(&byte[..length])?;
            }
            Ok(())
        });
        let mut took = Vec::with_capacity(ECHOES);
        let mut byte = [1; 8];
        for _ in 0..ECHOES {
            let began = Instant::now();
            near.send(&byte)?;
            near.recv(&mut byte)?;
            took.push(began.elapsed());
        }
        echo.join().expect("an echo does not panic")?;
        Ok(micros(percentile(&took, 50)))
    })
}

fn copy() -> f64 {
    let from = vec![3_u8; COPY_BYTES];
    let mut to = vec![0_u8; COPY_BYTES];
    let (began, mut bytes) = (Instant::now(), 0_usize);
    while began.elapsed() < BURST {
        to.copy_from_slice(std::hint::black_box(&from));
        std::hint::black_box(&to);
        bytes += COPY_BYTES;
    }
    bytes as f64 / began.elapsed().as_secs_f64() / 1e6
}

fn load() -> Result<f64> {
    let text = env::fs::read_to_string("/proc/loadavg")?;
    let first = text.split_whitespace().next().context("/proc/loadavg is empty")?;
    Ok(first.parse()?)
}

fn ticks() -> Result<(u64, u64)> {
    let text = env::fs::read_to_string("/proc/stat")?;
    let line = text.lines().next().context("/proc/stat is empty")?;
    let fields: Vec<u64> = line.split_whitespace().skip(1).map_while(|field| field.parse().ok()).collect();
    // proc_stat(5): user nice system idle iowait irq softirq steal; guests are within user.
    Ok((fields.iter().take(8).sum(), fields.get(7).copied().unwrap_or_default()))
}
