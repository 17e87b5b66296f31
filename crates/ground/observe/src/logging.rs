//! Log lines in klog's form: `I1120 16:17:03.123456       1 file.rs:42] "message" key="value"`.

use std::fmt::{self, Write};

use jiff::tz::TimeZone;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;

/// Libraries that are talkative at levels that are meant for us.
const LIBRARIES: [&str; 6] = ["h2", "hyper", "hyper_util", "rustls", "tonic", "tower"];
/// From this `-v` on, libraries talk too.
const LIBRARIES_FROM: u8 = 8;

/// Logs to standard error from now on. `verbosity` is klog's `-v`: below 4 information, from 4 on debugging, from 6 on
/// everything. `false` when somebody has set up logging before; theirs stays.
pub fn start(verbosity: u8) -> bool {
    let lines = tracing_subscriber::fmt::layer().event_format(Klog).with_writer(std::io::stderr);
    tracing_subscriber::registry().with(filter(verbosity)).with(lines).try_init().is_ok()
}

fn filter(verbosity: u8) -> Targets {
    let level = match verbosity {
        0..4 => LevelFilter::INFO,
        4..6 => LevelFilter::DEBUG,
        6.. => LevelFilter::TRACE,
    };
    let libraries = if verbosity < LIBRARIES_FROM { LevelFilter::WARN } else { level };
    Targets::new().with_default(level).with_targets(LIBRARIES.map(|library| (library, libraries)))
}

/// klog's line format.
#[derive(Debug, Clone, Copy)]
pub struct Klog;

impl<S, N> FormatEvent<S, N> for Klog
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut out: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let metadata = event.metadata();
        let letter = match *metadata.level() {
            Level::ERROR => 'E',
            Level::WARN => 'W',
            _ => 'I',
        };
        let now = env::time::now().to_zoned(TimeZone::UTC);
        let file = metadata.file().map_or("unknown", |path| path.rsplit('/').next().unwrap_or(path));
        let micros = now.subsec_nanosecond() / 1000;
        write!(out, "{letter}{}.{micros:06} ", now.strftime("%m%d %H:%M:%S"))?;
        write!(out, "{:>7} {file}:{}]", std::process::id(), metadata.line().unwrap_or(0))?;
        let mut fields = Fields::default();
        event.record(&mut fields);
        writeln!(out, " {:?}{}", fields.message, fields.rest)
    }
}

#[derive(Default)]
struct Fields {
    message: String,
    rest: String,
}

impl Fields {
    fn put(&mut self, field: &Field, value: fmt::Arguments<'_>) {
        let written = if field.name() == "message" {
            self.message.write_fmt(value)
        } else {
            write!(self.rest, " {}={value}", field.name())
        };
        written.expect("writing to a string cannot fail");
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let text = format!("{value:?}");
        if field.name() == "message" || !text.contains([' ', '\n']) || text.starts_with('"') {
            self.put(field, format_args!("{text}"));
        } else {
            self.put(field, format_args!("{text:?}"));
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            self.put(field, format_args!("{value}"));
        } else {
            self.put(field, format_args!("{value:?}"));
        }
    }
}
