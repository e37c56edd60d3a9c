//! Reading a header of anybody's making.

use gt_vfs::{ObjectFormat, ObjectId};

use super::{Error, Header, MAX_HEADER, MAX_LINE, MAX_LINES};

const V2: &[u8] = b"# v2 git bundle\n";
const V3: &[u8] = b"# v3 git bundle\n";

pub(super) fn header(bytes: &[u8]) -> Result<Option<(Header, usize)>, Error> {
    let start = &bytes[..bytes.len().min(V2.len())];
    let v3 = V3.starts_with(start);
    if !v3 && !V2.starts_with(start) {
        return Err(Error::Signature);
    }
    let mut header = Header {
        format: ObjectFormat::Sha1,
        prerequisites: Vec::new(),
        tips: Vec::new(),
    };
    let mut lines = Lines {
        bytes,
        at: V2.len().min(bytes.len()),
        number: 1,
    };
    loop {
        let Some(line) = lines.next()? else {
            return Ok(None);
        };
        if line.is_empty() {
            return Ok(Some((header, lines.at)));
        }
        let fresh = header.prerequisites.is_empty() && header.tips.is_empty();
        if v3 && fresh && line[0] == b'@' {
            header.format = capability(&line[1..])?;
            continue;
        }
        if header.prerequisites.len() + header.tips.len() == MAX_LINES {
            return Err(Error::TooLong {
                what: "prerequisites and tips",
                limit: MAX_LINES,
            });
        }
        entry(line, &mut header).ok_or_else(|| Error::Line {
            line: lines.number,
            text: excerpt(line),
        })?;
    }
}

/// Takes a line into the header; `None` where it has no place there.
fn entry(line: &[u8], header: &mut Header) -> Option<()> {
    let digits = header.format.hex_len();
    if line[0] == b'-' {
        let (id, comment) = line[1..].split_at_checked(digits)?;
        // Git takes prerequisites in any place; its own come first.
        (comment.is_empty() || comment[0] == b' ').then_some(())?;
        header.prerequisites.push(ObjectId::from_hex(id).ok()?);
    } else {
        let (id, rest) = line.split_at_checked(digits)?;
        let name = rest.strip_prefix(b" ")?;
        let plain = |b: &u8| *b > b' ' && *b != 0x7f;
        (!name.is_empty() && name.iter().all(plain)).then_some(())?;
        header
            .tips
            .push((name.to_vec(), ObjectId::from_hex(id).ok()?));
    }
    Some(())
}

fn capability(text: &[u8]) -> Result<ObjectFormat, Error> {
    match text.strip_prefix(b"object-format=") {
        Some(b"sha1") => Ok(ObjectFormat::Sha1),
        Some(b"sha256") => Ok(ObjectFormat::Sha256),
        Some(other) => Err(Error::Format(excerpt(other))),
        None => Err(Error::Capability(excerpt(text))),
    }
}

fn excerpt(bytes: &[u8]) -> String {
    String::from_utf8_lossy(&bytes[..bytes.len().min(60)]).into_owned()
}

struct Lines<'a> {
    bytes: &'a [u8],
    at: usize,
    number: usize,
}

impl<'a> Lines<'a> {
    /// Returns the next whole line without its line feed; `None` where it has
    /// not come to its end yet.
    fn next(&mut self) -> Result<Option<&'a [u8]>, Error> {
        let rest = &self.bytes[self.at..];
        let window = &rest[..rest.len().min(MAX_LINE + 1)];
        let end = window.iter().position(|b| *b == b'\n');
        if end.is_none() && window.len() > MAX_LINE {
            return Err(Error::TooLong {
                what: "bytes in a line",
                limit: MAX_LINE,
            });
        }
        if self.at + end.unwrap_or(rest.len()) >= MAX_HEADER {
            return Err(Error::TooLong {
                what: "bytes",
                limit: MAX_HEADER,
            });
        }
        let Some(end) = end else { return Ok(None) };
        self.at += end + 1;
        self.number += 1;
        Ok(Some(&rest[..end]))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn id(format: ObjectFormat) -> BoxedStrategy<ObjectId> {
        proptest::collection::vec(any::<u8>(), format.raw_len())
            .prop_map(|b| ObjectId::from_bytes(&b).unwrap())
            .boxed()
    }

    prop_compose! {
        fn any_header()(format in prop_oneof![Just(ObjectFormat::Sha1), Just(ObjectFormat::Sha256)])(
            prerequisites in proptest::collection::vec(id(format), 0..4),
            tips in proptest::collection::vec(("refs/[a-zü]{1,9}/[!-~]{1,20}", id(format)), 0..4),
            format in Just(format),
        ) -> Header {
            let tips = tips.into_iter().map(|(name, id)| (name.into_bytes(), id)).collect();
            Header { format, prerequisites, tips }
        }
    }

    proptest! {
        #[test]
        fn what_was_written_is_read(header in any_header(), pack in "PACK.*") {
            let mut bytes = header.write();
            let length = bytes.len();
            for cut in 0..length {
                prop_assert_eq!(Header::read(&bytes[..cut]), Ok(None));
            }
            bytes.extend_from_slice(pack.as_bytes());
            prop_assert_eq!(Header::read(&bytes), Ok(Some((header, length))));
        }

        #[test]
        fn any_bytes_are_read_without_panic(junk in proptest::collection::vec(any::<u8>(), 0..200), v3: bool) {
            let mut bytes = if v3 { V3.to_vec() } else { V2.to_vec() };
            bytes.extend_from_slice(&junk);
            let _ = Header::read(&bytes);
            let _ = Header::read(&junk);
        }
    }

    const A: &str = "0123456789abcdef0123456789abcdef01234567";
    const B: &str = "1123456789abcdef0123456789abcdef01234567";

    fn read(text: &str) -> Result<Option<(Header, usize)>, Error> {
        Header::read(text.as_bytes())
    }

    #[test]
    fn comments_are_dropped_and_not_canonical() {
        let foreign = format!("# v2 git bundle\n-{A} why not\n{B} refs/heads/a b\n\n");
        assert!(read(&foreign).is_err(), "a space in a ref's name");
        let foreign = format!("# v2 git bundle\n-{A} why not\n-{B}\n{B} refs/heads/a\n\nPACK");
        let (header, length) = read(&foreign).unwrap().unwrap();
        assert_eq!(length, foreign.len() - 4);
        assert_eq!(header.prerequisites.len(), 2);
        assert!(!header.is_canonical(foreign.as_bytes()));
        assert!(header.is_canonical(&header.write()));
    }

    #[test]
    fn order_is_part_of_the_canonical_form() {
        let tip = |name: &str| format!("{A} refs/heads/{name}\n");
        for (names, canonical) in [
            (vec!["z", "a", "b"], true),
            (vec!["a", "b", "c"], true),
            (vec!["z", "b", "a"], false),
            (vec!["a", "a"], false),
            (vec!["a", "b", "b"], false),
            (vec!["b", "a", "b"], false),
        ] {
            let lines: String = names.iter().map(|name| tip(name)).collect();
            let text = format!("# v2 git bundle\n{lines}\n");
            let (header, _) = read(&text).unwrap().unwrap();
            assert_eq!(header.is_canonical(text.as_bytes()), canonical, "{names:?}");
        }
        let text = format!("# v2 git bundle\n-{B} \n-{A} \n{A} HEAD\n\n");
        let (header, _) = read(&text).unwrap().unwrap();
        assert!(!header.is_canonical(text.as_bytes()));
    }

    #[test]
    fn version_3_names_its_format() {
        let long = "e3".repeat(32);
        let text = format!("# v3 git bundle\n@object-format=sha256\n-{long} x\n{long} HEAD\n\n");
        let (header, _) = read(&text).unwrap().unwrap();
        assert_eq!(header.format, ObjectFormat::Sha256);
        let sha1 = format!("# v3 git bundle\n@object-format=sha1\n{A} HEAD\n\n");
        let (header, _) = read(&sha1).unwrap().unwrap();
        assert_eq!(header.format, ObjectFormat::Sha1);
        assert!(!header.is_canonical(sha1.as_bytes()), "SHA-1 is version 2");
    }

    #[test]
    fn unknown_capabilities_are_refused() {
        let filter = read("# v3 git bundle\n@filter=blob:none\n");
        assert_eq!(filter, Err(Error::Capability("filter=blob:none".into())));
        let format = read("# v3 git bundle\n@object-format=md5\n");
        assert_eq!(format, Err(Error::Format("md5".into())));
        assert!(read("# v2 git bundle\n@object-format=sha1\n").is_err());
        let late = format!("# v3 git bundle\n{A} HEAD\n@object-format=sha1\n");
        assert!(read(&late).is_err());
    }

    #[test]
    fn altered_lines_are_refused() {
        for line in [
            format!("{A}\n"),
            format!("{A} \n"),
            format!("{A}refs/heads/a\n"),
            format!("-{}\n", &A[1..]),
            format!("-{A}x\n"),
            format!("{} HEAD\n", A.to_uppercase()),
            format!("{}f HEAD\n", "e3".repeat(32)),
            format!("{A} refs/heads/a\rb\n"),
            format!("{} HEAD\n", "e3".repeat(32)),
            "x\n".into(),
        ] {
            let text = format!("# v2 git bundle\n{line}");
            assert!(
                matches!(read(&text), Err(Error::Line { line: 2, .. })),
                "{line}"
            );
        }
        for first in ["# v4 git bundle\n", "PACK", "# v2 git bundle \n", "\n"] {
            assert_eq!(read(first), Err(Error::Signature), "{first}");
        }
    }

    #[test]
    fn ceilings_are_named() {
        let endless = format!("# v2 git bundle\n-{A} {}", "x".repeat(MAX_LINE));
        assert!(matches!(
            read(&endless),
            Err(Error::TooLong {
                what: "bytes in a line",
                ..
            })
        ));
        let many = format!(
            "# v2 git bundle\n{}",
            format!("-{A} \n").repeat(MAX_LINES + 1)
        );
        assert!(matches!(
            read(&many),
            Err(Error::TooLong {
                limit: MAX_LINES,
                ..
            })
        ));
        let long = format!("-{A} {}\n", "x".repeat(8000));
        let big = format!("# v2 git bundle\n{}", long.repeat(MAX_HEADER / 8000 + 1));
        assert!(matches!(
            read(&big),
            Err(Error::TooLong {
                limit: MAX_HEADER,
                ..
            })
        ));
    }
}
