//! What a WAIT waits for: `duration` ("2 hours 30 seconds") or `until` ("2030-01-31 18:00"), or for somebody.

use super::definition::Object;
use super::event::WaitFor;
use serde_json::Value;

/// Reads the input of a WAIT.
///
/// # Errors
/// A sentence that names the input and says what it may be.
pub fn read(input: &Object) -> Result<Option<WaitFor>, String> {
    let given = |name: &str| input.get(name).filter(|value| !value.is_null() && *value != "");
    match (given("duration"), given("until")) {
        (None, None) => Ok(None),
        (Some(_), Some(_)) => Err("a WAIT has either duration or until, not both".to_owned()),
        (Some(value), None) => duration(value).map(|ms| Some(WaitFor::Span(ms))),
        (None, Some(value)) => until(value).map(|at| Some(WaitFor::Instant(at))),
    }
}

fn duration(value: &Value) -> Result<u64, String> {
    let refuse =
        || format!("duration is {value}; it must be like \"1 days 2 hours 3 minutes 4 seconds\" or \"90s\"");
    let seconds = match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => seconds(text),
        _ => None,
    };
    let usable = seconds.filter(|seconds| (0.0..1e10).contains(seconds)).ok_or_else(refuse)?;
    Ok((usable * 1000.0).round() as u64)
}

/// Numbers, each with a unit.
fn seconds(text: &str) -> Option<f64> {
    let mut rest = text.trim();
    let mut total = 0.0;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let number: f64 = rest[..digits].parse().ok()?;
        rest = rest[digits..].trim_start();
        let letters = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
        total += number
            * match &*rest[..letters].to_ascii_lowercase() {
                "d" | "day" | "days" => 86_400.0,
                "h" | "hr" | "hrs" | "hour" | "hours" => 3600.0,
                "m" | "min" | "mins" | "minute" | "minutes" => 60.0,
                "s" | "sec" | "secs" | "second" | "seconds" => 1.0,
                _ => return None,
            };
        rest = rest[letters..].trim_start();
    }
    Some(total)
}

fn until(value: &Value) -> Result<u64, String> {
    let refuse = || {
        format!(
            "until is {value}; it must be like \"2030-01-31\", \"2030-01-31 18:00\" or \"2030-01-31 18:00 +02:00\" (UTC if no offset is given)"
        )
    };
    let text = value.as_str().ok_or_else(refuse)?;
    instant(text.trim()).ok_or_else(refuse)
}

/// Epoch milliseconds of a date, with a time and an offset if they are given. The past is as good as now.
fn instant(text: &str) -> Option<u64> {
    // As in ISO 8601, a T may stand between date and time.
    let (day, rest) = text.split_at_checked(10)?;
    let days = date(day)?;
    let mut parts = rest.strip_prefix('T').unwrap_or(rest).split_whitespace();
    let (time, attached) = match parts.next() {
        None => ("00:00", None),
        Some(part) => match part.find(['Z', '+', '-']) {
            Some(at) => (&part[..at], Some(&part[at..])),
            None => (part, None),
        },
    };
    let offset = attached.or_else(|| parts.next()).map_or(Some(0), zone)?;
    if parts.next().is_some() {
        return None;
    }
    let seconds = days * 86_400 + clock(time)? - offset;
    u64::try_from(seconds * 1000).ok().or(Some(0))
}

fn date(text: &str) -> Option<i64> {
    let mut parts = text.split('-').map(|part| part.parse::<i64>().ok());
    let (year, month, day) = (parts.next()??, parts.next()??, parts.next()??);
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let lengths = [31, if leap { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let length = *lengths.get(usize::try_from(month - 1).ok()?)?;
    let usable = (1..=9999).contains(&year) && (1..=length).contains(&day) && parts.next().is_none();
    usable.then(|| days_from_civil(year, month, day))
}

/// Days since 1970-01-01 in the Gregorian calendar (Howard Hinnant, "chrono-compatible low-level date algorithms").
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

fn clock(text: &str) -> Option<i64> {
    let parts: Option<Vec<i64>> = text.split(':').map(|part| part.parse().ok()).collect();
    let (hours, minutes, seconds) = match *parts?.as_slice() {
        [hours, minutes] => (hours, minutes, 0),
        [hours, minutes, seconds] => (hours, minutes, seconds),
        _ => return None,
    };
    let usable = (0..24).contains(&hours) && (0..60).contains(&minutes) && (0..60).contains(&seconds);
    usable.then_some(hours * 3600 + minutes * 60 + seconds)
}

/// Seconds east of UTC.
fn zone(text: &str) -> Option<i64> {
    if matches!(text, "Z" | "UTC" | "GMT") {
        return Some(0);
    }
    let offset = text.strip_prefix("UTC").or_else(|| text.strip_prefix("GMT")).unwrap_or(text);
    let (sign, rest) = match offset.split_at_checked(1)? {
        ("+", rest) => (1, rest),
        ("-", rest) => (-1, rest),
        _ => return None,
    };
    Some(sign * clock(rest)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn of(input: Value) -> Result<Option<WaitFor>, String> {
        read(input.as_object().unwrap())
    }

    #[test]
    fn durations_are_read_in_long_and_short_form() {
        let span = |text: &str| of(json!({"duration": text}));
        assert_eq!(span("1 days 2 hours 3 minutes 4 seconds"), Ok(Some(WaitFor::Span(93_784_000))));
        assert_eq!(span("1d2h 3m 4s"), Ok(Some(WaitFor::Span(93_784_000))));
        assert_eq!(span("0.5 s"), Ok(Some(WaitFor::Span(500))));
        assert_eq!(of(json!({"duration": 2})), Ok(Some(WaitFor::Span(2000))));
        for odd in ["soon", "5", "s", "-1 s", "1 fortnight", "1 s s"] {
            assert!(span(odd).unwrap_err().contains("duration"), "{odd}");
        }
    }

    #[test]
    fn instants_are_read_with_and_without_time_and_offset() {
        let at = |text: &str| of(json!({"until": text}));
        assert_eq!(at("1970-01-02"), Ok(Some(WaitFor::Instant(86_400_000))));
        assert_eq!(at("2000-02-29 12:30"), Ok(Some(WaitFor::Instant(951_827_400_000))));
        assert_eq!(at("2000-02-29 12:30 GMT+02:00"), Ok(Some(WaitFor::Instant(951_820_200_000))));
        assert_eq!(at("2000-02-29T12:30:01Z"), Ok(Some(WaitFor::Instant(951_827_401_000))));
        assert_eq!(at("1969-12-31 23:00"), Ok(Some(WaitFor::Instant(0))));
        for odd in ["tomorrow", "2001-02-29", "2000-13-01", "2000-01-01 25:00", "2000-01-01 10:00 CET"] {
            assert!(at(odd).unwrap_err().contains("until"), "{odd}");
        }
    }

    #[test]
    fn a_wait_has_one_end_at_most() {
        assert_eq!(of(json!({"duration": null, "until": "", "x": 1})), Ok(None));
        assert!(of(json!({"duration": "1s", "until": "2030-01-01"})).unwrap_err().contains("both"));
    }
}
