//! The body of an answer, freed of its chunks.

use bytes::{Buf as _, Bytes, BytesMut};

use super::Framing;

/// The longest line that tells the size of a chunk.
const LINE: usize = 256;

/// Takes a body apart as it comes.
#[derive(Debug)]
pub struct Body {
    state: State,
}

#[derive(Debug)]
enum State {
    Plain(u64),
    /// Before the line of a chunk.
    Line,
    Chunk(u64),
    /// Before the line end after a chunk.
    After,
    /// The lines after the last chunk, which say nothing of use.
    Trailer,
    Close,
    Done,
}

impl Body {
    /// Begins after the head.
    pub fn new(framing: Framing) -> Self {
        let state = match framing {
            Framing::Length(0) => State::Done,
            Framing::Length(length) => State::Plain(length),
            Framing::Chunked => State::Line,
            Framing::Close => State::Close,
        };
        Self { state }
    }

    /// Takes the next bytes of the body, at most `most`, from the front of
    /// what came; `None` where more has to come first, or nothing will.
    ///
    /// # Errors
    /// Where the chunks make no sense.
    pub fn take(&mut self, input: &mut BytesMut, most: usize) -> Result<Option<Bytes>, BodyError> {
        loop {
            match &mut self.state {
                State::Done => return Ok(None),
                State::Close => {
                    let count = input.len().min(most);
                    return Ok((count > 0).then(|| input.split_to(count).freeze()));
                }
                State::Plain(left) | State::Chunk(left) => {
                    let count = (*left).min(input.len().min(most) as u64) as usize;
                    if count == 0 {
                        return Ok(None);
                    }
                    *left -= count as u64;
                    let over = *left == 0;
                    let bytes = input.split_to(count).freeze();
                    if over {
                        self.state = match self.state {
                            State::Chunk(_) => State::After,
                            _ => State::Done,
                        };
                    }
                    return Ok(Some(bytes));
                }
                State::After => {
                    if input.len() < 2 {
                        return Ok(None);
                    }
                    if !input.starts_with(b"\r\n") {
                        return Err(BodyError);
                    }
                    input.advance(2);
                    self.state = State::Line;
                }
                State::Line => {
                    let Some(line) = line(input)? else {
                        return Ok(None);
                    };
                    self.state = match size(&line).ok_or(BodyError)? {
                        0 => State::Trailer,
                        size => State::Chunk(size),
                    };
                }
                State::Trailer => match line(input)? {
                    None => return Ok(None),
                    Some(line) if line.is_empty() => self.state = State::Done,
                    Some(_) => {}
                },
            }
        }
    }

    /// Tells whether the body has ended, so that another answer may follow.
    pub fn is_over(&self) -> bool {
        matches!(self.state, State::Done)
    }
}

/// Takes a line without its end.
fn line(input: &mut BytesMut) -> Result<Option<Bytes>, BodyError> {
    let window = &input[..input.len().min(LINE)];
    match window.windows(2).position(|w| w == b"\r\n") {
        Some(end) => {
            let line = input.split_to(end).freeze();
            input.advance(2);
            Ok(Some(line))
        }
        None if input.len() >= LINE => Err(BodyError),
        None => Ok(None),
    }
}

/// Reads the size of a chunk, in hexadecimal; what stands behind `;` is
/// nobody's.
fn size(line: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(line).ok()?;
    let digits = text.split(';').next()?.trim_end();
    let plain = (1..=15).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_hexdigit());
    plain
        .then(|| u64::from_str_radix(digits, 16).ok())
        .flatten()
}

/// A body whose chunks make no sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected chunks, got something else")]
pub struct BodyError;

#[cfg(test)]
mod tests {
    use super::*;

    fn all(framing: Framing, raw: &[u8]) -> Result<(Vec<u8>, bool), BodyError> {
        let mut body = Body::new(framing);
        let mut input = BytesMut::new();
        let mut taken = Vec::new();
        // Byte by byte: every state is left and come back to.
        for byte in raw {
            input.extend_from_slice(&[*byte]);
            while let Some(bytes) = body.take(&mut input, 4)? {
                taken.extend_from_slice(&bytes);
            }
        }
        Ok((taken, body.is_over()))
    }

    #[test]
    fn chunks_are_joined() {
        let raw = b"3\r\nabc\r\n0B ;x=1\r\ndefghijklmn\r\n0\r\nT: 1\r\n\r\n";
        let taken = all(Framing::Chunked, raw).unwrap();
        assert_eq!(taken, (b"abcdefghijklmn".to_vec(), true));
        assert_eq!(
            all(Framing::Length(2), b"abcd").unwrap(),
            (b"ab".to_vec(), true)
        );
        assert_eq!(
            all(Framing::Close, b"abcd").unwrap(),
            (b"abcd".to_vec(), false)
        );
    }

    #[test]
    fn chunks_that_make_no_sense() {
        for raw in [
            &b"x\r\n"[..],
            b"\r\n",
            b"-1\r\n",
            b"fffffffffffffffff\r\n",
            b"1\r\nabc",
            b"1 2\r\n",
        ] {
            assert!(all(Framing::Chunked, raw).is_err(), "{raw:?}");
        }
        assert!(all(Framing::Chunked, &[b'1'; LINE]).is_err());
    }
}
