//! What an attacker, or a careless tool, makes of a signed commit or tag.

pub(crate) fn replaced(bytes: &[u8], from: &str, to: &str) -> Vec<u8> {
    let at = bytes
        .windows(from.len())
        .position(|window| window == from.as_bytes())
        .unwrap_or_else(|| panic!("no {from:?} in {}", bytes.escape_ascii()));
    [&bytes[..at], to.as_bytes(), &bytes[at + from.len()..]].concat()
}

pub(crate) fn all_replaced(bytes: &[u8], from: &str, to: &str) -> Vec<u8> {
    let text = String::from_utf8(bytes.to_vec()).unwrap();
    text.replace(from, to).into_bytes()
}

/// What an attacker, or a careless tool, makes of a signed commit.
pub(crate) fn of_commit(good: &[u8], other: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let header = "gpgsig ";
    let value = |bytes: &[u8]| -> Vec<u8> {
        // The header with its continuation lines.
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        let start = text.find(header).unwrap();
        let tail = &text[start..];
        let mut end = tail.find('\n').unwrap() + 1;
        while tail[end..].starts_with(' ') {
            end += tail[end..].find('\n').unwrap() + 1;
        }
        tail.as_bytes()[..end].to_vec()
    };
    let ours = String::from_utf8(value(good)).unwrap();
    let theirs = String::from_utf8(value(other)).unwrap();
    vec![
        ("as it was made", good.to_vec()),
        ("message changed", replaced(good, "a message", "a massage")),
        ("message longer", [good, b"more\n"].concat()),
        ("a NUL in the message", [good, b"\0more\n"].concat()),
        (
            "a header added",
            replaced(good, "\ngpgsig ", "\nencoding latin1\ngpgsig "),
        ),
        ("author changed", replaced(good, "Ann", "Bob")),
        ("another's signature", replaced(good, &ours, &theirs)),
        (
            "signature twice",
            replaced(good, &ours, &format!("{ours}{ours}")),
        ),
        (
            "both signatures",
            replaced(good, &ours, &format!("{ours}{theirs}")),
        ),
        ("no signature", replaced(good, &ours, "")),
        ("an empty signature", replaced(good, &ours, "gpgsig \n")),
        (
            "a signature that is none",
            replaced(good, &ours, "gpgsig hello\n"),
        ),
        (
            "an unsigned header of another kind",
            replaced(good, "\ngpgsig ", "\ngpgsigx y\n z\ngpgsig "),
        ),
        (
            "a signature for the other format",
            replaced(good, "\ngpgsig ", "\ngpgsig-sha256 y\n z\ngpgsig "),
        ),
        (
            "only one for the other format",
            replaced(good, "\ngpgsig ", "\ngpgsig-sha256 "),
        ),
        (
            "a line after the signature",
            replaced(good, "SIGNATURE-----\n\n", "SIGNATURE-----\n more\n\n"),
        ),
        (
            "the signature in the message",
            [&replaced(good, &ours, "")[..], ours.as_bytes()].concat(),
        ),
        ("carriage returns", all_replaced(good, "\n", "\r\n")),
        (
            "carriage returns in the signature",
            replaced(good, &ours, &ours.replace('\n', "\r\n")),
        ),
        (
            "blanks at the ends of its lines",
            replaced(good, &ours, &ours.replace('\n', "  \n")),
        ),
        ("cut off in the midst", good[..good.len() / 2].to_vec()),
        ("no tree", replaced(good, "tree ", "tre ")),
        (
            "a parent that is none",
            replaced(good, "\nauthor", "\nparent 00\nauthor"),
        ),
        (
            "a signature that is not unfolded",
            replaced(good, &ours, &ours.replace("\n ", "\n")),
        ),
        (
            "the tree twice",
            replaced(
                good,
                "\nauthor",
                "\ntree 4b825dc642cb6eb9a060e54bf8d69288fbee4904\nauthor",
            ),
        ),
    ]
}

pub(crate) fn of_tag(good: &[u8], other: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let at = |bytes: &[u8]| -> usize {
        let begin = b"-----BEGIN ";
        bytes
            .windows(begin.len())
            .rposition(|w| w == begin)
            .unwrap()
    };
    let (text, ours) = good.split_at(at(good));
    let theirs = &other[at(other)..];
    vec![
        ("as it was made", good.to_vec()),
        ("message changed", replaced(good, "a tag", "a tug")),
        ("text after the signature", [good, b"more\n"].concat()),
        ("a NUL after the signature", [good, b"\0"].concat()),
        (
            "text before the signature",
            [text, b"more\n", ours].concat(),
        ),
        ("signature twice", [good, ours].concat()),
        ("another's after it", [good, theirs].concat()),
        ("another's before it", [text, theirs, ours].concat()),
        ("another's", [text, theirs].concat()),
        ("no signature", text.to_vec()),
        (
            "a signature that is none",
            [text, b"-----BEGIN PGP SIGNATURE-----\n"].concat(),
        ),
        ("an indented one", [text, b" ", ours].concat()),
        (
            "a header for the other format",
            replaced(good, "\ntagger", "\ngpgsig-sha256 a\n b\ntagger"),
        ),
        (
            "a header of ours",
            replaced(good, "\ntagger", "\ngpgsig a\n b\ntagger"),
        ),
        (
            "both headers",
            replaced(good, "\ntagger", "\ngpgsig a\n b\ngpgsig-sha256 c\ntagger"),
        ),
        (
            "a header of another kind",
            replaced(good, "\ntagger", "\ngpgsigx a\ntagger"),
        ),
        ("carriage returns", all_replaced(good, "\n", "\r\n")),
        (
            "carriage returns in the signature",
            [text, &all_replaced(ours, "\n", "\r\n")].concat(),
        ),
        (
            "the last line without its end",
            good[..good.len() - 1].to_vec(),
        ),
        ("cut off in the signature", good[..good.len() - 40].to_vec()),
        ("blanks before the block", [text, b"\n\n", ours].concat()),
    ]
}
