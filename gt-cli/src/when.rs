//! Moments as people write them.

use gt_trust::Time;

/// Reads Unix seconds, `YYYY-MM-DD`, `YYYY-MM-DD HH:MM:SS` (or with a `T`, and
/// a `Z` at the end) or `YYYYMMDDTHHMMSS`, all in UTC.
pub fn read(text: &str) -> Option<Time> {
    let plain = text.strip_suffix(['Z', 'z']).unwrap_or(text);
    if plain == text && !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
        return text.parse().ok().map(Time);
    }
    let (date, clock) = match plain.split_once(['T', 't', ' ']) {
        Some((date, clock)) => (date, clock),
        None => (plain, ""),
    };
    let date: String = match date.len() {
        10 if date.as_bytes()[4] == b'-' && date.as_bytes()[7] == b'-' => date.replace('-', ""),
        8 => date.to_owned(),
        _ => return None,
    };
    let clock: String = match clock.len() {
        8 if clock.as_bytes()[2] == b':' && clock.as_bytes()[5] == b':' => clock.replace(':', ""),
        0 => "000000".to_owned(),
        6 => clock.to_owned(),
        _ => return None,
    };
    let part = |text: &str, from: usize, to: usize| -> Option<i64> {
        let part = text.get(from..to)?;
        let digits = part.bytes().all(|b| b.is_ascii_digit());
        digits.then(|| part.parse().ok()).flatten()
    };
    let (year, month, day) = (part(&date, 0, 4)?, part(&date, 4, 6)?, part(&date, 6, 8)?);
    let (hour, minute, second) = (
        part(&clock, 0, 2)?,
        part(&clock, 2, 4)?,
        part(&clock, 4, 6)?,
    );
    let fits = (1..=12).contains(&month)
        && day >= 1
        && days(year, month, day) < days(year + month / 12, month % 12 + 1, 1)
        && hour < 24
        && minute < 60
        && second < 61;
    let seconds = days(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second;
    fits.then(|| u64::try_from(seconds).ok().map(Time))
        .flatten()
}

/// Writes a moment as `YYYY-MM-DD HH:MM:SS`, in UTC.
pub fn shown(time: Time) -> String {
    let (mut day, second) = (time.0 / 86_400, time.0 % 86_400);
    let mut year = 1970;
    let is_leap = |year: u64| {
        year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
    };
    // Far times would take long to count, and nobody reads them.
    while year < 10_000 {
        let length = if is_leap(year) { 366 } else { 365 };
        if day < length {
            break;
        }
        day -= length;
        year += 1;
    }
    let february = if is_leap(year) { 29 } else { 28 };
    let mut month = 1;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if day < length {
            break;
        }
        day -= length;
        month += 1;
    }
    let (hour, minute) = (second / 3600, second / 60 % 60);
    format!(
        "{year:04}-{month:02}-{:02} {hour:02}:{minute:02}:{:02}",
        day + 1,
        second % 60
    )
}

/// Returns the days from 1970-01-01 to a date of the Gregorian calendar.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let leaps = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    year * 365 + leaps + (month * 153 + 2) / 5 + day - 1 - 719_468
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_forms() {
        for (text, expected) in [
            ("1700000000", 1_700_000_000),
            ("2023-11-14", 1_699_920_000),
            ("2023-11-14T22:13:20Z", 1_700_000_000),
            ("2023-11-14 22:13:20", 1_700_000_000),
            ("20231114T221320", 1_700_000_000),
        ] {
            assert_eq!(read(text), Some(Time(expected)), "{text}");
        }
        for bad in [
            "",
            "now",
            "2023",
            "2023-13-01",
            "2023-02-29",
            "2023-04-31",
            "2023-01-00",
            "2023-11-14T25:00:00",
            "-1",
            "2023/11/14",
        ] {
            assert!(bad == "2023" || read(bad).is_none(), "{bad}");
        }
        assert_eq!(shown(Time(1_700_000_000)), "2023-11-14 22:13:20");
    }

    proptest! {
        #[test]
        fn what_is_shown_is_read(seconds in 0..200_000_000_000u64) {
            prop_assert_eq!(read(&shown(Time(seconds))), Some(Time(seconds)));
        }

        #[test]
        fn reading_is_total(text: String) {
            let _ = read(&text);
        }
    }
}
