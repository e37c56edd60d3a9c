//! The person's time zone, for files whose dates are by the clock on the wall.

use std::ffi::OsStr;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::Env;

/// A time zone.
pub(crate) struct Zone(TimeZone);

impl Zone {
    /// Returns the one that `TZ` names, as a place or as rules (tzset(3)); the
    /// system's where it is not set, and UTC where there is none such.
    pub(crate) fn of(env: &Env) -> Self {
        // Set and empty it is UTC.
        let name = env.vars.get(OsStr::new("TZ"));
        let found = match name.map(|name| name.to_string_lossy()) {
            Some(name) => {
                let name = name.strip_prefix(':').unwrap_or(&name);
                named(name)
            }
            None => read("/etc/localtime"),
        };
        Self(found.unwrap_or(TimeZone::UTC))
    }

    /// Turns the seconds from 1970-01-01 00:00 to a moment, both by the clock on
    /// the wall, into Unix seconds. Of an hour that comes twice it is the first,
    /// and one that is left out is taken for the next, as mktime(3) may have it.
    pub(crate) fn to_utc(&self, local: i64) -> i64 {
        let Ok(wall) = Timestamp::from_second(local) else {
            return local;
        };
        let wall = TimeZone::UTC.to_datetime(wall);
        let there = self.0.to_timestamp(wall);
        there.map_or(local, |there| there.as_second())
    }
}

fn named(name: &str) -> Option<TimeZone> {
    if name.starts_with('/') {
        return read(name);
    }
    // A name that climbs out of the folder of names is none.
    let is_name = !name.split('/').any(|part| part == ".." || part.is_empty());
    let file = is_name.then(|| read(&format!("/usr/share/zoneinfo/{name}")));
    file.flatten().or_else(|| TimeZone::posix(name).ok())
}

fn read(path: &str) -> Option<TimeZone> {
    let limit = 1 << 20;
    let bytes = crate::files::read(std::path::Path::new(path), limit).ok()??;
    TimeZone::tzif(path, &bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zone(name: &str) -> Zone {
        Zone(named(name).unwrap_or(TimeZone::UTC))
    }

    #[test]
    fn rules_and_nonsense() {
        // 2023-11-14 22:13:20 and 2023-07-14 22:13:20 by the clock on the wall.
        let (winter, summer) = (1_700_000_000, 1_689_372_800);
        let east = zone("EST5EDT,M3.2.0,M11.1.0");
        assert_eq!(east.to_utc(winter), winter + 5 * 3600);
        assert_eq!(east.to_utc(summer), summer + 4 * 3600);
        assert_eq!(zone("JST-9").to_utc(winter), winter - 9 * 3600);
        for nonsense in ["", "nowhere", "../../etc/passwd", "/etc/passwd"] {
            assert_eq!(zone(nonsense).to_utc(winter), winter, "{nonsense}");
        }
        assert_eq!(east.to_utc(i64::MAX), i64::MAX);
    }
}
