//! Where one OpenPGP packet ends and the next begins (RFC 9580 section 4.2).
//!
//! Packets are cut here, so that a broken one costs only itself and what
//! nobody asked for is never parsed.

/// Iterates over the packets in some bytes; ends after the first that cannot
/// be cut.
pub(crate) struct Packets<'a> {
    rest: &'a [u8],
}

/// One packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Packet<'a> {
    /// Its type id.
    pub(crate) tag: u8,
    /// What follows on its header.
    pub(crate) body: &'a [u8],
}

pub(crate) const SIGNATURE: u8 = 2;
pub(crate) const PUBLIC_KEY: u8 = 6;
pub(crate) const TRUST: u8 = 12;
pub(crate) const USER_ID: u8 = 13;
pub(crate) const PUBLIC_SUBKEY: u8 = 14;
pub(crate) const USER_ATTRIBUTE: u8 = 17;
pub(crate) const MARKER: u8 = 10;

/// The bytes end inside of a packet, or are none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Broken;

impl<'a> Packets<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// Returns how many bytes were not cut yet.
    pub(crate) fn left(&self) -> usize {
        self.rest.len()
    }
}

impl<'a> Iterator for Packets<'a> {
    type Item = Result<Packet<'a>, Broken>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        match cut(self.rest) {
            Some((packet, rest)) => {
                self.rest = rest;
                Some(Ok(packet))
            }
            None => {
                self.rest = &[];
                Some(Err(Broken))
            }
        }
    }
}

/// Appends a packet with a header of the present form.
pub(crate) fn write(tag: u8, body: &[u8], to: &mut Vec<u8>) {
    to.push(0xc0 | tag);
    to.push(0xff);
    let length = u32::try_from(body.len()).unwrap_or(u32::MAX);
    to.extend(length.to_be_bytes());
    to.extend(body);
}

/// Cuts off the first packet. Lengths that are not known beforehand (partial,
/// indeterminate) are only for data packets, which have no place here.
fn cut(bytes: &[u8]) -> Option<(Packet<'_>, &[u8])> {
    let (first, rest) = bytes.split_first()?;
    if first & 0x80 == 0 {
        return None;
    }
    let (tag, (length, rest)) = if first & 0x40 != 0 {
        (first & 0x3f, new_length(rest)?)
    } else {
        let octets = match first & 3 {
            0 => 1,
            1 => 2,
            2 => 4,
            _ => return None,
        };
        ((first >> 2) & 0x0f, big_endian(rest, octets)?)
    };
    let (body, rest) = rest.split_at_checked(length)?;
    Some((Packet { tag, body }, rest))
}

fn new_length(bytes: &[u8]) -> Option<(usize, &[u8])> {
    match *bytes.first()? {
        one @ 0..=191 => Some((one.into(), &bytes[1..])),
        192..=223 => {
            let (length, rest) = big_endian(bytes, 2)?;
            Some((length - (192 << 8) + 192, rest))
        }
        255 => big_endian(&bytes[1..], 4),
        _ => None,
    }
}

fn big_endian(bytes: &[u8], octets: usize) -> Option<(usize, &[u8])> {
    let (number, rest) = bytes.split_at_checked(octets)?;
    let value = number.iter().fold(0u64, |n, b| n << 8 | u64::from(*b));
    Some((usize::try_from(value).ok()?, rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_length_form() {
        let body = vec![7; 300];
        let old1 = [&[0x88, 5][..], &body[..5]].concat();
        let old2 = [&[0x89, 1, 44][..], &body].concat();
        let old4 = [&[0x8a, 0, 0, 1, 44][..], &body].concat();
        let new1 = [&[0xc2, 5][..], &body[..5]].concat();
        let new2 = [&[0xc2, 192, 108][..], &body].concat();
        let new5 = [&[0xc2, 255, 0, 0, 1, 44][..], &body].concat();
        for (bytes, length) in [
            (old1, 5),
            (old2, 300),
            (old4, 300),
            (new1, 5),
            (new2, 300),
            (new5, 300),
        ] {
            let all: Vec<_> = Packets::new(&bytes).collect();
            assert_eq!(
                all,
                [Ok(Packet {
                    tag: 2,
                    body: &body[..length]
                })]
            );
            assert!(Packets::new(&bytes[..bytes.len() - 1]).all(|p| p.is_err()));
        }
    }

    #[test]
    fn lengths_that_are_not_known_are_refused() {
        assert_eq!(Packets::new(&[0x8b, 1]).next(), Some(Err(Broken)));
        assert_eq!(Packets::new(&[0xc2, 0xe0, 1, 0]).next(), Some(Err(Broken)));
        assert_eq!(Packets::new(&[0x12, 0]).next(), Some(Err(Broken)));
    }

    proptest! {
        #[test]
        fn cutting_is_total(bytes: Vec<u8>) {
            prop_assert!(Packets::new(&bytes).count() <= bytes.len());
        }
    }
}
