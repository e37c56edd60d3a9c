//! The head of an answer.

use crate::limits;

/// A part of a file that is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// Where it begins, in bytes.
    pub offset: u64,
    /// How many bytes; at least one.
    pub length: u64,
    /// The length of the whole file, as the torrent says.
    pub total: u64,
}

/// What an answer says before its body.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Head {
    /// The status, such as 206.
    pub status: u16,
    /// Bytes of the body.
    pub length: Option<u64>,
    /// First and last byte of the range, and the whole length where told.
    pub range: Option<(u64, u64, Option<u64>)>,
    /// Where else to ask.
    pub location: Option<String>,
    /// Whether the connection can be used again.
    pub keeps: bool,
    chunked: bool,
    coded: bool,
}

/// How the end of a body is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// After so many bytes.
    Length(u64),
    /// By chunks (RFC 9112, 7.1).
    Chunked,
    /// By the end of the connection.
    Close,
}

impl Head {
    /// Reads a head and returns how long it is; `None` until it is whole.
    ///
    /// # Errors
    /// Where it is no head, or longer than [`limits::HTTP_HEAD`].
    pub fn read(raw: &[u8]) -> Result<Option<(Self, usize)>, AnswerError> {
        let window = &raw[..raw.len().min(limits::HTTP_HEAD)];
        let Some(end) = window.windows(4).position(|w| w == b"\r\n\r\n") else {
            let started = &raw[..raw.len().min(5)];
            return match () {
                () if !b"HTTP/".starts_with(started) => Err(AnswerError::NoHttp),
                () if raw.len() >= limits::HTTP_HEAD => Err(AnswerError::Long),
                () => Ok(None),
            };
        };
        let text = std::str::from_utf8(&raw[..end]).map_err(|_| AnswerError::NoHttp)?;
        let mut lines = text.split("\r\n");
        let line = lines.next().unwrap_or_default();
        let minor = line.strip_prefix("HTTP/1.").ok_or(AnswerError::NoHttp)?;
        let (minor, rest) = minor.split_at_checked(1).ok_or(AnswerError::NoHttp)?;
        let status = rest
            .strip_prefix(' ')
            .and_then(|rest| rest.get(..3))
            .filter(|digits| digits.bytes().all(|b| b.is_ascii_digit()))
            .and_then(|digits| digits.parse().ok())
            .ok_or(AnswerError::NoHttp)?;
        let mut head = Self {
            status,
            length: None,
            range: None,
            location: None,
            keeps: minor == "1",
            chunked: false,
            coded: false,
        };
        for line in lines {
            let (name, value) = line.split_once(':').ok_or(AnswerError::NoHttp)?;
            head.field(name, value.trim_matches([' ', '\t']))?;
        }
        Ok(Some((head, end + 4)))
    }

    fn field(&mut self, name: &str, value: &str) -> Result<(), AnswerError> {
        if name.eq_ignore_ascii_case("content-length") {
            let length = digits(value).ok_or(AnswerError::Length)?;
            // Two that differ are a way to smuggle (RFC 9112, 6.3).
            if self.length.is_some_and(|other| other != length) {
                return Err(AnswerError::Length);
            }
            self.length = Some(length);
        } else if name.eq_ignore_ascii_case("content-range") {
            self.range = Some(range(value).ok_or(AnswerError::Range)?);
        } else if name.eq_ignore_ascii_case("location") {
            self.location = Some(value.to_owned());
        } else if name.eq_ignore_ascii_case("connection") {
            self.keeps &= !value.eq_ignore_ascii_case("close");
        } else if name.eq_ignore_ascii_case("transfer-encoding") {
            self.chunked = value.eq_ignore_ascii_case("chunked");
            self.coded |= !self.chunked;
        } else if name.eq_ignore_ascii_case("content-encoding") {
            self.coded |= !value.eq_ignore_ascii_case("identity");
        }
        Ok(())
    }

    /// Tells whether it sends us elsewhere.
    pub fn is_redirect(&self) -> bool {
        matches!(self.status, 301 | 302 | 303 | 307 | 308) && self.location.is_some()
    }

    /// Returns at which byte of the file the body begins: at the part, or at
    /// 0 where the server knows no ranges.
    ///
    /// # Errors
    /// Where the body is anything else.
    pub fn starts_at(&self, part: Part) -> Result<u64, AnswerError> {
        if self.coded {
            return Err(AnswerError::Coded);
        }
        match self.status {
            200 => match self.length {
                Some(length) if length != part.total => Err(AnswerError::Another {
                    expected: part.total,
                    got: length,
                }),
                _ => Ok(0),
            },
            206 => {
                let (first, last, total) = self.range.ok_or(AnswerError::Range)?;
                if let Some(total) = total
                    && total != part.total
                {
                    return Err(AnswerError::Another {
                        expected: part.total,
                        got: total,
                    });
                }
                let end = part.offset.checked_add(part.length);
                let fits = first == part.offset && last.checked_add(1) == end;
                let long = self.length.is_some_and(|length| length != part.length);
                match fits && !long {
                    true => Ok(part.offset),
                    false => Err(AnswerError::Range),
                }
            }
            status => Err(AnswerError::Status(status)),
        }
    }

    /// Returns how the end of the body is known.
    ///
    /// # Errors
    /// Where it is told in two ways.
    pub fn framing(&self) -> Result<Framing, AnswerError> {
        match (self.chunked, self.length) {
            (true, Some(_)) => Err(AnswerError::Length),
            (true, None) => Ok(Framing::Chunked),
            (false, Some(length)) => Ok(Framing::Length(length)),
            (false, None) => Ok(Framing::Close),
        }
    }
}

fn digits(text: &str) -> Option<u64> {
    let plain = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    plain.then(|| text.parse().ok()).flatten()
}

/// Reads `bytes 5-7/100`, or `*` for a whole length that is not known.
fn range(text: &str) -> Option<(u64, u64, Option<u64>)> {
    let text = text.strip_prefix("bytes ")?;
    let (span, total) = text.split_once('/')?;
    let (first, last) = span.split_once('-')?;
    let total = match total {
        "*" => None,
        total => Some(digits(total)?),
    };
    let (first, last) = (digits(first)?, digits(last)?);
    (first <= last).then_some((first, last, total))
}

/// Why an answer is not the part that was asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AnswerError {
    /// It is no HTTP/1 answer.
    #[error("expected an answer of HTTP/1, got something else")]
    NoHttp,
    /// Its head does not end.
    #[error("expected a head of at most {most} bytes, got more", most = limits::HTTP_HEAD)]
    Long,
    /// Its length is told in no way or in two.
    #[error("expected one length of the body, got none that makes sense")]
    Length,
    /// It is another range.
    #[error("expected the range that was asked for, got another")]
    Range,
    /// It is another file.
    #[error("expected a file of {expected} bytes, got one of {got}")]
    Another {
        /// What the torrent says.
        expected: u64,
        /// What the server says.
        got: u64,
    },
    /// It is compressed.
    #[error("expected the file as it is, got it encoded")]
    Coded,
    /// The server has no such file, or trouble.
    #[error("expected status 206 or 200, got {0}")]
    Status(u16),
}

impl AnswerError {
    /// Tells whether the file may be there at another time; a server that
    /// has another file of the name will not get ours by waiting.
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::Status(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PART: Part = Part {
        offset: 10,
        length: 5,
        total: 100,
    };

    fn judge(raw: &str) -> Result<u64, AnswerError> {
        let (head, length) = Head::read(raw.as_bytes())?.unwrap();
        assert_eq!(length, raw.len());
        head.framing()?;
        head.starts_at(PART)
    }

    #[test]
    fn lies_are_told_by_their_name() {
        use AnswerError as E;
        let another = |got| E::Another { expected: 100, got };
        for (raw, expected) in [
            (
                "HTTP/1.1 206 P\r\nContent-Range: bytes 10-14/100\r\n\r\n",
                Ok(10),
            ),
            (
                "HTTP/1.0 206\r\nContent-Range: bytes 10-14/*\r\n\r\n",
                Ok(10),
            ),
            ("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n", Ok(0)),
            ("HTTP/1.1 200 OK\r\n\r\n", Ok(0)),
            ("HTTP/1.1 206 P\r\n\r\n", Err(E::Range)),
            (
                "HTTP/1.1 206 P\r\nContent-Range: bytes 0-4/100\r\n\r\n",
                Err(E::Range),
            ),
            (
                "HTTP/1.1 206 P\r\nContent-Range: bytes 10-99/100\r\n\r\n",
                Err(E::Range),
            ),
            (
                "HTTP/1.1 206 P\r\nContent-Range: bytes 14-10/100\r\n\r\n",
                Err(E::Range),
            ),
            (
                "HTTP/1.1 206 P\r\nContent-Range: bytes 10-14/100\r\nContent-Length: 99\r\n\r\n",
                Err(E::Range),
            ),
            (
                "HTTP/1.1 206 P\r\nContent-Range: bytes 10-18446744073709551615/100\r\n\r\n",
                Err(E::Range),
            ),
            (
                "HTTP/1.1 206 P\r\nContent-Range: bytes 10-14/101\r\n\r\n",
                Err(another(101)),
            ),
            (
                "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n",
                Err(another(7)),
            ),
            (
                "HTTP/1.1 200 OK\r\nContent-Length: +100\r\n\r\n",
                Err(E::Length),
            ),
            (
                "HTTP/1.1 200 OK\r\nContent-Length: 100\r\nContent-Length: 5\r\n\r\n",
                Err(E::Length),
            ),
            (
                "HTTP/1.1 200 OK\r\nContent-Length: 100\r\nTransfer-Encoding: chunked\r\n\r\n",
                Err(E::Length),
            ),
            (
                "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n",
                Err(E::Coded),
            ),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
                Err(E::Coded),
            ),
            ("HTTP/1.1 404 Not Found\r\n\r\n", Err(E::Status(404))),
            ("HTTP/2 200\r\n\r\n", Err(E::NoHttp)),
            ("HTTP/1.1 2x0 OK\r\n\r\n", Err(E::NoHttp)),
            ("HTTP/1.1 200 OK\r\nno colon\r\n\r\n", Err(E::NoHttp)),
        ] {
            assert_eq!(judge(raw), expected, "{raw:?}");
        }
    }

    #[test]
    fn a_head_is_waited_for_within_bounds() {
        assert_eq!(Head::read(b"HTT").unwrap(), None);
        assert_eq!(Head::read(b"").unwrap(), None);
        assert_eq!(Head::read(b"SSH-2.0").unwrap_err(), AnswerError::NoHttp);
        let mut long = b"HTTP/1.1 200 OK\r\nX: ".to_vec();
        long.resize(limits::HTTP_HEAD + 4, b'x');
        assert_eq!(Head::read(&long).unwrap_err(), AnswerError::Long);
    }

    #[test]
    fn redirects_need_a_place() {
        let head = |raw: &str| Head::read(raw.as_bytes()).unwrap().unwrap().0;
        assert!(head("HTTP/1.1 302 F\r\nLocation: http://h/\r\n\r\n").is_redirect());
        assert!(!head("HTTP/1.1 302 F\r\n\r\n").is_redirect());
        assert!(!head("HTTP/1.1 200 F\r\nLocation: /\r\nConnection: Close\r\n\r\n").keeps);
    }
}
