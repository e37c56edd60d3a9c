//! Where git cuts: header lines, signatures, what is signed.

use crate::number::Time;
use crate::oid::ObjectFormat;
use crate::signature;

/// First lines that git takes for a signature, of any format it knows
/// (gpg-interface.c).
const BEGINS: [&str; 2] = ["-----BEGIN SIGNED MESSAGE-----", crate::ssh::BEGIN];

fn begins_signature(rest: &[u8]) -> bool {
    let openpgp = signature::BEGINS.iter();
    openpgp
        .chain(&BEGINS)
        .any(|begin| rest.starts_with(begin.as_bytes()))
}

/// Cuts off the first line with its line feed.
fn line(bytes: &[u8]) -> (&[u8], &[u8]) {
    let end = bytes.iter().position(|b| *b == b'\n');
    bytes.split_at(end.map_or(bytes.len(), |at| at + 1))
}

fn hex_line<'a>(bytes: &'a [u8], key: &[u8]) -> Option<(usize, &'a [u8])> {
    let (first, rest) = line(bytes);
    let hex = first.strip_prefix(key)?.strip_suffix(b"\n")?;
    hex.iter()
        .all(u8::is_ascii_hexdigit)
        .then_some((hex.len(), rest))
}

fn format_of(digits: usize) -> Option<ObjectFormat> {
    match digits {
        40 => Some(ObjectFormat::Sha1),
        64 => Some(ObjectFormat::Sha256),
        _ => None,
    }
}

/// Reads a commit's first lines as git does before it does anything with one:
/// a tree, then parents, all names of one length.
pub(super) fn commit_format(bytes: &[u8]) -> Option<ObjectFormat> {
    let (digits, mut rest) = hex_line(bytes, b"tree ")?;
    while rest.starts_with(b"parent ") {
        let (same, after) = hex_line(rest, b"parent ")?;
        if same != digits {
            return None;
        }
        rest = after;
    }
    format_of(digits)
}

pub(super) fn tag_format(bytes: &[u8]) -> Option<ObjectFormat> {
    format_of(hex_line(bytes, b"object ")?.0)
}

/// Tells the payload of a commit from its signature (commit.c,
/// `parse_buffer_signed_by_header`).
pub(super) fn commit(bytes: &[u8], ours: &str) -> (Vec<u8>, Option<Vec<u8>>) {
    let mut payload = Vec::with_capacity(bytes.len());
    let mut signature: Option<Vec<u8>> = None;
    let (mut in_ours, mut in_other) = (false, false);
    let mut rest = bytes;
    while !rest.is_empty() {
        let (this, after) = line(rest);
        let value = if in_ours && this[0] == b' ' {
            Some(&this[1..])
        } else if let Some(value) = this
            .strip_prefix(ours.as_bytes())
            .and_then(|value| value.strip_prefix(b" "))
        {
            in_other = false;
            Some(value)
        } else {
            if this.starts_with(b"gpgsig") {
                in_other = true;
            } else if this[0] != b' ' {
                in_other = false;
            }
            None
        };
        in_ours = value.is_some();
        match value {
            Some(value) => signature.get_or_insert_default().extend_from_slice(value),
            // The message: all the rest is payload, whatever it looks like.
            None if this[0] == b'\n' => {
                payload.extend_from_slice(rest);
                break;
            }
            None if in_other => {}
            None => payload.extend_from_slice(this),
        }
        rest = after;
    }
    (payload, signature)
}

/// Tells the payload of a tag from its signature (gpg-interface.c,
/// `parse_signature`): the last line that begins one decides.
pub(super) fn tag(bytes: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let mut at = None;
    let mut rest = bytes;
    while !rest.is_empty() {
        if begins_signature(rest) {
            at = Some(bytes.len() - rest.len());
        }
        rest = line(rest).1;
    }
    let (payload, signature) = bytes.split_at(at?);
    Some((without_header(payload), signature.to_vec()))
}

/// Takes the signatures out that a tag bears in headers, for its name in the
/// other object format (commit.c, `remove_signature`): two of them, and where
/// one follows right on the other only the second. It is git's way, and what
/// git hashes is what was signed.
fn without_header(bytes: &[u8]) -> Vec<u8> {
    const NAMES: [&[u8]; 2] = [b"gpgsig ", b"gpgsig-sha256 "];
    let mut ranges = [(0, 0); 2];
    let mut at = 0;
    let mut inside = false;
    let mut rest = bytes;
    while !rest.is_empty() && at < ranges.len() {
        let (this, after) = line(rest);
        let (start, end) = (bytes.len() - rest.len(), bytes.len() - after.len());
        if inside && this[0] == b' ' {
            ranges[at].1 = end;
        } else if this.starts_with(b"gpgsig") {
            if NAMES.iter().any(|name| this.starts_with(name)) {
                ranges[at] = (start, end);
                inside = true;
            }
        } else {
            if inside {
                at += 1;
            }
            inside = false;
            if this[0] == b'\n' {
                break;
            }
        }
        rest = after;
    }
    let [first, second] = ranges;
    let mut kept = bytes[..first.0].to_vec();
    kept.extend_from_slice(&bytes[first.1..second.0.max(first.1)]);
    kept.extend_from_slice(&bytes[second.1.max(first.1)..]);
    kept
}

/// Returns the values of all headers of this name, unfolded: a line that
/// begins with a blank continues the one before.
pub(super) fn headers(bytes: &[u8], name: &[u8]) -> Vec<Vec<u8>> {
    let mut all: Vec<Vec<u8>> = Vec::new();
    let mut inside = false;
    let mut rest = bytes;
    while !rest.is_empty() && rest[0] != b'\n' {
        let (this, after) = line(rest);
        if this[0] == b' ' {
            if let (true, Some(last)) = (inside, all.last_mut()) {
                last.extend_from_slice(&this[1..]);
            }
        } else {
            let value = this
                .strip_prefix(name)
                .and_then(|value| value.strip_prefix(b" "));
            inside = value.is_some();
            all.extend(value.map(<[u8]>::to_vec));
        }
        rest = after;
    }
    all
}

/// Returns the line of a person, if it names an address: without one git
/// verifies nothing (gpg-interface.c, `parse_payload_metadata`).
pub(super) fn person<'a>(payload: &'a [u8], key: &[u8]) -> Option<&'a [u8]> {
    let mut rest = payload;
    while !rest.is_empty() && rest[0] != b'\n' {
        let (this, after) = line(rest);
        if let Some(person) = this.strip_prefix(key) {
            let at = person.iter().position(|b| *b == b'<')?;
            return person[at..].contains(&b'>').then_some(person);
        }
        rest = after;
    }
    None
}

/// Returns the date in a person's line: the last number but one.
pub(super) fn date(person: &[u8]) -> Option<Time> {
    let at = person.iter().rposition(|b| *b == b'>')?;
    let words = std::str::from_utf8(&person[at + 1..]).ok()?;
    let number = words.split_ascii_whitespace().next()?;
    number.parse().ok().map(Time)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const COMMIT: &str = "tree 4b825dc642cb6eb9a060e54bf8d69288fbee4904\n\
        author A <a@x> 1 +0000\ncommitter C <c@x> 1700000000 +0100\n";

    #[test]
    fn a_header_is_unfolded_and_taken_out() {
        let text = format!("{COMMIT}gpgsig one\n two\n \n three\nencoding latin1\n\nmessage\n");
        let (payload, signature) = commit(text.as_bytes(), "gpgsig");
        assert_eq!(signature.unwrap(), b"one\ntwo\n\nthree\n");
        let expected = format!("{COMMIT}encoding latin1\n\nmessage\n");
        assert_eq!(payload, expected.as_bytes());
        let committer = person(&payload, b"committer ").unwrap();
        assert_eq!(date(committer), Some(Time(1_700_000_000)));
    }

    #[test]
    fn persons_without_an_address_are_none() {
        for (line, there) in [
            ("tagger A <a@x> 1 +0000\n", true),
            ("tagger <>\n", true),
            ("tagger A a@x 1 +0000\n", false),
            ("tagger >A<\n", false),
            ("tagger\n", false),
            ("taggers A <a@x>\n", false),
            ("\ntagger A <a@x>\n", false),
        ] {
            let text = format!("object 1\n{line}\nm");
            assert_eq!(
                person(text.as_bytes(), b"tagger ").is_some(),
                there,
                "{line}"
            );
        }
    }

    #[test]
    fn other_signature_headers_are_not_signed() {
        let text = format!("{COMMIT}gpgsig-sha256 x\n y\ngpgsig one\n two\ngpgsigns z\n q\n\nm");
        let (payload, signature) = commit(text.as_bytes(), "gpgsig");
        assert_eq!(signature.unwrap(), b"one\ntwo\n");
        assert_eq!(payload, format!("{COMMIT}\nm").as_bytes());
        let (payload, signature) = commit(text.as_bytes(), "gpgsig-sha256");
        assert_eq!(signature.unwrap(), b"x\ny\n");
        assert_eq!(payload, format!("{COMMIT}\nm").as_bytes());
    }

    #[test]
    fn what_stands_in_the_message_is_message() {
        let text = format!("{COMMIT}\ngpgsig one\n two\nmergetag x\n");
        let (payload, signature) = commit(text.as_bytes(), "gpgsig");
        assert_eq!((payload, signature), (text.clone().into_bytes(), None));
        assert!(headers(text.as_bytes(), b"mergetag").is_empty());
    }

    #[test]
    fn two_headers_are_one_signature_as_git_reads_it() {
        let text = format!("{COMMIT}gpgsig one\nx y\ngpgsig two\n\nm\n");
        let (payload, signature) = commit(text.as_bytes(), "gpgsig");
        assert_eq!(signature.unwrap(), b"one\ntwo\n");
        assert_eq!(payload, format!("{COMMIT}x y\n\nm\n").as_bytes());
    }

    #[test]
    fn the_last_block_of_a_tag_is_its_signature() {
        let head = "object 4b825dc642cb6eb9a060e54bf8d69288fbee4904\ntype tree\ntag t\n\n";
        let text = format!(
            "{head}a\n-----BEGIN PGP SIGNATURE-----\nx\n-----BEGIN SSH SIGNATURE-----\ny\n"
        );
        let (payload, signature) = tag(text.as_bytes()).unwrap();
        assert_eq!(signature, b"-----BEGIN SSH SIGNATURE-----\ny\n");
        assert!(payload.ends_with(b"SIGNATURE-----\nx\n"));
        // Not at the beginning of a line, or of another kind: no signature.
        let none = format!("{head} -----BEGIN PGP SIGNATURE-----\n-----BEGIN PGP X-----\n");
        assert_eq!(tag(none.as_bytes()), None);
        let both = text.replace("\ntype", "\ngpgsig-sha256 a\n b\ntype");
        assert_eq!(tag(both.as_bytes()).unwrap().0, payload);
    }

    #[test]
    fn merged_tags_are_unfolded() {
        let text = format!(
            "{COMMIT}mergetag object 1\n type commit\n \n m\ngpgsig s\n t\nmergetag object 2\n\nm\n"
        );
        let tags = headers(text.as_bytes(), b"mergetag");
        assert_eq!(tags, [&b"object 1\ntype commit\n\nm\n"[..], b"object 2\n"]);
    }

    #[test]
    fn commits_that_git_would_not_read() {
        assert_eq!(commit_format(COMMIT.as_bytes()), Some(ObjectFormat::Sha1));
        for bad in [
            "",
            "tree 4b825d\n",
            "tree zz825dc642cb6eb9a060e54bf8d69288fbee4904\n",
            "tree 4b825dc642cb6eb9a060e54bf8d69288fbee4904",
            "tree 4b825dc642cb6eb9a060e54bf8d69288fbee4904\r\n",
            "tree 4b825dc642cb6eb9a060e54bf8d69288fbee4904\nparent 00\n",
        ] {
            assert_eq!(commit_format(bad.as_bytes()), None, "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn cutting_is_total(text in "(gpgsig|gpgsig-sha256|mergetag|x| |\n|\r|-----BEGIN PGP SIGNATURE-----|\0){0,40}") {
            let bytes = text.as_bytes();
            let (payload, signature) = commit(bytes, "gpgsig");
            prop_assert!(payload.len() + signature.map_or(0, |s| s.len()) <= bytes.len());
            if let Some((payload, signature)) = tag(bytes) {
                prop_assert!(payload.len() + signature.len() <= bytes.len());
            }
            let unfolded: usize = headers(bytes, b"mergetag").iter().map(Vec::len).sum();
            prop_assert!(unfolded <= bytes.len());
            person(bytes, b"x").map(date);
        }
    }
}
