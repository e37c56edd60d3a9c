//! Commits and tags: lines of a header, an empty line, a message.

use crate::{Kind, ObjectFormat};

use super::id::Id;
use super::refname;
use super::report::{Flow, Report, shown};

/// Checks a commit.
pub(super) fn commit(content: &[u8], format: ObjectFormat, report: &mut Report<'_>) -> Flow {
    header_ends(content, report)?;
    let mut rest = content;
    if !take(&mut rest, b"tree ") {
        return report.say(Id::MissingTree, "");
    }
    id_line(&mut rest, format, Id::BadTreeSha1, report)?;
    while take(&mut rest, b"parent ") {
        id_line(&mut rest, format, Id::BadParentSha1, report)?;
    }
    let mut authors = 0;
    while take(&mut rest, b"author ") {
        authors += 1;
        identity(&mut rest, report)?;
    }
    match authors {
        0 => report.say(Id::MissingAuthor, "")?,
        1 => {}
        _ => report.say(Id::MultipleAuthors, "")?,
    }
    if !take(&mut rest, b"committer ") {
        return report.say(Id::MissingCommitter, "");
    }
    identity(&mut rest, report)?;
    match content.contains(&0) {
        true => report.say(Id::NulInCommit, ""),
        false => Ok(()),
    }
}

/// Checks a tag.
pub(super) fn tag(content: &[u8], format: ObjectFormat, report: &mut Report<'_>) -> Flow {
    header_ends(content, report)?;
    let mut rest = content;
    if !take(&mut rest, b"object ") {
        return report.say(Id::MissingObject, "");
    }
    id_line(&mut rest, format, Id::BadObjectSha1, report)?;
    if !take(&mut rest, b"type ") {
        return report.say(Id::MissingTypeEntry, "");
    }
    let Some(kind) = line(&mut rest) else {
        return report.say(Id::MissingType, "");
    };
    if Kind::from_name(kind).is_none() {
        report.say(Id::BadType, shown(kind))?;
    }
    if !take(&mut rest, b"tag ") {
        return report.say(Id::MissingTagEntry, "");
    }
    let Some(name) = line(&mut rest) else {
        return report.say(Id::MissingTag, "");
    };
    if !refname::is_good(&[b"refs/tags/", name].concat()) {
        report.say(Id::BadTagName, shown(name))?;
    }
    let tagger = if take(&mut rest, b"tagger ") {
        identity(&mut rest, report)
    } else {
        report.say(Id::MissingTaggerEntry, "")?;
        Ok(())
    };
    if !rest.is_empty() && !rest.starts_with(b"\n") {
        report.say(Id::ExtraHeaderEntry, "")?;
    }
    tagger
}

/// The header goes up to an empty line, or is all there is; no line of it is
/// left open.
fn header_ends(content: &[u8], report: &mut Report<'_>) -> Flow {
    for (n, byte) in content.iter().enumerate() {
        match byte {
            0 => return report.say(Id::NulInHeader, format!("at byte {n}")),
            b'\n' if content.get(n + 1) == Some(&b'\n') => return Ok(()),
            _ => {}
        }
    }
    match content.last() {
        Some(b'\n') => Ok(()),
        _ => report.say(Id::UnterminatedHeader, ""),
    }
}

fn take(rest: &mut &[u8], prefix: &[u8]) -> bool {
    match rest.strip_prefix(prefix) {
        Some(after) => {
            *rest = after;
            true
        }
        None => false,
    }
}

/// Takes bytes up to a line feed; `None` where there is none.
fn line<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let end = rest.iter().position(|b| *b == b'\n')?;
    let line = &rest[..end];
    *rest = &rest[end + 1..];
    Some(line)
}

fn id_line(rest: &mut &[u8], format: ObjectFormat, id: Id, report: &mut Report<'_>) -> Flow {
    let whole = *rest;
    let digits = line(rest).unwrap_or_else(|| {
        *rest = &[];
        whole
    });
    // Git reads capitals here too.
    if digits.len() == format.hex_len() && digits.iter().all(u8::is_ascii_hexdigit) {
        return Ok(());
    }
    report.say(id, shown(digits))
}

/// Checks `Name <address> seconds zone` and takes its line, good or not.
fn identity(rest: &mut &[u8], report: &mut Report<'_>) -> Flow {
    let whole = *rest;
    let line = line(rest).unwrap_or_else(|| {
        *rest = &[];
        whole
    });
    match identity_fault(line) {
        Some(id) => report.say(id, shown(line)),
        None => Ok(()),
    }
}

fn identity_fault(line: &[u8]) -> Option<Id> {
    let bracket = |bytes: &[u8]| bytes.iter().position(|b| matches!(b, b'<' | b'>'));
    let Some(at) = bracket(line) else {
        return Some(Id::MissingEmail);
    };
    match (at, line[at]) {
        (0, b'<') => return Some(Id::MissingNameBeforeEmail),
        (_, b'>') => return Some(Id::BadName),
        (_, _) if line[at - 1] != b' ' => return Some(Id::MissingSpaceBeforeEmail),
        _ => {}
    }
    let line = &line[at + 1..];
    let Some(at) = bracket(line).filter(|at| line[*at] == b'>') else {
        return Some(Id::BadEmail);
    };
    let Some(date) = line[at + 1..].strip_prefix(b" ") else {
        return Some(Id::MissingSpaceBeforeDate);
    };
    // More blanks than one were always taken.
    let blanks = date
        .iter()
        .take_while(|b| matches!(b, b' ' | b'\t'))
        .count();
    let date = &date[blanks..];
    let digits = date.iter().take_while(|b| b.is_ascii_digit()).count();
    if digits == 0 {
        return Some(Id::BadDate);
    }
    let (seconds, zone) = date.split_at(digits);
    if seconds[0] == b'0' && date.get(1) != Some(&b' ') {
        return Some(Id::ZeroPaddedDate);
    }
    let value = seconds.iter().try_fold(0_i64, |sum, digit| {
        sum.checked_mul(10)?.checked_add(i64::from(digit - b'0'))
    });
    if value.is_none() {
        return Some(Id::BadDateOverflow);
    }
    let Some(zone) = zone.strip_prefix(b" ") else {
        return Some(Id::BadDate);
    };
    match zone {
        [b'+' | b'-', digits @ ..]
            if digits.len() == 4 && digits.iter().all(u8::is_ascii_digit) =>
        {
            None
        }
        _ => Some(Id::BadTimezone),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identities() {
        for (line, fault) in [
            ("A <a> 0 +0000", None),
            ("A <a> 1 -1234", None),
            (" <> \t 1 +0000", None),
            ("A <a> 9223372036854775807 +0000", None),
            ("<a> 1 +0000", Some(Id::MissingNameBeforeEmail)),
            ("> <a> 1 +0000", Some(Id::BadName)),
            ("A 1 +0000", Some(Id::MissingEmail)),
            ("A<a> 1 +0000", Some(Id::MissingSpaceBeforeEmail)),
            ("A <a 1 +0000", Some(Id::BadEmail)),
            ("A <a<b> 1 +0000", Some(Id::BadEmail)),
            ("A <a>1 +0000", Some(Id::MissingSpaceBeforeDate)),
            ("A <a> x +0000", Some(Id::BadDate)),
            ("A <a> 1x +0000", Some(Id::BadDate)),
            ("A <a> 1", Some(Id::BadDate)),
            ("A <a> 01 +0000", Some(Id::ZeroPaddedDate)),
            ("A <a> 9223372036854775808 +0000", Some(Id::BadDateOverflow)),
            (
                "A <a> 99999999999999999999999999 +0000",
                Some(Id::BadDateOverflow),
            ),
            ("A <a> 1 0000", Some(Id::BadTimezone)),
            ("A <a> 1 +00000", Some(Id::BadTimezone)),
            ("A <a> 1 +000", Some(Id::BadTimezone)),
        ] {
            assert_eq!(identity_fault(line.as_bytes()), fault, "{line}");
        }
    }
}
