//! The entries of a tree, one after the other, as they lie.
//!
//! Trees are nine tenths of what a large history inflates to, and each of
//! their entries is looked at by the check of objects and by the rules of a
//! reel: so a name is gone through once, and what it is made of is noted.

/// One entry.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry<'a> {
    /// The mode: the lowest bits of whatever stands there.
    pub(crate) mode: u32,
    /// The mode as it is written.
    pub(crate) digits: &'a [u8],
    /// Never empty, without a NUL.
    pub(crate) name: &'a [u8],
    /// The bytes of the id.
    pub(crate) oid: &'a [u8],
    marks: u8,
}

const END: u8 = 1;
const SLASH: u8 = 2;
/// A backslash or a tilde.
const ODD: u8 = 4;

/// What a byte of a name means.
const MEANS: [u8; 256] = {
    let mut means = [0; 256];
    means[0] = END;
    means[b'/' as usize] = SLASH;
    means[b'\\' as usize] = ODD;
    means[b'~' as usize] = ODD;
    means
};

impl<'a> Entry<'a> {
    /// Takes the next entry, with an id of `width` bytes; `None`, and nothing
    /// taken, where the bytes are none.
    pub(crate) fn take(rest: &mut &'a [u8], width: usize) -> Option<Self> {
        let bytes = *rest;
        let (mode, digits) = match bytes {
            [b'1', b'0', b'0', b'6', b'4', b'4', b' ', ..] => (0o100_644, 6),
            [b'4', b'0', b'0', b'0', b'0', b' ', ..] => (0o040_000, 5),
            _ => mode(bytes)?,
        };
        let after = &bytes[digits + 1..];
        let (mut marks, mut end) = (0, 0);
        loop {
            let means = MEANS[usize::from(*after.get(end)?)];
            if means == END {
                break;
            }
            marks |= means;
            end += 1;
        }
        if end == 0 {
            return None;
        }
        let oid = after.get(end + 1..end + 1 + width)?;
        *rest = &after[end + 1 + width..];
        Some(Self {
            mode,
            digits: &bytes[..digits],
            name: &after[..end],
            oid,
            marks,
        })
    }

    pub(crate) fn has_slash(&self) -> bool {
        self.marks & SLASH != 0
    }

    /// Tells whether the name could be one of git's own files in disguise.
    /// These begin with a dot, or with a code point that HFS+ leaves out, or
    /// are short names of NTFS, which have a tilde, or stand behind a
    /// backslash.
    pub(crate) fn may_be_disguised(&self) -> bool {
        self.marks & ODD != 0 || matches!(self.name[0], b'.' | 0x80..)
    }
}

/// Reads an octal number up to a blank, and returns how long it is.
fn mode(bytes: &[u8]) -> Option<(u32, usize)> {
    let mut mode = 0_u32;
    for (at, byte) in bytes.iter().enumerate() {
        match byte {
            b'0'..=b'7' => mode = mode << 3 | u32::from(byte - b'0'),
            b' ' if at > 0 => return Some((mode, at)),
            _ => return None,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(bytes: &[u8]) -> Option<(u32, Vec<u8>, Vec<u8>, usize)> {
        let mut rest = bytes;
        let taken = Entry::take(&mut rest, 3);
        let left = rest.len();
        assert!(taken.is_some() || left == bytes.len());
        taken.map(|e| (e.mode, e.digits.to_vec(), e.name.to_vec(), left))
    }

    #[test]
    fn entries() {
        let read = |mode, digits: &str, name: &str, left| {
            let (digits, name) = (digits.as_bytes().to_vec(), name.as_bytes().to_vec());
            Some((mode, digits, name, left))
        };
        assert_eq!(one(b"100644 a\0xyz"), read(0o100_644, "100644", "a", 0));
        assert_eq!(one(b"40000 a b\0xyz4"), read(0o40_000, "40000", "a b", 1));
        assert_eq!(one(b"040000 a\0\0\0\0"), read(0o40_000, "040000", "a", 0));
        assert_eq!(one(b"1100644 a\0xyz"), read(0o1_100_644, "1100644", "a", 0));
        for none in [
            &b""[..],
            b"100644",
            b"100644 ",
            b"100644 a",
            b"100644 a\0xy",
            b"100644 \0xyz",
            b" a\0xyz",
            b"100684 a\0xyz",
            b"10064a\0xyz",
        ] {
            assert_eq!(one(none), None, "{none:?}");
        }
    }

    #[test]
    fn names() {
        for (name, slash, odd) in [
            ("a", false, false),
            ("a/b", true, false),
            ("a.b", false, false),
            (".a", false, true),
            ("a~1", false, true),
            ("a\\b/", true, true),
            ("\u{200c}a", false, true),
        ] {
            let bytes = format!("100644 {name}\0xyz");
            let mut rest = bytes.as_bytes();
            let entry = Entry::take(&mut rest, 3).unwrap();
            assert_eq!((entry.has_slash(), entry.may_be_disguised()), (slash, odd));
        }
    }
}
