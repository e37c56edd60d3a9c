//! Builds an object from its base and a delta.

use crate::limits::Exceeded;

/// The two sizes that a delta begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// Bytes of the base.
    pub base: u64,
    /// Bytes of the result.
    pub result: u64,
}

impl Sizes {
    /// Reads the sizes and says how long they are; `None` where `delta` ends
    /// before they do.
    ///
    /// # Errors
    /// [`Error::Number`] where one does not fit into 64 bits.
    pub fn read(delta: &[u8]) -> Result<Option<(Self, usize)>, Error> {
        let Some((base, first)) = number(delta)? else {
            return Ok(None);
        };
        let Some((result, second)) = number(&delta[first..])? else {
            return Ok(None);
        };
        Ok(Some((Self { base, result }, first + second)))
    }
}

/// Little-endian groups of seven bits.
fn number(bytes: &[u8]) -> Result<Option<(u64, usize)>, Error> {
    let mut value = 0;
    for (n, byte) in bytes.iter().enumerate() {
        let part = u64::from(byte & 0x7f);
        let shift = 7 * n;
        if shift >= 64 || (part << shift) >> shift != part {
            return Err(Error::Number);
        }
        value |= part << shift;
        if byte & 0x80 == 0 {
            return Ok(Some((value, n + 1)));
        }
    }
    Ok(None)
}

/// Returns the object that `delta` makes of `base`, of at most `limit` bytes.
///
/// # Errors
/// See [`Error`].
pub fn apply(base: &[u8], delta: &[u8], limit: u64) -> Result<Vec<u8>, Error> {
    let mut result = Vec::new();
    apply_to(base, delta, limit, &mut result)?;
    Ok(result)
}

/// Puts the object that `delta` makes of `base`, of at most `limit` bytes, into
/// `result`, instead of what is there.
///
/// # Errors
/// See [`Error`].
pub(crate) fn apply_to(
    base: &[u8],
    delta: &[u8],
    limit: u64,
    result: &mut Vec<u8>,
) -> Result<(), Error> {
    result.clear();
    let (sizes, at) = Sizes::read(delta)?.ok_or(Error::NoSizes)?;
    if delta.len() < SHORTEST {
        return Err(Error::Short(delta.len()));
    }
    if sizes.base != base.len() as u64 {
        return Err(Error::Base {
            expected: sizes.base,
            got: base.len() as u64,
        });
    }
    if sizes.result > limit {
        return Err(Error::Limit(Exceeded::Object {
            limit,
            got: sizes.result,
            offset: 0,
        }));
    }
    let mut rest = &delta[at..];
    while let Some((&op, after)) = rest.split_first() {
        rest = after;
        let part = if op & 0x80 != 0 {
            let (offset, length) = copy(op, &mut rest)?;
            offset
                .checked_add(length)
                .and_then(|end| base.get(offset..end))
                .ok_or(Error::Copy {
                    offset: offset as u64,
                    length: length as u64,
                    base: base.len() as u64,
                })?
        } else if op != 0 {
            let length = usize::from(op);
            if rest.len() < length {
                return Err(Error::Truncated);
            }
            let (literal, after) = rest.split_at(length);
            rest = after;
            literal
        } else {
            return Err(Error::Reserved);
        };
        if (result.len() + part.len()) as u64 > sizes.result {
            return Err(Error::Result {
                expected: sizes.result,
                got: (result.len() + part.len()) as u64,
            });
        }
        if result.capacity() - result.len() < part.len() {
            reserve(result, part.len(), sizes.result);
        }
        result.extend_from_slice(part);
    }
    if result.len() as u64 != sizes.result {
        return Err(Error::Result {
            expected: sizes.result,
            got: result.len() as u64,
        });
    }
    Ok(())
}

/// Git takes nothing shorter for a delta: two sizes and one instruction. Only
/// an empty result could be said in less.
const SHORTEST: usize = 4;

/// Bytes for which there is room when no more than a promise has come.
pub(crate) const TRUSTED: u64 = 1 << 20;

/// Makes room for `more`, doubling, never above what the delta promises: a
/// promise costs the sender nothing, so memory follows what was made.
fn reserve(result: &mut Vec<u8>, more: usize, promised: u64) {
    let want = (result.len() as u64 + more as u64)
        .max(2 * result.len() as u64)
        .max(TRUSTED)
        .min(promised);
    result.reserve_exact(usize::try_from(want).unwrap_or(usize::MAX) - result.len());
}

fn copy(op: u8, rest: &mut &[u8]) -> Result<(usize, usize), Error> {
    let mut field = |bits: u8| -> Result<usize, Error> {
        let mut value = 0;
        for n in 0..8 {
            if bits >> n & 1 == 1 {
                let (&byte, after) = rest.split_first().ok_or(Error::Truncated)?;
                *rest = after;
                value |= usize::from(byte) << (8 * n);
            }
        }
        Ok(value)
    };
    let offset = field(op & 0x0f)?;
    let length = field(op >> 4 & 0x07)?;
    Ok((offset, if length == 0 { 0x1_0000 } else { length }))
}

/// Why a delta cannot be applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// It ends inside its sizes.
    #[error("expected the sizes of base and result, got the end of the delta")]
    NoSizes,
    /// It is too short to be one.
    #[error("expected a delta of at least 4 bytes, got {0}")]
    Short(usize),
    /// A size does not fit into 64 bits.
    #[error("expected a size below 2^64, got a longer number")]
    Number,
    /// It was made for another base.
    #[error("expected a base of {expected} bytes, got one of {got}")]
    Base {
        /// What the delta says.
        expected: u64,
        /// What the base has.
        got: u64,
    },
    /// It makes another size than it says.
    #[error("expected a result of {expected} bytes, got {got}")]
    Result {
        /// What the delta says.
        expected: u64,
        /// Where counting stopped.
        got: u64,
    },
    /// It copies from beyond the base.
    #[error("expected a copy inside of {base} bytes, got {length} from {offset}")]
    Copy {
        /// Where the copy begins.
        offset: u64,
        /// How long it is.
        length: u64,
        /// How long the base is.
        base: u64,
    },
    /// It ends inside an instruction.
    #[error("expected a whole instruction, got the end of the delta")]
    Truncated,
    /// Instruction 0 is not in use.
    #[error("expected an instruction, got the reserved one")]
    Reserved,
    /// The result is too big.
    #[error(transparent)]
    Limit(Exceeded),
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn varint(mut n: u64, out: &mut Vec<u8>) {
        while n > 0x7f {
            out.push(n as u8 | 0x80);
            n >>= 7;
        }
        out.push(n as u8);
    }

    /// A delta that copies ranges of the base and adds literals, written the
    /// plainest way.
    fn delta(base: usize, ops: &[(usize, usize, Vec<u8>)], result: usize) -> Vec<u8> {
        let mut out = Vec::new();
        varint(base as u64, &mut out);
        varint(result as u64, &mut out);
        for (offset, length, literal) in ops {
            if *length > 0 {
                out.push(0x80 | 0x0f | 0x30);
                out.extend_from_slice(&(*offset as u32).to_le_bytes());
                out.extend_from_slice(&(*length as u16).to_le_bytes());
            }
            if !literal.is_empty() {
                out.push(literal.len() as u8);
                out.extend_from_slice(literal);
            }
        }
        out
    }

    proptest! {
        #[test]
        fn copies_and_literals(
            base in proptest::collection::vec(any::<u8>(), 1..2000),
            ops in proptest::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), proptest::collection::vec(any::<u8>(), 0..127)), 0..20),
        ) {
            let ops: Vec<_> = ops.into_iter().map(|(a, b, literal)| {
                let (a, b) = (a.index(base.len()), b.index(base.len()));
                (a.min(b), a.abs_diff(b), literal)
            }).collect();
            let expected: Vec<u8> = ops.iter()
                .flat_map(|(offset, length, literal)| [&base[*offset..offset + length], literal].concat())
                .collect();
            let delta = delta(base.len(), &ops, expected.len());
            // git takes no delta that is shorter, whatever it says.
            prop_assume!(delta.len() >= 4);
            prop_assert_eq!(apply(&base, &delta, u64::MAX).unwrap(), expected);
        }

        #[test]
        fn any_bytes_are_applied_or_refused(base in proptest::collection::vec(any::<u8>(), 0..200), delta in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = apply(&base, &delta, 1 << 20);
        }
    }

    #[test]
    fn a_promise_costs_nothing() {
        let mut bytes = Vec::new();
        varint(1, &mut bytes);
        varint(1 << 60, &mut bytes);
        bytes.extend_from_slice(&[1, b'x']);
        assert_eq!(
            apply(b"a", &bytes, u64::MAX),
            Err(Error::Result {
                expected: 1 << 60,
                got: 1
            })
        );
    }
}
