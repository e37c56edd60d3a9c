//! Links that were seen a moment ago.

use gt_vfs::ObjectId;

/// Neighbours in time share nearly all their links: a folder of a thousand
/// files is written anew when one of them changes. What is known here needs no
/// look into the large table.
pub(super) struct Recent(Box<[Option<Link>]>);

struct Link {
    to: ObjectId,
    /// The smallest that named it.
    from: ObjectId,
    as_kinds: u8,
}

/// More than a folder holds, in a memory that is near.
const PLACES: usize = 4096;

impl Default for Recent {
    fn default() -> Self {
        Self((0..PLACES).map(|_| None).collect())
    }
}

impl Recent {
    /// Tells whether an object that is not larger than `from` has named `to`
    /// as this kind, and takes note of it.
    pub(super) fn knows(&mut self, from: &ObjectId, to: &ObjectId, as_kind: u8) -> bool {
        let hash = to.as_bytes();
        let place = usize::from(u16::from_le_bytes([hash[1], hash[2]])) % PLACES;
        match &mut self.0[place] {
            Some(link) if link.to == *to => {
                let known = link.as_kinds & as_kind != 0 && link.from <= *from;
                if !known {
                    link.from = link.from.min(*from);
                    link.as_kinds |= as_kind;
                }
                known
            }
            other => {
                *other = Some(Link {
                    to: *to,
                    from: *from,
                    as_kinds: as_kind,
                });
                false
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_known_when_nothing_new_would_be_said() {
        let oid = |n: u8| ObjectId::Sha1([n; 20]);
        let mut recent = Recent::default();
        assert!(!recent.knows(&oid(5), &oid(1), 1));
        assert!(recent.knows(&oid(5), &oid(1), 1));
        assert!(recent.knows(&oid(6), &oid(1), 1));
        assert!(!recent.knows(&oid(4), &oid(1), 1), "smaller than before");
        assert!(recent.knows(&oid(5), &oid(1), 1));
        assert!(!recent.knows(&oid(5), &oid(1), 2), "as another kind");
        assert!(recent.knows(&oid(5), &oid(1), 2));
        // Another one in the same place.
        let mut other = [1; 20];
        other[19] = 2;
        assert!(!recent.knows(&oid(5), &ObjectId::Sha1(other), 1));
        assert!(!recent.knows(&oid(5), &oid(1), 1));
    }
}
