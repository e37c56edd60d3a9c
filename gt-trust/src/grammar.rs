//! The one line grammar of statements, charters and the small state files.
//!
//! A magic first line, then `Key: value` lines in a fixed order, every line
//! ended by one LF. Values are UTF-8 without control characters and without
//! blanks at their edges; numbers are decimal without leading zeros. Every
//! reader writes what it read and compares, so a text has one form only.

use std::fmt;

/// Reads lines, strictly in order.
pub(crate) struct Lines<'a> {
    rest: &'a [u8],
    number: usize,
}

impl<'a> Lines<'a> {
    /// Begins to read a text whose first line must be `magic`.
    pub(crate) fn open(text: &'a [u8], magic: &'static str) -> Result<Self, Error> {
        let mut lines = Self {
            rest: text,
            number: 0,
        };
        match lines.next() {
            Ok(Some(line)) if line == magic.as_bytes() => Ok(lines),
            _ => Err(Error {
                line: 1,
                fault: Fault::Magic(magic),
            }),
        }
    }

    /// Returns the next line without its LF, or none at the end.
    pub(crate) fn next(&mut self) -> Result<Option<&'a [u8]>, Error> {
        let Some((line, rest)) = split_line(self.rest) else {
            if self.rest.is_empty() {
                return Ok(None);
            }
            self.number += 1;
            return Err(self.error(Fault::NoLineEnd));
        };
        self.number += 1;
        self.rest = rest;
        Ok(Some(line))
    }

    /// Returns the value of the next line, whose key must be `key`.
    pub(crate) fn value(&mut self, key: &'static str) -> Result<&'a str, Error> {
        match self.optional(key)? {
            Some(value) => Ok(value),
            None => {
                self.number += 1;
                Err(self.error(Fault::Missing(key)))
            }
        }
    }

    /// Returns the value of the next line if its key is `key`.
    pub(crate) fn optional(&mut self, key: &'static str) -> Result<Option<&'a str>, Error> {
        let is_next = self
            .rest
            .strip_prefix(key.as_bytes())
            .is_some_and(|rest| rest.starts_with(b": "));
        if !is_next {
            return Ok(None);
        }
        let line = self.next()?.unwrap_or_default();
        let value = std::str::from_utf8(&line[key.len() + 2..]).ok();
        match value.filter(|value| is_value(value)) {
            Some(value) => Ok(Some(value)),
            None => Err(self.error(Fault::Value(key))),
        }
    }

    /// Reads the next line's value with `parse`.
    pub(crate) fn parsed<T>(
        &mut self,
        key: &'static str,
        parse: impl FnOnce(&'a str) -> Option<T>,
    ) -> Result<T, Error> {
        let value = self.value(key)?;
        parse(value).ok_or_else(|| self.error(Fault::Form(key)))
    }

    /// Reads all next lines with this key, at most `limit` of them.
    pub(crate) fn repeated<T>(
        &mut self,
        key: &'static str,
        limit: usize,
        parse: impl Fn(&'a str) -> Option<T>,
    ) -> Result<Vec<T>, Error> {
        let mut all = Vec::new();
        while let Some(value) = self.optional(key)? {
            if all.len() == limit {
                return Err(self.error(Fault::TooMany(key, limit)));
            }
            all.push(parse(value).ok_or_else(|| self.error(Fault::Form(key)))?);
        }
        Ok(all)
    }

    /// Reads the empty line between head and body.
    pub(crate) fn blank(&mut self) -> Result<(), Error> {
        match self.next()? {
            Some(b"") => Ok(()),
            Some(_) => Err(self.error(Fault::Unknown)),
            None => {
                self.number += 1;
                Err(self.error(Fault::NoBlank))
            }
        }
    }

    /// Returns what was not read.
    pub(crate) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Checks that nothing is left.
    pub(crate) fn end(&mut self) -> Result<(), Error> {
        match self.next()? {
            None => Ok(()),
            Some(_) => Err(self.error(Fault::Unknown)),
        }
    }

    /// Returns an error at the line that was read last.
    pub(crate) fn error(&self, fault: Fault) -> Error {
        Error {
            line: self.number,
            fault,
        }
    }
}

fn split_line(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = memchr::memchr(b'\n', text)?;
    Some((&text[..at], &text[at + 1..]))
}

/// Writes what [`Lines`] reads.
pub(crate) struct Text(Vec<u8>);

impl Text {
    /// Begins a text; `room` bytes of it are made ready.
    pub(crate) fn open(magic: &'static str, room: usize) -> Self {
        let mut text = Self(Vec::with_capacity(room));
        text.raw(&[magic.as_bytes(), b"\n"]);
        text
    }

    pub(crate) fn line(&mut self, key: &str, value: impl fmt::Display) {
        self.0
            .extend_from_slice(format!("{key}: {value}\n").as_bytes());
    }

    pub(crate) fn lines<T: fmt::Display>(&mut self, key: &str, values: &[T]) {
        values.iter().for_each(|value| self.line(key, value));
    }

    pub(crate) fn raw(&mut self, parts: &[&[u8]]) {
        parts.iter().for_each(|part| self.0.extend_from_slice(part));
    }

    pub(crate) fn finish(self) -> Vec<u8> {
        self.0
    }
}

/// Tells whether a text may stand as a value.
pub(crate) fn is_value(text: &str) -> bool {
    !text.is_empty()
        && text.trim().len() == text.len()
        && !text.chars().any(|c| c.is_control() || is_line_break(c))
}

/// U+2028 and U+2029 end a line for some who show the text.
fn is_line_break(c: char) -> bool {
    matches!(c, '\u{2028}' | '\u{2029}')
}

/// Reads a number: decimal, no leading zero, no sign, below `u64::MAX`.
pub(crate) fn number(text: &str) -> Option<u64> {
    let plain = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let leading_zero = text.len() > 1 && text.starts_with('0');
    if !plain || leading_zero {
        return None;
    }
    text.parse().ok().filter(|n| *n != u64::MAX)
}

/// Reads `none`, or what `parse` reads.
pub(crate) fn or_none<'a, T>(
    parse: impl FnOnce(&'a str) -> Option<T>,
) -> impl FnOnce(&'a str) -> Option<Option<T>> {
    |text| match text {
        "none" => Some(None),
        _ => parse(text).map(Some),
    }
}

/// Writes `none`, or the value.
pub(crate) fn shown_or_none<T: fmt::Display>(value: Option<T>) -> String {
    value.map_or_else(|| "none".to_owned(), |value| value.to_string())
}

/// Why a text is not in the grammar.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {fault}")]
#[non_exhaustive]
pub struct Error {
    /// Which line, counted from 1.
    pub line: usize,
    /// What is wrong with it.
    pub fault: Fault,
}

/// What can be wrong with a line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// The text is something else.
    #[error("expected \"{0}\"")]
    Magic(&'static str),
    /// The text ends inside of a line.
    #[error("expected a line feed at the end")]
    NoLineEnd,
    /// Another key, the right one at another place, or none at all.
    #[error("expected the key {0}")]
    Missing(&'static str),
    /// Empty, blanks at its edges, control characters or no UTF-8.
    #[error("expected a plain value of {0}")]
    Value(&'static str),
    /// The value is plain but not what this key takes.
    #[error("expected a well-formed value of {0}")]
    Form(&'static str),
    /// A repeatable key came too often.
    #[error("expected at most {1} lines {0}")]
    TooMany(&'static str, usize),
    /// A line that has no meaning here.
    #[error("expected no such line here")]
    Unknown,
    /// The empty line before the refs is missing.
    #[error("expected an empty line")]
    NoBlank,
    /// A line of the body that is no object name and ref.
    #[error("expected an object name and a ref")]
    Ref,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_one_form() {
        assert_eq!(number("0"), Some(0));
        assert_eq!(number("18446744073709551614"), Some(u64::MAX - 1));
        for bad in [
            "",
            "00",
            "01",
            "+1",
            "-1",
            " 1",
            "1 ",
            "0x1",
            "1e3",
            "18446744073709551615",
            "18446744073709551616",
            "١",
        ] {
            assert_eq!(number(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn values_are_plain() {
        assert!(is_value("a b"));
        for bad in [
            "",
            " a",
            "a ",
            "a\tb",
            "a\0",
            "a\r",
            "\u{a0}a",
            "a\u{2028}b",
            "a\u{7f}",
        ] {
            assert!(!is_value(bad), "{bad:?}");
        }
    }

    #[test]
    fn keys_stand_in_order() {
        let mut lines = Lines::open(b"magic 1\nA: 1\nB: 2\n", "magic 1").unwrap();
        assert_eq!(lines.value("B").unwrap_err().line, 2);
        let mut lines = Lines::open(b"magic 1\nA: 1\nB: 2", "magic 1").unwrap();
        assert_eq!(lines.value("A"), Ok("1"));
        assert_eq!(lines.value("B").unwrap_err().fault, Fault::NoLineEnd);
        assert!(Lines::open(b"magic 1", "magic 1").is_err());
        assert!(Lines::open(b"magic 1\r\n", "magic 1").is_err());
    }
}
