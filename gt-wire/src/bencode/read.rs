//! One pass over foreign bytes, then a view of what they hold.

use std::fmt;

use crate::limits;

/// What a reader demands and what it bears.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// What dictionaries must keep.
    pub keys: Keys,
    /// The most bytes.
    pub bytes: usize,
    /// The deepest nesting.
    pub depth: usize,
    /// The most values, keys counted.
    pub values: usize,
}

impl Limits {
    /// For one message of a peer or a tracker: what is unsorted is read, what
    /// is ambiguous is not.
    pub const MESSAGE: Self = Self {
        keys: Keys::Unique,
        bytes: limits::BENCODE_MESSAGE_BYTES,
        depth: 16,
        values: limits::BENCODE_MESSAGE_VALUES,
    };

    /// For a torrent: many in use have keys out of order.
    pub const METAINFO: Self = Self {
        keys: Keys::Unique,
        bytes: limits::METAINFO_BYTES,
        depth: limits::BENCODE_DEPTH,
        values: limits::BENCODE_VALUES,
    };

    /// Returns the limits with another demand on dictionaries.
    #[must_use]
    pub const fn with_keys(self, keys: Keys) -> Self {
        Self { keys, ..self }
    }
}

/// What the keys of a dictionary must keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Keys {
    /// Sorted by bytes, each once: the canonical form.
    Sorted,
    /// Each once, in any order.
    Unique,
    /// Anything; of equal keys the first counts.
    Any,
}

/// The kinds of values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A decimal number, of any length.
    Integer,
    /// A string of bytes.
    Bytes,
    /// A list.
    List,
    /// A dictionary.
    Dict,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Integer => "an integer",
            Self::Bytes => "a string",
            Self::List => "a list",
            Self::Dict => "a dictionary",
        })
    }
}

/// One value and where it lies. Values stand in the order of the bytes, a
/// list before what it holds.
#[derive(Clone, Copy, Debug)]
struct Token {
    kind: Kind,
    start: u32,
    end: u32,
    /// The content of a string; for others the same as `start`.
    content: u32,
    /// The number of the next value that is not inside this one.
    next: u32,
}

/// Bytes that are known to be well-formed.
#[derive(Clone, Debug)]
pub struct Document<'a> {
    bytes: &'a [u8],
    tokens: Vec<Token>,
}

impl<'a> Document<'a> {
    /// Reads bytes that are one value and nothing else.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn parse(bytes: &'a [u8], limits: Limits) -> Result<Self, Error> {
        match Self::parse_prefix(bytes, limits)? {
            (document, []) => Ok(document),
            (_, rest) => Err(Error::Trailing {
                at: bytes.len() - rest.len(),
            }),
        }
    }

    /// Reads one value and returns what follows it, as metadata messages need
    /// (BEP 9).
    ///
    /// # Errors
    /// See [`Error`].
    pub fn parse_prefix(bytes: &'a [u8], limits: Limits) -> Result<(Self, &'a [u8]), Error> {
        // Positions are kept in 32 bits.
        if bytes.len() > limits.bytes || u32::try_from(bytes.len()).is_err() {
            return Err(Error::TooLong {
                limit: limits.bytes,
                got: bytes.len(),
            });
        }
        let mut scan = Scan {
            bytes,
            at: 0,
            tokens: Vec::new(),
            open: Vec::new(),
            limits,
        };
        while !scan.step()? {}
        let (tokens, at) = (scan.tokens, scan.at);
        Ok((Self { bytes, tokens }, &bytes[at..]))
    }

    /// Returns the outermost value.
    pub fn root(&self) -> Node<'_> {
        Node {
            bytes: self.bytes,
            tokens: &self.tokens,
            at: 0,
        }
    }
}

/// A list or dictionary whose end has not come yet.
struct Open {
    token: usize,
    /// The key that came last, as a token, and whether its value is due.
    key: Option<usize>,
    due: bool,
    unsorted: bool,
}

struct Scan<'a> {
    bytes: &'a [u8],
    at: usize,
    tokens: Vec<Token>,
    open: Vec<Open>,
    limits: Limits,
}

impl Scan<'_> {
    /// Reads one token; tells whether the outermost value has ended.
    fn step(&mut self) -> Result<bool, Error> {
        let at = self.at;
        let first = *self.bytes.get(at).ok_or(Error::Truncated { at })?;
        if first == b'e' {
            return self.close();
        }
        if self.tokens.len() >= self.limits.values {
            return Err(Error::TooMany {
                limit: self.limits.values,
            });
        }
        self.place(first)?;
        let number = self.tokens.len();
        let (kind, content) = match first {
            b'i' => {
                self.at = self.digits(at + 1, b'e', true)? + 1;
                (Kind::Integer, at)
            }
            b'0'..=b'9' => {
                let colon = self.digits(at, b':', false)?;
                let length = decimal(&self.bytes[at..colon]);
                let end = length.and_then(|l| (colon + 1).checked_add(l));
                self.at = end
                    .filter(|end| *end <= self.bytes.len())
                    .ok_or(Error::Truncated {
                        at: self.bytes.len(),
                    })?;
                (Kind::Bytes, colon + 1)
            }
            b'l' | b'd' => {
                if self.open.len() >= self.limits.depth {
                    return Err(Error::TooDeep {
                        limit: self.limits.depth,
                    });
                }
                self.open.push(Open {
                    token: number,
                    key: None,
                    due: false,
                    unsorted: false,
                });
                self.at += 1;
                let dict = first == b'd';
                (if dict { Kind::Dict } else { Kind::List }, at)
            }
            _ => return Err(Error::Unexpected { at }),
        };
        self.tokens.push(Token {
            kind,
            start: at as u32,
            end: self.at as u32,
            content: content as u32,
            next: number as u32 + 1,
        });
        if matches!(kind, Kind::Bytes) {
            self.order(number)?;
        }
        Ok(self.open.is_empty())
    }

    /// Notes that a value or key begins, where one may.
    fn place(&mut self, first: u8) -> Result<(), Error> {
        let at = self.at;
        let next = self.tokens.len();
        if let Some(open) = self.open.last_mut()
            && self.tokens[open.token].kind == Kind::Dict
        {
            if open.due {
                open.due = false;
            } else if first.is_ascii_digit() {
                // The key before is compared once this one has been read.
                open.due = true;
                if open.key.is_none() {
                    open.key = Some(next);
                }
            } else {
                return Err(Error::KeyExpected { at });
            }
        }
        Ok(())
    }

    /// Compares a string that was just read with the key before it, if it is
    /// a key.
    fn order(&mut self, number: usize) -> Result<(), Error> {
        let Some(open) = self.open.last_mut() else {
            return Ok(());
        };
        let Some(before) = open.key.filter(|_| open.due) else {
            return Ok(());
        };
        open.key = Some(number);
        if before != number
            && text(self.bytes, &self.tokens[before]) >= text(self.bytes, &self.tokens[number])
        {
            if self.limits.keys == Keys::Sorted {
                return Err(Error::Order {
                    at: self.tokens[number].start as usize,
                });
            }
            open.unsorted = true;
        }
        Ok(())
    }

    fn close(&mut self) -> Result<bool, Error> {
        let at = self.at;
        let open = self.open.pop().ok_or(Error::Unexpected { at })?;
        if open.due {
            return Err(Error::ValueExpected { at });
        }
        self.at += 1;
        let next = self.tokens.len() as u32;
        let token = &mut self.tokens[open.token];
        token.end = self.at as u32;
        token.next = next;
        if open.unsorted && self.limits.keys <= Keys::Unique {
            self.unique(open.token)?;
        }
        Ok(self.open.is_empty())
    }

    fn unique(&self, dict: usize) -> Result<(), Error> {
        let node = Node {
            bytes: self.bytes,
            tokens: &self.tokens,
            at: dict as u32,
        };
        let mut keys: Vec<&[u8]> = node.entries().map(|(key, _)| key).collect();
        keys.sort_unstable();
        match keys.windows(2).find(|two| two[0] == two[1]) {
            Some(_) => Err(Error::Duplicate {
                at: self.tokens[dict].start as usize,
            }),
            None => Ok(()),
        }
    }

    /// Walks over a decimal number in its one written form, which ends with
    /// `end`; returns where `end` lies.
    fn digits(&self, from: usize, end: u8, sign: bool) -> Result<usize, Error> {
        let minus = sign && self.bytes.get(from) == Some(&b'-');
        let start = from + usize::from(minus);
        let tail = self.bytes.get(start..).unwrap_or_default();
        let length = tail
            .iter()
            .position(|b| !b.is_ascii_digit())
            .ok_or(Error::Truncated {
                at: self.bytes.len(),
            })?;
        let number = &tail[..length];
        if tail[length] != end || number.is_empty() {
            return Err(Error::Unexpected { at: start + length });
        }
        if number[0] == b'0' && (length > 1 || minus) {
            return Err(Error::LeadingZero { at: from });
        }
        Ok(start + length)
    }
}

fn text<'a>(bytes: &'a [u8], token: &Token) -> &'a [u8] {
    &bytes[token.content as usize..token.end as usize]
}

fn decimal(digits: &[u8]) -> Option<usize> {
    digits.iter().try_fold(0_usize, |n, digit| {
        n.checked_mul(10)?.checked_add(usize::from(digit - b'0'))
    })
}

/// One value of a [`Document`].
#[derive(Clone, Copy)]
pub struct Node<'d> {
    bytes: &'d [u8],
    tokens: &'d [Token],
    at: u32,
}

impl<'d> Node<'d> {
    fn token(&self) -> &'d Token {
        &self.tokens[self.at as usize]
    }

    fn sibling(self, at: u32) -> Self {
        Self { at, ..self }
    }

    /// Returns the kind of the value.
    pub fn kind(&self) -> Kind {
        self.token().kind
    }

    /// Returns the bytes of the value as they came, marks included.
    pub fn raw(&self) -> &'d [u8] {
        &self.bytes[self.token().start as usize..self.token().end as usize]
    }

    /// Returns where the value begins, in bytes.
    pub fn position(&self) -> usize {
        self.token().start as usize
    }

    /// Returns the content of a string.
    pub fn as_bytes(&self) -> Option<&'d [u8]> {
        (self.kind() == Kind::Bytes).then(|| text(self.bytes, self.token()))
    }

    /// Returns the content of a string that is UTF-8.
    pub fn as_str(&self) -> Option<&'d str> {
        std::str::from_utf8(self.as_bytes()?).ok()
    }

    /// Returns the value of an integer that fits.
    pub fn as_i64(&self) -> Option<i64> {
        self.number()?.parse().ok()
    }

    /// Returns the value of an integer that fits.
    pub fn as_u64(&self) -> Option<u64> {
        self.number()?.parse().ok()
    }

    fn number(&self) -> Option<&'d str> {
        let raw = self.raw();
        match self.kind() {
            Kind::Integer => std::str::from_utf8(&raw[1..raw.len() - 1]).ok(),
            _ => None,
        }
    }

    /// Iterates over a list; over nothing for other kinds.
    pub fn items(&self) -> Items<'d> {
        let list = self.kind() == Kind::List;
        Items {
            node: *self,
            at: self.at + 1,
            end: if list { self.token().next } else { 0 },
        }
    }

    /// Iterates over the keys and values of a dictionary, in the order of the
    /// bytes; over nothing for other kinds.
    pub fn entries(&self) -> Entries<'d> {
        let dict = self.kind() == Kind::Dict;
        Entries(Items {
            node: *self,
            at: self.at + 1,
            end: if dict { self.token().next } else { 0 },
        })
    }

    /// Returns the value of a dictionary's key: the first, if there are more.
    pub fn get(&self, key: &[u8]) -> Option<Self> {
        let mut entries = self.entries();
        entries.find(|(k, _)| *k == key).map(|(_, value)| value)
    }
}

impl fmt::Debug for Node<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let raw = self.raw();
        write!(f, "{}", raw[..raw.len().min(64)].escape_ascii())
    }
}

/// The values of a list.
#[derive(Clone, Debug)]
pub struct Items<'d> {
    node: Node<'d>,
    at: u32,
    end: u32,
}

impl<'d> Iterator for Items<'d> {
    type Item = Node<'d>;

    fn next(&mut self) -> Option<Node<'d>> {
        (self.at < self.end).then(|| {
            let node = self.node.sibling(self.at);
            self.at = node.token().next;
            node
        })
    }
}

/// The keys and values of a dictionary.
#[derive(Clone, Debug)]
pub struct Entries<'d>(Items<'d>);

impl<'d> Iterator for Entries<'d> {
    type Item = (&'d [u8], Node<'d>);

    fn next(&mut self) -> Option<Self::Item> {
        let key = self.0.next()?;
        Some((key.as_bytes()?, self.0.next()?))
    }
}

/// Why bytes are not bencoded, or not as demanded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// More bytes than the limit.
    #[error("expected at most {limit} bytes, got {got}")]
    TooLong {
        /// The limit.
        limit: usize,
        /// What came.
        got: usize,
    },
    /// More values than the limit.
    #[error("expected at most {limit} values, got more")]
    TooMany {
        /// The limit.
        limit: usize,
    },
    /// Deeper than the limit.
    #[error("expected at most {limit} nested lists and dictionaries, got more")]
    TooDeep {
        /// The limit.
        limit: usize,
    },
    /// The bytes end inside a value.
    #[error("expected more bytes, got the end at byte {at}")]
    Truncated {
        /// Where.
        at: usize,
    },
    /// A byte that cannot stand there.
    #[error("expected a bencoded value, got something else at byte {at}")]
    Unexpected {
        /// Where.
        at: usize,
    },
    /// A number with zeros before it, or minus zero.
    #[error("expected a number without leading zeros, got some at byte {at}")]
    LeadingZero {
        /// Where.
        at: usize,
    },
    /// A dictionary with a key that is no string.
    #[error("expected a string as key, got another value at byte {at}")]
    KeyExpected {
        /// Where.
        at: usize,
    },
    /// A dictionary that ends after a key.
    #[error("expected a value for the last key, got the end of the dictionary at byte {at}")]
    ValueExpected {
        /// Where.
        at: usize,
    },
    /// Keys out of order, or twice, where they must be sorted.
    #[error("expected sorted keys, got one out of order at byte {at}")]
    Order {
        /// Where.
        at: usize,
    },
    /// A key twice.
    #[error("expected each key once, got one twice in the dictionary at byte {at}")]
    Duplicate {
        /// Where the dictionary begins.
        at: usize,
    },
    /// Bytes after the value.
    #[error("expected the end, got more bytes at byte {at}")]
    Trailing {
        /// Where.
        at: usize,
    },
}

#[cfg(test)]
mod tests;
