//! Reads a configuration file as git does (git: `git-config`, "Syntax").

/// One line with a value.
pub(super) struct Variable<'a> {
    /// In lower case; empty before the first.
    pub(super) section: &'a [u8],
    pub(super) subsection: Option<&'a [u8]>,
    /// In lower case.
    pub(super) key: &'a [u8],
    /// `None` for a key that stands alone.
    pub(super) value: Option<&'a [u8]>,
}

/// Shows each variable in order.
///
/// # Errors
/// The number of the line that cannot be read; what stood before was shown.
pub(super) fn read(text: &[u8], show: &mut dyn FnMut(&Variable<'_>)) -> Result<(), usize> {
    // Git skips a byte order mark in a work tree, and takes it for a fault
    // when it checks the blob: this does both.
    let marked = text.strip_prefix(b"\xef\xbb\xbf");
    let mut reader = Reader {
        text: marked.unwrap_or(text),
        at: 0,
        line: 1,
    };
    match reader.all(show) {
        Some(()) if marked.is_none() => Ok(()),
        Some(()) => Err(1),
        None => Err(reader.line),
    }
}

struct Reader<'a> {
    text: &'a [u8],
    at: usize,
    line: usize,
}

impl Reader<'_> {
    /// Returns the next byte; a carriage return before a line feed is none.
    fn next(&mut self) -> Option<u8> {
        let mut byte = *self.text.get(self.at)?;
        self.at += 1;
        if byte == b'\r' && self.text.get(self.at) == Some(&b'\n') {
            byte = b'\n';
            self.at += 1;
        }
        if byte == b'\n' {
            self.line += 1;
        }
        Some(byte)
    }

    fn skip_line(&mut self) {
        while self.next().is_some_and(|b| b != b'\n') {}
    }

    fn all(&mut self, show: &mut dyn FnMut(&Variable<'_>)) -> Option<()> {
        let mut section: Vec<u8> = Vec::new();
        let mut subsection: Option<Vec<u8>> = None;
        while let Some(byte) = self.next() {
            match byte {
                b if b.is_ascii_whitespace() => {}
                b'#' | b';' => self.skip_line(),
                b'[' => (section, subsection) = self.section()?,
                b if b.is_ascii_alphabetic() => {
                    let (key, value) = self.variable(b)?;
                    show(&Variable {
                        section: &section,
                        subsection: subsection.as_deref(),
                        key: &key,
                        value: value.as_deref(),
                    });
                }
                _ => return None,
            }
        }
        Some(())
    }

    fn section(&mut self) -> Option<(Vec<u8>, Option<Vec<u8>>)> {
        let mut name = Vec::new();
        loop {
            match self.next()? {
                b']' => {
                    // The old form: [section.subsection], all in lower case.
                    return Some(match name.iter().position(|b| *b == b'.') {
                        Some(dot) => (name[..dot].to_vec(), Some(name[dot + 1..].to_vec())),
                        None => (name, None),
                    });
                }
                b if b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.') => {
                    name.push(b.to_ascii_lowercase());
                }
                b'\n' => return None,
                b if b.is_ascii_whitespace() => break,
                _ => return None,
            }
        }
        loop {
            match self.next()? {
                b'"' => break,
                b if b != b'\n' && b.is_ascii_whitespace() => {}
                _ => return None,
            }
        }
        let mut below = Vec::new();
        loop {
            match self.next()? {
                b'\n' => return None,
                b'"' => break,
                b'\\' => match self.next()? {
                    b'\n' => return None,
                    other => below.push(other),
                },
                other => below.push(other),
            }
        }
        if self.next()? != b']' {
            return None;
        }
        // [section.middle "sub"] is one subsection for git as well.
        match name.iter().position(|b| *b == b'.') {
            Some(dot) => {
                let middle = [&name[dot + 1..], b".", &below].concat();
                Some((name[..dot].to_vec(), Some(middle)))
            }
            None => Some((name, Some(below))),
        }
    }

    #[allow(clippy::type_complexity, reason = "a key and perhaps a value")]
    fn variable(&mut self, first: u8) -> Option<(Vec<u8>, Option<Vec<u8>>)> {
        let mut key = vec![first.to_ascii_lowercase()];
        let mut byte = self.next();
        while let Some(b) = byte.filter(|b| b.is_ascii_alphanumeric() || *b == b'-') {
            key.push(b.to_ascii_lowercase());
            byte = self.next();
        }
        while matches!(byte, Some(b' ' | b'\t')) {
            byte = self.next();
        }
        match byte {
            None | Some(b'\n') => Some((key, None)),
            Some(b'=') => Some((key, Some(self.value()?))),
            Some(_) => None,
        }
    }

    fn value(&mut self) -> Option<Vec<u8>> {
        let mut value = Vec::new();
        let mut trimmed = 0;
        let (mut quoted, mut comment) = (false, false);
        loop {
            let Some(byte) = self.next().filter(|b| *b != b'\n') else {
                value.truncate(trimmed);
                return (!quoted).then_some(value);
            };
            match byte {
                _ if comment => continue,
                b if b.is_ascii_whitespace() && !quoted => {
                    // Blanks in front are dropped here, those behind at the end.
                    if !value.is_empty() {
                        value.push(b);
                    }
                    continue;
                }
                b'#' | b';' if !quoted => {
                    comment = true;
                    continue;
                }
                // The end of the file is the end of a line.
                b'\\' => match self.next().unwrap_or(b'\n') {
                    b'\n' => continue,
                    b't' => value.push(b'\t'),
                    b'b' => value.push(8),
                    b'n' => value.push(b'\n'),
                    b @ (b'\\' | b'"') => value.push(b),
                    _ => return None,
                },
                b'"' => quoted = !quoted,
                b => value.push(b),
            }
            trimmed = value.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &str) -> (Vec<String>, Result<(), usize>) {
        let mut out = Vec::new();
        let text_of = |b: &[u8]| String::from_utf8_lossy(b).into_owned();
        let read = read(text.as_bytes(), &mut |v| {
            out.push(format!(
                "{}/{}/{}={}",
                text_of(v.section),
                v.subsection.map_or("-".into(), text_of),
                text_of(v.key),
                v.value.map_or("-".into(), text_of),
            ));
        });
        (out, read)
    }

    #[test]
    fn what_git_reads() {
        let (out, read) = all(concat!(
            "# a comment\r\n[Submodule \"A \\\"b\\\\\"]\n\tURL = x y  ; comment\n\tpath = \"  q \" \"#\"\n",
            "alone\n[submodule.Old] Key=\\n\\\n z\n[plain]a="
        ));
        assert_eq!(read, Ok(()));
        assert_eq!(
            out,
            [
                "submodule/A \"b\\/url=x y",
                "submodule/A \"b\\/path=  q  #",
                "submodule/A \"b\\/alone=-",
                "submodule/old/key=\n z",
                "plain/-/a=",
            ]
        );
    }

    #[test]
    fn a_byte_order_mark_hides_nothing() {
        let (out, read) = all("\u{feff}[submodule \"a\"]\nurl=-x");
        assert_eq!(read, Err(1));
        assert_eq!(out, ["submodule/a/url=-x"]);
    }

    #[test]
    fn what_git_does_not_read() {
        for (text, line) in [
            ("[a", 1),
            ("\n[a\n]", 3),
            ("[a \"b]\n", 2),
            ("[a \"b\"x]", 1),
            ("[a]\nx = \"y\n", 3),
            ("[a]\nx = \\q", 2),
            ("[a]\n1x = 2", 2),
            ("[a]\nx y", 2),
        ] {
            assert_eq!(all(text).1, Err(line), "{text:?}");
        }
    }
}
