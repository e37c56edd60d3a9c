//! Reading a message's pack within a budget.

use std::collections::BTreeSet;

use gt_vfs::ObjectId;

use super::{Budget, Error, FORMAT, Object};
use crate::Kind;
use crate::delta::apply::{self, apply};
use crate::entry::{EntryHeader, EntryKind};
use crate::hash::{FileHasher, object_id};
use crate::inflate::Error as InflateError;
use crate::inflate::{Inflater, make_room};

/// Signature, version and number of objects.
const HEADER: usize = 12;

pub(super) fn pack(
    bytes: &[u8],
    bases: &dyn Fn(&ObjectId) -> Option<Vec<u8>>,
    budget: &Budget,
) -> Result<Vec<Object>, Error> {
    let head = bytes.first_chunk::<HEADER>().ok_or(Error::Signature)?;
    let [0x50, 0x41, 0x43, 0x4b, 0, 0, 0, 2, count @ ..] = *head else {
        return Err(Error::Signature);
    };
    let count = u32::from_be_bytes(count);
    let limit = budget.objects;
    if count > limit {
        return Err(Error::Objects { limit, got: count });
    }
    let body = trailer_checked(bytes)?;
    let mut reader = Reader {
        rest: &body[HEADER..],
        left: budget.inflated,
        limit: budget.inflated,
        inflater: Inflater::new(),
    };
    let mut objects = Vec::new();
    let mut seen = BTreeSet::new();
    for got in 0..count {
        let object = reader.object(bases)?.ok_or(Error::Length {
            expected: count,
            got,
            left: reader.rest.len(),
        })?;
        let id = object_id(FORMAT, object.kind, &object.bytes)?;
        if !seen.insert(id) {
            return Err(Error::Twice(id));
        }
        objects.push(object);
    }
    match reader.rest.len() {
        0 => Ok(objects),
        left => Err(Error::Length {
            expected: count,
            got: count,
            left,
        }),
    }
}

/// Returns the bytes before the trailer, which must be their hash.
fn trailer_checked(bytes: &[u8]) -> Result<&[u8], Error> {
    let end = bytes.len().checked_sub(FORMAT.raw_len());
    let end = end.filter(|end| *end >= HEADER).ok_or(Error::Trailer)?;
    let (body, trailer) = bytes.split_at(end);
    let mut sum = FileHasher::new(FORMAT);
    sum.update(body);
    if sum.finish().as_bytes() == trailer {
        Ok(body)
    } else {
        Err(Error::Trailer)
    }
}

struct Reader<'a> {
    rest: &'a [u8],
    /// Bytes that may still be inflated.
    left: u64,
    limit: u64,
    inflater: Inflater,
}

impl Reader<'_> {
    /// Reads the next object; `None` where the pack ends inside its header.
    fn object(
        &mut self,
        bases: &dyn Fn(&ObjectId) -> Option<Vec<u8>>,
    ) -> Result<Option<Object>, Error> {
        let Some((header, length)) = EntryHeader::read(self.rest, FORMAT)? else {
            return Ok(None);
        };
        let base = match header.kind {
            EntryKind::Whole(Kind::Blob | Kind::Tag) => None,
            EntryKind::Whole(kind) => return Err(Error::Kind(kind)),
            EntryKind::OfsDelta(_) => return Err(Error::Inside),
            EntryKind::RefDelta(id) => Some(bases(&id).ok_or(Error::Base(id))?),
        };
        self.rest = &self.rest[length..];
        let bytes = self.inflate(header.size)?;
        Ok(Some(match (base, header.kind) {
            (Some(base), _) => {
                if let Some((sizes, _)) = apply::Sizes::read(&bytes)? {
                    self.pay(sizes.result)?;
                }
                Object::new(Kind::Blob, apply(&base, &bytes, self.limit)?)
            }
            (None, EntryKind::Whole(Kind::Tag)) => Object::new(Kind::Tag, bytes),
            (None, _) => Object::new(Kind::Blob, bytes),
        }))
    }

    fn pay(&mut self, bytes: u64) -> Result<(), Error> {
        let limit = self.limit;
        self.left = self
            .left
            .checked_sub(bytes)
            .ok_or(Error::Inflated { limit })?;
        Ok(())
    }

    /// Inflates one stream of exactly `size` bytes: the claim is held against
    /// the budget before it starts, memory is taken as bytes come.
    fn inflate(&mut self, size: u64) -> Result<Vec<u8>, Error> {
        self.pay(size)?;
        self.inflater.reset();
        let mut out = Vec::new();
        loop {
            make_room(&mut out, size);
            let before = out.len();
            let (used, ended) = self.inflater.step(self.rest, &mut out)?;
            self.rest = &self.rest[used..];
            let got = out.len() as u64;
            if got > size || ended && got != size {
                return Err(InflateError::Size(got).into());
            }
            if ended {
                return Ok(out);
            }
            if used == 0 && out.len() == before {
                return Err(InflateError::Stream("its end inside".into()).into());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::write;
    use super::*;

    fn none(_: &ObjectId) -> Option<Vec<u8>> {
        None
    }

    fn holding(base: &[u8]) -> impl Fn(&ObjectId) -> Option<Vec<u8>> {
        let id = object_id(FORMAT, Kind::Blob, base).unwrap();
        move |wanted| (*wanted == id).then(|| base.to_vec())
    }

    fn sealed(mut body: Vec<u8>) -> Vec<u8> {
        let mut sum = FileHasher::new(FORMAT);
        sum.update(&body);
        body.extend_from_slice(sum.finish().as_bytes());
        body
    }

    fn packed(count: u32, entries: &[(EntryKind, u64, &[u8])]) -> Vec<u8> {
        let mut out = b"PACK\0\0\0\x02".to_vec();
        out.extend_from_slice(&count.to_be_bytes());
        let mut deflater = crate::encode::Deflater::new();
        for (kind, size, bytes) in entries {
            EntryHeader {
                kind: *kind,
                size: *size,
            }
            .write(&mut out);
            out.extend_from_slice(&deflater.deflate(bytes));
        }
        sealed(out)
    }

    const BLOB: EntryKind = EntryKind::Whole(Kind::Blob);

    proptest! {
        #[test]
        fn what_was_written_is_read(
            texts in proptest::collection::btree_set("[a-c]{0,300}", 0..9),
            base in "[a-c]{0,300}",
            tag: bool,
        ) {
            let kind = if tag { Kind::Tag } else { Kind::Blob };
            let objects: Vec<_> = texts.iter().map(|text| Object::new(kind, text.as_bytes())).collect();
            let bytes = write(&objects, &[base.clone().into_bytes()]);
            let held = holding(base.as_bytes());
            prop_assert_eq!(pack(&bytes, &held, &Budget::default()), Ok(objects));
        }

        #[test]
        fn any_change_is_noticed(at: prop::sample::Index, bit in 0..8_u32, cut: prop::sample::Index) {
            let objects = [Object::new(Kind::Blob, *b"some text"), Object::new(Kind::Tag, *b"a tag")];
            let good = write(&objects, &[]);
            let mut bad = good.clone();
            bad[at.index(good.len())] ^= 1_u8 << bit;
            prop_assert!(pack(&bad, &none, &Budget::default()).is_err());
            prop_assert!(pack(&good[..cut.index(good.len())], &none, &Budget::default()).is_err());
        }

        #[test]
        fn any_body_is_read_without_panic(junk in proptest::collection::vec(any::<u8>(), 0..200), count in 0..4_u8) {
            let mut body = b"PACK\0\0\0\x02\0\0\0".to_vec();
            body.push(count);
            body.extend_from_slice(&junk);
            let _ = pack(&sealed(body), &|_| Some(b"some base".to_vec()), &Budget::default());
        }
    }

    #[test]
    fn a_statement_comes_as_a_delta() {
        let line = |n: u32| format!("{:040x} refs/tags/v{n}\n", n.wrapping_mul(2_654_435_761));
        let old: String = (0..200).map(line).collect();
        let new = old.replace("v150\n", "v150-moved\n");
        let objects = [Object::new(Kind::Blob, new.as_bytes())];
        let whole = write(&objects, &[]);
        let delta = write(
            &objects,
            &[b"another blob".to_vec(), old.clone().into_bytes()],
        );
        assert!(delta.len() < 100 && whole.len() > 1000);
        let budget = Budget::default();
        assert_eq!(
            pack(&delta, &holding(old.as_bytes()), &budget),
            Ok(objects.to_vec())
        );
        assert!(matches!(pack(&delta, &none, &budget), Err(Error::Base(_))));
    }

    #[test]
    fn ceilings_are_named() {
        let budget = Budget {
            objects: 2,
            inflated: 100,
        };
        let three: Vec<_> = (0..3).map(|n| Object::new(Kind::Blob, [n])).collect();
        let error = pack(&write(&three, &[]), &none, &budget);
        assert_eq!(error, Err(Error::Objects { limit: 2, got: 3 }));
        let two = [
            Object::new(Kind::Blob, [0; 60]),
            Object::new(Kind::Blob, [1; 60]),
        ];
        let error = pack(&write(&two, &[]), &none, &budget);
        assert_eq!(error, Err(Error::Inflated { limit: 100 }));
        let one = [Object::new(Kind::Blob, [0; 100])];
        assert!(pack(&write(&one, &[]), &none, &budget).is_ok());
    }

    #[test]
    fn bombs_are_refused_by_claim_and_by_fact() {
        let budget = Budget::default();
        let zeros = vec![0; 32 << 20];
        let honest = packed(1, &[(BLOB, zeros.len() as u64, &zeros)]);
        assert_eq!(
            pack(&honest, &none, &budget),
            Err(Error::Inflated { limit: 16 << 20 })
        );
        let liar = packed(1, &[(BLOB, 10, &zeros)]);
        assert!(matches!(
            pack(&liar, &none, &budget),
            Err(Error::Inflate(InflateError::Size(_)))
        ));
        let claim = packed(1, &[(BLOB, u64::MAX, b"x")]);
        assert!(matches!(
            pack(&claim, &none, &budget),
            Err(Error::Inflated { .. })
        ));
    }

    #[test]
    fn a_delta_that_grows_is_paid_for() {
        // 64 KiB copied again and again: 7 bytes become 64 KiB each.
        let base = vec![7; 1 << 16];
        let mut delta = vec![0x80, 0x80, 4, 0x80, 0x80, 0x80, 0x80, 1];
        delta.extend(std::iter::repeat_n(0x80, 4096));
        let id = object_id(FORMAT, Kind::Blob, &base).unwrap();
        let bomb = packed(1, &[(EntryKind::RefDelta(id), delta.len() as u64, &delta)]);
        assert_eq!(
            pack(&bomb, &holding(&base), &Budget::default()),
            Err(Error::Inflated { limit: 16 << 20 })
        );
    }

    #[test]
    fn only_blobs_tags_and_held_bases() {
        let budget = Budget::default();
        for kind in [Kind::Commit, Kind::Tree] {
            let other = packed(1, &[(EntryKind::Whole(kind), 1, b"x")]);
            assert_eq!(pack(&other, &none, &budget), Err(Error::Kind(kind)));
        }
        let entries: [(EntryKind, u64, &[u8]); 2] =
            [(BLOB, 9, b"some text"), (EntryKind::OfsDelta(20), 1, b"x")];
        assert_eq!(
            pack(&packed(2, &entries), &none, &budget),
            Err(Error::Inside)
        );
        let twice = packed(2, &[(BLOB, 1, b"x"), (BLOB, 1, b"x")]);
        assert!(matches!(pack(&twice, &none, &budget), Err(Error::Twice(_))));
    }

    #[test]
    fn the_count_is_exact() {
        let budget = Budget::default();
        for count in [0, 2] {
            let bytes = packed(count, &[(BLOB, 1, b"x")]);
            assert!(
                matches!(pack(&bytes, &none, &budget), Err(Error::Length { .. })),
                "{count}"
            );
        }
        let mut junk = packed(1, &[(BLOB, 1, b"x")]);
        junk.push(0);
        assert_eq!(pack(&junk, &none, &budget), Err(Error::Trailer));
        assert_eq!(pack(b"PACK", &none, &budget), Err(Error::Signature));
        assert_eq!(
            pack(&sealed(b"PACK\0\0\0\x03\0\0\0\0".to_vec()), &none, &budget),
            Err(Error::Signature)
        );
    }
}
