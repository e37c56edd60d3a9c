//! What a signature says of itself (RFC 9580 section 5.2.3.7), read the way
//! GnuPG 2.2 reads it, so that both find the same.

/// Numbers of the kinds that matter here.
pub(crate) mod kind {
    pub(crate) const CREATED: u8 = 2;
    pub(crate) const EXPIRES: u8 = 3;
    pub(crate) const TRUST: u8 = 5;
    pub(crate) const PATTERN: u8 = 6;
    pub(crate) const REVOCABLE: u8 = 7;
    pub(crate) const KEY_EXPIRES: u8 = 9;
    pub(crate) const REVOKER: u8 = 12;
    pub(crate) const ISSUER: u8 = 16;
    pub(crate) const NOTATION: u8 = 20;
    pub(crate) const REASON: u8 = 29;
    pub(crate) const ISSUER_PRINT: u8 = 33;
    pub(crate) const KEY_BLOCK: u8 = 38;
}

/// One subpacket.
#[derive(Clone, Copy)]
pub(crate) struct Sub<'a> {
    pub(crate) kind: u8,
    critical: bool,
    /// Where its content begins in the area.
    pub(crate) at: usize,
    pub(crate) data: &'a [u8],
}

/// Iterates over the subpackets of an area; `Err` where it is cut off.
pub(crate) fn each(area: &[u8]) -> impl Iterator<Item = Result<Sub<'_>, ()>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        if at >= area.len() {
            return None;
        }
        match cut(area, at) {
            Some((sub, next)) => {
                at = next;
                Some(Ok(sub))
            }
            None => {
                at = area.len();
                Some(Err(()))
            }
        }
    })
}

/// Returns the first subpacket of a kind; none where that one is malformed.
pub(crate) fn first(area: &[u8], kind: u8) -> Option<Sub<'_>> {
    each(area)
        .map_while(Result::ok)
        .find(|sub| sub.kind == kind)
        .filter(|sub| is_well_formed(sub.kind, sub.data))
}

/// Returns the first subpacket of a kind as a number of 32 bits.
pub(crate) fn number(area: &[u8], kind: u8) -> Option<u32> {
    let data = first(area, kind)?.data.get(..4)?;
    Some(data.iter().fold(0, |n, b| n << 8 | u32::from(*b)))
}

/// Tells whether there is a subpacket that must be understood and is not, or
/// the area is cut off.
pub(crate) fn demands_too_much(area: &[u8]) -> bool {
    each(area).any(|sub| match sub {
        Ok(sub) => sub.critical && !is_understood(sub.kind, sub.data),
        Err(()) => true,
    })
}

fn cut(area: &[u8], at: usize) -> Option<(Sub<'_>, usize)> {
    let byte = |i: usize| area.get(i).map(|b| usize::from(*b));
    let (length, start) = match byte(at)? {
        255 => {
            let long = area.get(at + 1..at + 5)?;
            let length = long.iter().fold(0u64, |n, b| n << 8 | u64::from(*b));
            (usize::try_from(length).ok()?, at + 5)
        }
        short @ 0..=191 => (short, at + 1),
        // 255 is above: all lengths from 192 on have two octets here.
        first => (((first - 192) << 8) + byte(at + 1)? + 192, at + 2),
    };
    let next = start.checked_add(length)?;
    let all = area.get(start..next)?;
    let (typ, data) = all.split_first()?;
    let sub = Sub {
        kind: typ & 0x7f,
        critical: typ & 0x80 != 0,
        at: start + 1,
        data,
    };
    Some((sub, next))
}

fn is_well_formed(kind: u8, data: &[u8]) -> bool {
    match kind {
        kind::REVOKER => data.len() >= 22,
        kind::CREATED | kind::EXPIRES | kind::KEY_EXPIRES => data.len() >= 4,
        kind::REVOCABLE | kind::REASON => !data.is_empty(),
        kind::ISSUER => data.len() >= 8,
        kind::ISSUER_PRINT => data.len() >= 21,
        kind::TRUST => data.len() == 2,
        _ => true,
    }
}

/// The kinds whose meaning GnuPG 2.2 knows; of notations only two.
fn is_understood(kind: u8, data: &[u8]) -> bool {
    match kind {
        2..=7 | 9 | 11 | 12 | 16 | 21 | 22 | 24..=27 | 29 | 30 | 32 | 33 => true,
        kind::NOTATION => {
            let Some([a, b]) = data.get(4..6) else {
                return false;
            };
            let length = usize::from(*a) << 8 | usize::from(*b);
            let name = data.get(8..8 + length);
            name == Some(b"preferred-email-encoding@pgp.com".as_slice())
                || name == Some(b"pka-address@gnupg.org".as_slice())
        }
        kind::KEY_BLOCK => data.first() == Some(&0),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_malformed_first_one_hides_the_second() {
        // Trust of one octet, then a good one: as GnuPG, none is taken.
        let area = [2, kind::TRUST, 1, 3, kind::TRUST, 1, 60];
        assert!(first(&area, kind::TRUST).is_none());
        assert_eq!(first(&area[3..], kind::TRUST).unwrap().data, [1, 60]);
    }

    #[test]
    fn what_must_be_understood_is_known_or_refused() {
        assert!(!demands_too_much(&[]));
        assert!(!demands_too_much(&[3, 0x80 | kind::TRUST, 1, 60]));
        assert!(demands_too_much(&[2, 0x80 | 100, 0]), "unknown");
        assert!(!demands_too_much(&[2, 100, 0]), "not critical");
        assert!(demands_too_much(&[9, kind::TRUST, 1]), "cut off");
        let name = b"pka-address@gnupg.org";
        let mut notation = vec![(1 + 8 + name.len()) as u8, 0x80 | kind::NOTATION];
        notation.extend([0x80, 0, 0, 0, 0, name.len() as u8, 0, 0]);
        notation.extend(name);
        assert!(!demands_too_much(&notation));
        *notation.last_mut().unwrap() = b'x';
        assert!(demands_too_much(&notation));
    }

    proptest! {
        #[test]
        fn reading_is_total(area: Vec<u8>) {
            prop_assert!(each(&area).count() <= area.len());
            let _ = demands_too_much(&area);
            for kind in 0..40 {
                let _ = number(&area, kind);
            }
        }
    }
}
