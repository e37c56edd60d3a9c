//! Allowed signers (ssh-keygen(1), ALLOWED SIGNERS): whose SSH keys count.

use super::PublicKey;
use super::pattern::matches_list;
use crate::charter::SshKey;
use crate::limits;
use crate::number::Time;

/// A file of allowed signers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AllowedSigners {
    lines: Vec<Line>,
    unreadable: Vec<usize>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Line {
    principals: String,
    authority: bool,
    namespaces: Option<String>,
    after: Option<Time>,
    before: Option<Time>,
    key: PublicKey,
}

/// What the file says of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Standing {
    /// It may sign, under this name.
    Allowed(String),
    /// It may sign for other purposes only.
    OtherNamespace,
    /// It may sign at other times only.
    OutOfTime,
    /// It is there as an authority that certifies others' keys.
    Authority,
    /// It is not there.
    Unknown,
}

impl AllowedSigners {
    /// Reads the file. A line that cannot be read allows nobody, as with
    /// ssh-keygen; see [`unreadable`](Self::unreadable).
    ///
    /// Dates without a `Z` are in local time for ssh-keygen; `local` is how
    /// many seconds local time is ahead of UTC.
    ///
    /// # Errors
    /// `TooLong` above [`limits::SIGNERS`] bytes.
    pub fn parse(text: &[u8], local: i64) -> Result<Self, TooLong> {
        Self::parse_in(text, &|wall| wall - local)
    }

    /// Reads the file for a time zone that has summers: `to_utc` turns the
    /// seconds from 1970-01-01 00:00 to a moment, both by the clock on the wall,
    /// into Unix seconds.
    ///
    /// # Errors
    /// `TooLong` above [`limits::SIGNERS`] bytes.
    pub fn parse_in(text: &[u8], to_utc: &dyn Fn(i64) -> i64) -> Result<Self, TooLong> {
        if text.len() > limits::SIGNERS {
            return Err(TooLong(text.len()));
        }
        let mut all = Self::default();
        for (n, bytes) in text.split(|b| *b == b'\n').enumerate() {
            // To ssh-keygen a line is a C string.
            let end = bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len());
            let bytes = bytes[..end].trim_ascii();
            if bytes.is_empty() || bytes.starts_with(b"#") {
                continue;
            }
            // Names may be in any encoding.
            match Line::parse(&String::from_utf8_lossy(bytes), to_utc) {
                Some(line) => all.lines.push(line),
                None => all.unreadable.push(n + 1),
            }
        }
        Ok(all)
    }

    /// Returns the numbers of lines that could not be read, counted from 1.
    pub fn unreadable(&self) -> &[usize] {
        &self.unreadable
    }

    /// Says whether a key may sign for a purpose at a time, and under which
    /// name: as git finds it, which asks `ssh-keygen -Y find-principals` first
    /// (the names on the first line that has the key and holds at that time, up
    /// to an empty name), and then for each of them `ssh-keygen -Y verify`.
    pub fn find(&self, key: &PublicKey, namespace: &str, at: Time) -> Standing {
        let has = |line: &&Line| line.key == *key;
        let mut signers = self.lines.iter().filter(has).filter(|l| !l.authority);
        let Some(first) = signers.clone().find(|line| line.holds_at(at)) else {
            return match (signers.next(), self.lines.iter().any(|line| has(&line))) {
                (Some(_), _) => Standing::OutOfTime,
                (None, true) => Standing::Authority,
                (None, false) => Standing::Unknown,
            };
        };
        let mut worst = Standing::Unknown;
        for principal in first.principals.split(',').take_while(|p| !p.is_empty()) {
            match self.verify_as(principal, key, namespace, at) {
                Standing::Unknown => {}
                allowed @ Standing::Allowed(_) => return allowed,
                other => worst = other,
            }
        }
        worst
    }

    /// Returns the key with this fingerprint, if a line has it: whether it may
    /// sign, [`find`](Self::find) says.
    pub fn key(&self, print: &SshKey) -> Option<&PublicKey> {
        let keys = self.lines.iter().map(|line| &line.key);
        keys.into_iter().find(|key| key.fingerprint() == *print)
    }

    /// Says the same for one name: as `ssh-keygen -Y verify -I <principal>`.
    pub fn verify_as(
        &self,
        principal: &str,
        key: &PublicKey,
        namespace: &str,
        at: Time,
    ) -> Standing {
        let mut worst = Standing::Unknown;
        let named = self.lines.iter().filter(|line| {
            !line.authority
                && line.key == *key
                && matches_list(principal.as_bytes(), &line.principals)
        });
        for line in named {
            let list = line.namespaces.as_ref();
            if list.is_some_and(|list| !matches_list(namespace.as_bytes(), list)) {
                worst = Standing::OtherNamespace;
            } else if !line.holds_at(at) {
                worst = Standing::OutOfTime;
            } else {
                return Standing::Allowed(principal.to_owned());
            }
        }
        worst
    }
}

impl Line {
    /// `<principals> [<options>] <key type> <base64> [<comment>]`
    fn parse(text: &str, to_utc: &dyn Fn(i64) -> i64) -> Option<Self> {
        let (principals, rest) = word(text)?;
        let mut line = Self {
            principals: principals.trim_matches('"').to_owned(),
            authority: false,
            namespaces: None,
            after: None,
            before: None,
            key: PublicKey::from_blob(Vec::new()),
        };
        if let Some(key) = PublicKey::from_words(rest) {
            return Some(Self { key, ..line });
        }
        let (options, rest) = word(rest)?;
        line.key = PublicKey::from_words(rest)?;
        for option in split_quoted(options, ',') {
            line.option(option, to_utc)?;
        }
        Some(line)
    }

    fn holds_at(&self, at: Time) -> bool {
        self.after.is_none_or(|after| at >= after) && self.before.is_none_or(|before| at <= before)
    }

    fn option(&mut self, text: &str, to_utc: &dyn Fn(i64) -> i64) -> Option<()> {
        let (name, value) = match text.split_once('=') {
            Some((name, value)) => {
                let value = value.strip_prefix('"')?.strip_suffix('"')?;
                (name, Some(value))
            }
            None => (text, None),
        };
        let is_new = match (name.to_ascii_lowercase().as_str(), value) {
            ("cert-authority", None) => {
                self.authority = true;
                true
            }
            ("namespaces", Some(list)) => self.namespaces.replace(list.to_owned()).is_none(),
            ("valid-after", Some(date)) => self.after.replace(moment(date, to_utc)?).is_none(),
            ("valid-before", Some(date)) => self.before.replace(moment(date, to_utc)?).is_none(),
            _ => false,
        };
        is_new.then_some(())
    }
}

/// Cuts off a word; what stands between double quotes holds together.
fn word(text: &str) -> Option<(&str, &str)> {
    let text = text.trim_start_matches([' ', '\t']);
    let mut quoted = false;
    let end = text.char_indices().find(|(_, c)| {
        quoted ^= *c == '"';
        !quoted && matches!(c, ' ' | '\t')
    });
    if quoted && end.is_none() {
        return None;
    }
    let (first, rest) = text.split_at(end.map_or(text.len(), |(at, _)| at));
    (!first.is_empty()).then_some((first, rest.trim_start_matches([' ', '\t'])))
}

fn split_quoted(text: &str, at: char) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    text.split(move |c| {
        quoted ^= c == '"';
        !quoted && c == at
    })
}

/// Reads `YYYYMMDD` or `YYYYMMDDHHMM[SS]`, with `Z` in UTC.
fn moment(text: &str, to_utc: &dyn Fn(i64) -> i64) -> Option<Time> {
    let (digits, utc) = match text.strip_suffix(['Z', 'z']) {
        Some(digits) => (digits, true),
        None => (text, false),
    };
    if !digits.bytes().all(|b| b.is_ascii_digit()) || !matches!(digits.len(), 8 | 12 | 14) {
        return None;
    }
    let part = |from: usize, to: usize| -> Option<i64> {
        match digits.get(from..to) {
            Some(part) => part.parse().ok(),
            None => Some(0),
        }
    };
    let (year, month, day) = (part(0, 4)?, part(4, 6)?, part(6, 8)?);
    let (hour, minute, second) = (part(8, 10)?, part(10, 12)?, part(12, 14)?);
    let fits = (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && hour < 24
        && minute < 60
        && second < 61;
    let seconds = days(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second;
    let seconds = if utc { seconds } else { to_utc(seconds) };
    fits.then(|| u64::try_from(seconds).ok().map(Time))
        .flatten()
}

/// Returns the days from 1970-01-01 to a date of the Gregorian calendar.
fn days(year: i64, month: i64, day: i64) -> i64 {
    // March begins the year, so that the leap day ends it.
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let leaps = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    year * 365 + leaps + (month * 153 + 2) / 5 + day - 1 - 719_468
}

/// More bytes than a list of people has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected at most {limit} bytes of allowed signers, got {0}", limit = limits::SIGNERS)]
pub struct TooLong(usize);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const KEY: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f";

    fn standing(text: &str, at: u64) -> Standing {
        let signers = AllowedSigners::parse(text.as_bytes(), 0).unwrap();
        signers.find(&PublicKey::from_words(KEY).unwrap(), "git", Time(at))
    }

    #[test]
    fn dates() {
        for (text, expected) in [
            ("19700101Z", 0),
            ("20000229Z", 951_782_400),
            ("202401010000Z", 1_704_067_200),
            ("20240101000001Z", 1_704_067_201),
        ] {
            assert_eq!(
                moment(text, &|local| local - 7200),
                Some(Time(expected)),
                "{text}"
            );
        }
        assert_eq!(
            moment("20240101", &|local| local - 3600),
            Some(Time(1_704_063_600))
        );
        for bad in [
            "",
            "2024",
            "20241301",
            "20240132",
            "2024010199",
            "2024-01-01",
            "20240101ZZ",
        ] {
            assert_eq!(moment(bad, &|local| local), None, "{bad}");
        }
    }

    #[test]
    fn options_and_comments() {
        let allowed = |name: &str| Standing::Allowed(name.to_owned());
        assert_eq!(
            standing(&format!("# x\n\na@b {KEY} note\n"), 1),
            allowed("a@b")
        );
        assert_eq!(standing(&format!("a@b,c@d\t{KEY}"), 1), allowed("a@b"));
        assert_eq!(standing(&format!("*@b {KEY}"), 1), allowed("*@b"));
        let dated = format!("a@b valid-after=\"19700101Z\",valid-before=\"19700102Z\" {KEY}");
        assert_eq!(standing(&dated, 86_400), allowed("a@b"));
        assert_eq!(standing(&dated, 86_401), Standing::OutOfTime);
        let file = format!("a@b namespaces=\"file,x\" {KEY}");
        assert_eq!(standing(&file, 1), Standing::OtherNamespace);
        let two = format!("{file}\na@b namespaces=\"git\" {KEY}");
        assert_eq!(standing(&two, 1), allowed("a@b"));
        let authority = format!("a@b cert-authority {KEY}");
        assert_eq!(standing(&authority, 1), Standing::Authority);
        assert_eq!(standing("", 1), Standing::Unknown);
        let mut latin1 = format!("a@b {KEY}").into_bytes();
        latin1[0] = 0xe4;
        let signers = AllowedSigners::parse(&latin1, 0).unwrap();
        assert!(signers.unreadable().is_empty());
        // Not up to now, or not any more: the next line that has it.
        let late = format!("x@y valid-before=\"19700101Z\" {KEY}\na@b {KEY}");
        assert_eq!(standing(&late, 1), allowed("a@b"));
        // Names up to an empty one.
        assert_eq!(standing(&format!(",a@b {KEY}"), 1), Standing::Unknown);
        assert_eq!(standing(&format!("a@b, {KEY}"), 1), allowed("a@b"));
        assert_eq!(standing(&format!("a@b {KEY}\0x"), 1), allowed("a@b"));
        // The first line's names only, as git finds them.
        let other = format!("x@y namespaces=\"file\" {KEY}\na@b {KEY}");
        assert_eq!(standing(&other, 1), Standing::OtherNamespace);
    }

    #[test]
    fn lines_that_cannot_be_read_allow_nobody() {
        for bad in [
            format!("a@b unknown-option {KEY}"),
            format!("a@b namespaces=git {KEY}"),
            format!("a@b namespaces=\"git {KEY}"),
            format!("a@b valid-after=\"soon\" {KEY}"),
            format!("a@b namespaces=\"a\",namespaces=\"b\" {KEY}"),
            format!("a@b {}", KEY.replace("ssh-ed25519", "ssh-rsa")),
            KEY.to_owned(),
        ] {
            assert_eq!(standing(&bad, 1), Standing::Unknown, "{bad}");
            let signers = AllowedSigners::parse(bad.as_bytes(), 0).unwrap();
            assert_eq!(signers.unreadable(), [1], "{bad}");
        }
    }

    proptest! {
        #[test]
        fn parsing_is_total(text in "[a-z@*!,=\" \t\n#0-9Z-]{0,200}") {
            let _ = AllowedSigners::parse(text.as_bytes(), 0);
            let _ = AllowedSigners::parse(format!("{text} {KEY}").as_bytes(), 0);
        }
    }
}
