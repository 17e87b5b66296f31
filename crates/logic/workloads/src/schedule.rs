//! Cron schedules as Kubernetes understands them: five fields, names, steps, `@macros` and `@every`.
//!
//! The dialect is that of the library upstream uses (robfig/cron v3, standard parser): Sunday is 0 and only 0; when both the
//! day of month and the day of week are restricted, either of them suffices; `N/step` runs from N to the end of the range.
//! Local times that a clock change skips do not run, local times that it repeats run twice.

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan, Zoned};

/// How many years ahead a matching moment is looked for.
const YEARS_AHEAD_MAX: i16 = 5;

/// A parsed schedule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule(Form);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Form {
    Every(SignedDuration),
    Fields { minute: u64, hour: u64, day: u64, month: u64, weekday: u64, any_day: bool },
}

struct Field {
    first: u32,
    last: u32,
    names: &'static [&'static str],
}

const MINUTE: Field = Field { first: 0, last: 59, names: &[] };
const HOUR: Field = Field { first: 0, last: 23, names: &[] };
const DAY: Field = Field { first: 1, last: 31, names: &[] };
const MONTH: Field = Field {
    first: 1,
    last: 12,
    names: &["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"],
};
const WEEKDAY: Field = Field { first: 0, last: 6, names: &["sun", "mon", "tue", "wed", "thu", "fri", "sat"] };

const MACROS: [(&str, &str); 7] = [
    ("@yearly", "0 0 1 1 *"),
    ("@annually", "0 0 1 1 *"),
    ("@monthly", "0 0 1 * *"),
    ("@weekly", "0 0 * * 0"),
    ("@daily", "0 0 * * *"),
    ("@midnight", "0 0 * * *"),
    ("@hourly", "0 * * * *"),
];

impl Schedule {
    /// Reads a schedule without a time zone prefix. The error is a sentence for people.
    ///
    /// # Errors
    /// Says which part cannot be read.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if text.is_empty() {
            return Err("empty spec string".to_owned());
        }
        if let Some(every) = text.strip_prefix("@every ") {
            let seconds = duration_seconds(every.trim()).ok_or_else(|| format!("failed to parse duration {text}"))?;
            return Ok(Self(Form::Every(SignedDuration::from_secs(seconds.max(1)))));
        }
        if text.starts_with('@') {
            let known = MACROS.iter().find(|(name, _)| *name == text);
            let (_, meaning) = known.ok_or_else(|| format!("unrecognized descriptor: {text}"))?;
            return Self::parse(meaning);
        }
        let parts: Vec<&str> = text.split_whitespace().collect();
        let [minute, hour, day, month, weekday] = parts.as_slice() else {
            return Err(format!("expected exactly 5 fields, found {}: [{}]", parts.len(), parts.join(" ")));
        };
        let ((day, any), (weekday, any_weekday)) = (DAY.parse(day)?, WEEKDAY.parse(weekday)?);
        Ok(Self(Form::Fields {
            minute: MINUTE.parse(minute)?.0,
            hour: HOUR.parse(hour)?.0,
            day,
            month: MONTH.parse(month)?.0,
            weekday,
            any_day: any || any_weekday,
        }))
    }

    /// The first moment after `after` that matches in a time zone; none within five years means never.
    #[must_use]
    pub fn next(&self, after: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let Form::Fields { minute, hour, month, .. } = &self.0 else {
            let Form::Every(pause) = &self.0 else { return None };
            return Timestamp::from_second(after.as_second()).ok()?.checked_add(*pause).ok();
        };
        let has = |set: &u64, value: i8| set & (1 << value) != 0;
        let mut at = start_of_next_minute(after)?.to_zoned(zone.clone());
        let last_year = at.year() + YEARS_AHEAD_MAX;
        loop {
            if at.year() > last_year {
                return None;
            }
            if !has(month, at.month()) {
                at = at.first_of_month().ok()?.checked_add(1.month()).ok()?.start_of_day().ok()?;
            } else if !self.matches_day(&at) {
                at = at.checked_add(1.day()).ok()?.start_of_day().ok()?;
            } else if !has(hour, at.hour()) {
                at = at.checked_add(SignedDuration::from_mins(60 - i64::from(at.minute()))).ok()?;
            } else if !has(minute, at.minute()) {
                at = at.checked_add(SignedDuration::from_mins(1)).ok()?;
            } else {
                return Some(at.timestamp());
            }
        }
    }

    fn matches_day(&self, at: &Zoned) -> bool {
        let Form::Fields { day, weekday, any_day, .. } = &self.0 else { return true };
        let by_date = day & (1 << at.day()) != 0;
        let by_weekday = weekday & (1 << at.weekday().to_sunday_zero_offset()) != 0;
        if *any_day { by_date && by_weekday } else { by_date || by_weekday }
    }
}

fn start_of_next_minute(after: Timestamp) -> Option<Timestamp> {
    let second = after.as_second();
    Timestamp::from_second(second - second.rem_euclid(60) + 60).ok()
}

impl Field {
    /// The set of values as bits, and whether the field says "any".
    fn parse(&self, text: &str) -> Result<(u64, bool), String> {
        let (mut set, mut any) = (0, false);
        for part in text.split(',') {
            let (bits, star) = self.parse_range(part)?;
            set |= bits;
            any |= star;
        }
        Ok((set, any))
    }

    fn parse_range(&self, text: &str) -> Result<(u64, bool), String> {
        let (range, step) = match text.split_once('/') {
            Some((range, step)) => (range, Some(number(step)?)),
            None => (text, None),
        };
        if step.is_some() && text.matches('/').count() > 1 {
            return Err(format!("too many slashes: {text}"));
        }
        let star = matches!(range, "*" | "?");
        let (first, last) = match range.split_once('-') {
            _ if star => (self.first, self.last),
            Some((first, last)) => (self.value(first)?, self.value(last)?),
            None if step.is_some() => (self.value(range)?, self.last),
            None => (self.value(range)?, self.value(range)?),
        };
        let step = step.unwrap_or(1);
        match () {
            () if first < self.first => {
                Err(format!("beginning of range ({first}) below minimum ({}): {text}", self.first))
            }
            () if last > self.last => Err(format!("end of range ({last}) above maximum ({}): {text}", self.last)),
            () if first > last => Err(format!("beginning of range ({first}) beyond end of range ({last}): {text}")),
            () if step == 0 => Err(format!("step of range should be a positive number: {text}")),
            () => {
                let bits = (first..=last).step_by(step as usize).fold(0, |set, value| set | 1 << value);
                Ok((bits, star && step == 1))
            }
        }
    }

    fn value(&self, text: &str) -> Result<u32, String> {
        let name = text.to_ascii_lowercase();
        match (self.first..).zip(self.names).find(|(_, known)| **known == name) {
            Some((value, _)) => Ok(value),
            None => number(text),
        }
    }
}

fn number(text: &str) -> Result<u32, String> {
    text.parse().map_err(|problem| format!("failed to parse int from {text}: {problem}"))
}

/// Go durations in whole seconds: `1h30m`, `90s`, `1.5h`.
fn duration_seconds(text: &str) -> Option<i64> {
    let (mut rest, mut total) = (text, 0.0);
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let amount: f64 = rest[..digits].parse().ok()?;
        let unit_end = rest[digits..].find(|c: char| c.is_ascii_digit()).map_or(rest.len(), |end| digits + end);
        total += amount
            * match &rest[digits..unit_end] {
                "h" => 3600.0,
                "m" => 60.0,
                "s" => 1.0,
                "ms" => 0.001,
                _ => return None,
            };
        rest = &rest[unit_end..];
    }
    SignedDuration::try_from_secs_f64(total).ok().map(|duration| duration.as_secs())
}

#[cfg(test)]
mod tests;
