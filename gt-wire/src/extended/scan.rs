//! A small reader of bencode that other clients wrote: keys in any order,
//! unknown things passed over, nothing allocated.

use super::Error;

/// The deepest nesting that is passed over; extension messages need three.
const DEPTH: usize = 16;

/// One value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Item<'a> {
    /// An integer.
    Int(i64),
    /// A byte string.
    Text(&'a [u8]),
    /// A list or dictionary, as its bytes.
    Nested(&'a [u8]),
}

/// Reads from the front of some bytes.
pub(crate) struct Scan<'a> {
    raw: &'a [u8],
    at: usize,
}

impl<'a> Scan<'a> {
    pub(crate) fn new(raw: &'a [u8]) -> Self {
        Self { raw, at: 0 }
    }

    /// Reads a dictionary and calls `each` for its pairs; returns where it
    /// ended, since bytes may follow (BEP 9).
    pub(crate) fn dictionary(
        &mut self,
        mut each: impl FnMut(&'a [u8], Item<'a>),
    ) -> Result<usize, Error> {
        self.expect(b'd')?;
        while self.front() != Some(b'e') {
            let key = self.text()?;
            let value = self.item()?;
            each(key, value);
        }
        self.at += 1;
        Ok(self.at)
    }

    fn item(&mut self) -> Result<Item<'a>, Error> {
        match self.front() {
            Some(b'i') => self.int().map(Item::Int),
            Some(b'l' | b'd') => {
                let start = self.at;
                self.pass()?;
                Ok(Item::Nested(&self.raw[start..self.at]))
            }
            _ => self.text().map(Item::Text),
        }
    }

    /// Passes over a list or dictionary without recursion.
    fn pass(&mut self) -> Result<(), Error> {
        let mut depth = 0;
        loop {
            match self.front() {
                Some(b'l' | b'd') => {
                    depth += 1;
                    self.at += 1;
                }
                Some(b'e') => {
                    depth -= 1;
                    self.at += 1;
                }
                Some(b'i') => {
                    self.int()?;
                }
                _ => {
                    self.text()?;
                }
            }
            match depth {
                0 => return Ok(()),
                DEPTH.. => return Err(self.wrong()),
                _ => {}
            }
        }
    }

    fn int(&mut self) -> Result<i64, Error> {
        self.expect(b'i')?;
        let digits = self.until(b'e', 20)?;
        let text = std::str::from_utf8(digits).ok();
        text.filter(|t| !t.starts_with('+'))
            .and_then(|t| t.parse().ok())
            .ok_or(self.wrong())
    }

    fn text(&mut self) -> Result<&'a [u8], Error> {
        let digits = self.until(b':', 10)?;
        let length = std::str::from_utf8(digits)
            .ok()
            .filter(|t| t.bytes().all(|b| b.is_ascii_digit()))
            .and_then(|t| t.parse::<usize>().ok())
            .ok_or(self.wrong())?;
        let text = self
            .raw
            .get(self.at..)
            .and_then(|rest| rest.get(..length))
            .ok_or(self.wrong())?;
        self.at += length;
        Ok(text)
    }

    /// Takes bytes up to `end`, and `end` itself.
    fn until(&mut self, end: u8, most: usize) -> Result<&'a [u8], Error> {
        let rest = self.raw.get(self.at..).unwrap_or(&[]);
        let length = rest
            .iter()
            .take(most + 1)
            .position(|b| *b == end)
            .ok_or(self.wrong())?;
        self.at += length + 1;
        Ok(&rest[..length])
    }

    fn expect(&mut self, byte: u8) -> Result<(), Error> {
        if self.front() == Some(byte) {
            self.at += 1;
            Ok(())
        } else {
            Err(self.wrong())
        }
    }

    fn front(&self) -> Option<u8> {
        self.raw.get(self.at).copied()
    }

    fn wrong(&self) -> Error {
        Error::Bencode { at: self.at }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn malformed_is_refused_by_name() {
        let cases: [(&str, &[u8]); 9] = [
            ("nothing", b""),
            ("no end", b"d1:ai1e"),
            ("a list", b"le"),
            ("a key that is no string", b"di1ei1ee"),
            ("a string past the end", b"d1:a9:bce"),
            ("a negative length", b"d1:a-1:be"),
            ("an integer without digits", b"d1:aiee"),
            ("a length past usize", b"d1:a99999999999999999999:be"),
            ("an open list", b"d1:al"),
        ];
        for (name, raw) in cases {
            assert!(Scan::new(raw).dictionary(|_, _| ()).is_err(), "{name}");
        }
        let deep = [b"d1:a".as_slice(), &[b'l'; 40], &[b'e'; 41]].concat();
        assert!(Scan::new(&deep).dictionary(|_, _| ()).is_err());
    }

    #[test]
    fn bytes_may_follow() {
        assert_eq!(Scan::new(b"d1:ai1eexyz").dictionary(|_, _| ()), Ok(8));
    }
}
