//! What is said about the runs: a table for people and a document for programs.
//!
//! Pure: the same results make the same text.

use serde_json::{Value, json};

use crate::rows::{Figure, Row, Sample};
use crate::stats::{Better, Spread, ratio};

/// One run of a row against one system; the error says why there is no sample.
pub(crate) type Outcome = Result<Sample, String>;

/// One run against ours and, where there is one, against the reference, right after each other.
#[derive(Debug)]
pub(crate) struct Pair {
    pub(crate) ours: Outcome,
    pub(crate) reference: Option<Outcome>,
}

/// A row and its runs.
#[derive(Debug)]
pub(crate) struct Measured {
    pub(crate) row: &'static Row,
    pub(crate) pairs: Vec<Pair>,
}

/// Whether a row got to where it must.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Gate {
    Met(f64),
    Missed(f64),
    /// There is nothing to compare with.
    Open(f64),
}

/// The values of one figure over all pairs.
#[derive(Debug)]
struct Series<'a> {
    figure: &'a Figure,
    ours: Vec<f64>,
    reference: Vec<f64>,
    ratios: Vec<f64>,
    our_cpu: Vec<f64>,
    reference_cpu: Vec<f64>,
    cpu_ratios: Vec<f64>,
}

/// A sample whose checks hold.
fn sound(outcome: &Outcome) -> Option<&Sample> {
    outcome.as_ref().ok().filter(|sample| sample.broken.is_empty())
}

fn series<'a>(pairs: &'a [Pair], figure: &'a Figure) -> Series<'a> {
    let mut series = Series {
        figure,
        ours: Vec::new(),
        reference: Vec::new(),
        ratios: Vec::new(),
        our_cpu: Vec::new(),
        reference_cpu: Vec::new(),
        cpu_ratios: Vec::new(),
    };
    let of = |outcome: Option<&'a Outcome>| {
        outcome.and_then(sound).and_then(|sample| sample.figures.iter().find(|other| other.name == figure.name))
    };
    for pair in pairs {
        let (ours, reference) = (of(Some(&pair.ours)), of(pair.reference.as_ref()));
        series.ours.extend(ours.map(|figure| figure.value));
        series.reference.extend(reference.map(|figure| figure.value));
        series.our_cpu.extend(ours.and_then(|figure| figure.cpu_us));
        series.reference_cpu.extend(reference.and_then(|figure| figure.cpu_us));
        if let Some((ours, reference)) = ours.zip(reference) {
            series.ratios.extend(ratio(figure.better, ours.value, reference.value));
            let cpu = ours.cpu_us.zip(reference.cpu_us);
            series.cpu_ratios.extend(cpu.and_then(|(ours, reference)| ratio(Better::Lower, ours, reference)));
        }
    }
    series
}

impl Series<'_> {
    fn gate(&self) -> Option<Gate> {
        let gate = self.figure.gate?;
        Some(match Spread::of(&self.ratios) {
            Some(spread) if spread.median >= gate => Gate::Met(gate),
            Some(_) => Gate::Missed(gate),
            None => Gate::Open(gate),
        })
    }

    fn lines(&self, with_reference: bool) -> Vec<String> {
        let unit = self.figure.unit;
        let mut lines =
            vec![line(&self.figure.name, unit, [&self.ours, &self.reference, &self.ratios], with_reference)];
        match self.gate() {
            Some(Gate::Met(gate)) => lines[0].push_str(&format!("  gate {gate}x: met")),
            Some(Gate::Missed(gate)) => lines[0].push_str(&format!("  gate {gate}x: missed")),
            Some(Gate::Open(gate)) if with_reference => lines[0].push_str(&format!("  gate {gate}x: not measured")),
            Some(Gate::Open(_)) | None => {}
        }
        if !self.our_cpu.is_empty() {
            let name = format!("{}: CPU per operation", self.figure.name);
            lines.push(line(&name, "us", [&self.our_cpu, &self.reference_cpu, &self.cpu_ratios], with_reference));
        }
        lines
    }
}

fn line(name: &str, unit: &str, [ours, reference, ratios]: [&[f64]; 3], with_reference: bool) -> String {
    let mut line = format!("    {name:<38} ours {:<28}", spread(ours, unit));
    if with_reference {
        line.push_str(&format!(" reference {:<30} ratio {}", spread(reference, unit), spread(ratios, "x")));
    }
    line.trim_end().to_owned()
}

fn spread(values: &[f64], unit: &str) -> String {
    let Some(Spread { median, min, max }) = Spread::of(values) else { return "void".to_owned() };
    let gap = if unit == "x" || unit == "/s" { "" } else { " " };
    if values.len() == 1 {
        return format!("{}{gap}{unit}", digits(median));
    }
    format!("{}{gap}{unit} ({}-{})", digits(median), digits(min), digits(max))
}

/// Three digits that count.
pub(crate) fn digits(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

/// What one run brought, in one line.
pub(crate) fn brief(outcome: &Outcome) -> String {
    match outcome {
        Err(error) => format!("void: {error}"),
        Ok(sample) => {
            let figure = |figure: &Figure| {
                let cpu = figure.cpu_us.map(|cpu| format!(" at {} us CPU", digits(cpu))).unwrap_or_default();
                format!("{} {} {}{cpu}", figure.name, digits(figure.value), figure.unit)
            };
            let mut parts: Vec<String> = sample.figures.iter().map(figure).collect();
            parts.extend(sample.broken.iter().map(|broken| format!("VOID: {broken}")));
            parts.join(", ")
        }
    }
}

impl Measured {
    /// The row's table: figures with ratios and gates, then what was checked.
    pub(crate) fn lines(&self, with_reference: bool) -> Vec<String> {
        let mut lines = vec![format!("{:<4}{}; goal {}", self.row.id, self.row.title, self.row.goal)];
        if self.row.run.is_none() {
            lines.push("    not built".to_owned());
            return lines;
        }
        for figure in self.figures() {
            lines.extend(series(&self.pairs, figure).lines(with_reference));
        }
        if !with_reference {
            lines.push("    reference: not given".to_owned());
        }
        lines.extend(self.verdicts());
        lines
    }

    fn figures(&self) -> &[Figure] {
        let samples = self.pairs.iter().flat_map(|pair| [Some(&pair.ours), pair.reference.as_ref()]);
        samples.flatten().find_map(|outcome| outcome.as_ref().ok()).map_or(&[], |sample| &sample.figures)
    }

    fn verdicts(&self) -> Vec<String> {
        let mut lines = Vec::new();
        let mut said = |name: &str, outcomes: Vec<&Outcome>| {
            if outcomes.is_empty() {
                return;
            }
            let failed: Vec<&String> = outcomes
                .iter()
                .flat_map(|outcome| match outcome {
                    Ok(sample) => sample.broken.iter().collect(),
                    Err(error) => vec![error],
                })
                .collect();
            let proven = outcomes[0].as_ref().map(|sample| sample.proven.join("; ")).unwrap_or_default();
            lines.push(match failed.first() {
                None if proven.is_empty() => return,
                None => format!("    correct, {name}: {proven}"),
                Some(first) => format!("    VOID, {name}: {first}"),
            });
        };
        said("ours", self.pairs.iter().map(|pair| &pair.ours).collect());
        said("reference", self.pairs.iter().filter_map(|pair| pair.reference.as_ref()).collect());
        lines.extend(self.pairs.iter().find_map(same_answers));
        lines
    }

    /// Whether a gate was missed or a number is void.
    pub(crate) fn failed(&self) -> bool {
        let missed = |figure| matches!(series(&self.pairs, figure).gate(), Some(Gate::Missed(_)));
        self.pairs.iter().any(|pair| sound(&pair.ours).is_none()) || self.figures().iter().any(missed)
    }

    /// Raw values.
    pub(crate) fn json(&self) -> Value {
        let pairs = self.pairs.iter().map(
            |pair| json!({"ours": outcome_json(&pair.ours), "reference": pair.reference.as_ref().map(outcome_json)}),
        );
        json!({"id": self.row.id, "title": self.row.title, "pairs": pairs.collect::<Vec<_>>()})
    }
}

/// Whether both systems gave the same answers; `None` where there is nothing to compare.
fn same_answers(pair: &Pair) -> Option<String> {
    let (ours, reference) = (sound(&pair.ours)?, sound(pair.reference.as_ref()?)?);
    let mut same = Vec::new();
    for (name, answer) in &ours.answers {
        let (_, other) = reference.answers.iter().find(|(other, _)| other == name)?;
        match difference("", answer, other) {
            None => same.push(name.as_str()),
            Some(found) => return Some(format!("    answers differ, {name}: {found}")),
        }
    }
    (!same.is_empty()).then(|| format!("    answers equal the reference's: {}", same.join("; ")))
}

/// The first place where two documents differ.
fn difference(path: &str, ours: &Value, reference: &Value) -> Option<String> {
    match (ours, reference) {
        (Value::Object(left), Value::Object(right)) => {
            let keys = left.keys().chain(right.keys().filter(|key| !left.contains_key(*key)));
            keys.map(|key| {
                let side = |map: &serde_json::Map<String, Value>| map.get(key).cloned().unwrap_or_default();
                difference(&format!("{path}/{key}"), &side(left), &side(right))
            })
            .find_map(|found| found)
        }
        (Value::Array(left), Value::Array(right)) if left.len() == right.len() => {
            let pairs = left.iter().zip(right).enumerate();
            pairs.map(|(at, (left, right))| difference(&format!("{path}/{at}"), left, right)).find_map(|found| found)
        }
        _ if ours == reference => None,
        _ => Some(format!("{path}: ours {ours}, reference {reference}")),
    }
}

fn outcome_json(outcome: &Outcome) -> Value {
    let figure = |figure: &Figure| json!({"name": figure.name, "unit": figure.unit, "value": figure.value, "cpu_us": figure.cpu_us, "gate": figure.gate});
    match outcome {
        Err(error) => json!({"error": error}),
        Ok(sample) => json!({
            "figures": sample.figures.iter().map(figure).collect::<Vec<_>>(),
            "proven": sample.proven,
            "broken": sample.broken,
        }),
    }
}

/// The geometric mean of all gated ratios; `None` without any.
pub(crate) fn geometric_mean(measured: &[Measured]) -> Option<f64> {
    let gated = measured.iter().flat_map(|row| {
        let figures = row.figures().iter().filter(|figure| figure.gate.is_some());
        figures.filter_map(|figure| Some(Spread::of(&series(&row.pairs, figure).ratios)?.median.ln()))
    });
    let logarithms: Vec<f64> = gated.collect();
    (!logarithms.is_empty()).then(|| (logarithms.iter().sum::<f64>() / logarithms.len() as f64).exp())
}

#[cfg(test)]
mod tests;
