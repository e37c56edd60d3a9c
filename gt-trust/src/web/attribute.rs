//! What a user attribute is called where a name is wanted: patterns of trust
//! signatures are held against it.
//!
//! RFC 9580 (5.12) gives attributes no names. GnuPG 2.2 makes one up for its
//! listings, and holds patterns against that; here it is made up likewise.

/// The type of an attribute subpacket that is a picture (RFC 9580, 5.12.1).
const IMAGE: u8 = 1;

/// Returns the name of the body of a user attribute packet.
pub(super) fn name(body: &[u8]) -> String {
    let parts = parts(body);
    match parts.as_slice() {
        [] => format!("[bad attribute packet of size {}]", body.len()),
        [(IMAGE, data)] => match picture(data) {
            Some((kind, size)) => format!("[{kind} image of size {size}]"),
            None => "[invalid image]".to_owned(),
        },
        [(_, data)] => format!("[unknown attribute of size {}]", data.len()),
        several => format!("[{} attributes of size {}]", several.len(), body.len()),
    }
}

/// Splits a body into types and data of subpackets, up to the first that is
/// longer than the rest or has no type.
///
/// Lengths are as GnuPG reads them: of two octets from 192 to 254 and not, as
/// the RFC has it, to 223.
fn parts(body: &[u8]) -> Vec<(u8, &[u8])> {
    let mut parts = Vec::new();
    let mut rest = body;
    while let Some((first, after)) = rest.split_first() {
        let read = match (first, after) {
            (255, [a, b, c, d, after @ ..]) => Some((u32::from_be_bytes([*a, *b, *c, *d]), after)),
            (192..=254, [second, after @ ..]) if !after.is_empty() => {
                let high = u32::from(*first - 192) << 8;
                Some((high + u32::from(*second) + 192, after))
            }
            (192.., _) => None,
            _ => Some((u32::from(*first), after)),
        };
        let whole = read.and_then(|(length, after)| {
            let (part, after) = after.split_at_checked(usize::try_from(length).ok()?)?;
            Some((part.split_first()?, after))
        });
        let Some(((kind, data), after)) = whole else {
            break;
        };
        parts.push((*kind, data));
        rest = after;
    }
    parts
}

/// Returns what kind of picture it is, and its octets without the header, whose
/// length stands first and, unlike all else in OpenPGP, the lower octet first.
fn picture(data: &[u8]) -> Option<(&'static str, usize)> {
    let [low, high, version, ..] = data else {
        return None;
    };
    let header = usize::from(u16::from_le_bytes([*low, *high]));
    let size = data.len().checked_sub(header).filter(|size| *size > 0)?;
    let kind = match (version, data.get(3)) {
        (1, Some(1)) => "jpeg",
        _ => "unknown",
    };
    Some((kind, size))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(kind: u8, data: &[u8]) -> Vec<u8> {
        let length = u8::try_from(data.len() + 1).expect("a short one");
        [&[length, kind][..], data].concat()
    }

    #[test]
    fn names_are_those_of_gnupg() {
        let header = [16, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        let jpeg = part(1, &[&header[..], b"picture"].concat());
        let mut other = header;
        other[3] = 2;
        let other = part(1, &[&other[..], b"picture"].concat());
        let long = [&[200, 10][..], &[9; 2250]].concat();
        let longer = [&[255, 0, 0, 0, 4][..], &[9; 4]].concat();
        for (body, expected) in [
            (jpeg.clone(), "[jpeg image of size 7]"),
            (other, "[unknown image of size 7]"),
            (part(1, &header), "[invalid image]"),
            (part(1, &[1]), "[invalid image]"),
            (part(1, &[9, 9, 1, 1, 5]), "[invalid image]"),
            (part(100, b"abc"), "[unknown attribute of size 3]"),
            (long, "[unknown attribute of size 2249]"),
            (longer, "[unknown attribute of size 3]"),
            ([&jpeg[..], &jpeg].concat(), "[2 attributes of size 50]"),
            ([&jpeg[..], &[200, 1]].concat(), "[jpeg image of size 7]"),
            (vec![], "[bad attribute packet of size 0]"),
            (vec![0, 1], "[bad attribute packet of size 2]"),
            (vec![9, 1], "[bad attribute packet of size 2]"),
            (vec![255, 0, 0], "[bad attribute packet of size 3]"),
        ] {
            assert_eq!(name(&body), expected, "{body:?}");
        }
    }
}
