//! Which of two addresses to prefer (BEP 40). Both ends of a connection come
//! to the same number, so that a crowded swarm settles on one set of
//! connections instead of wandering, and nobody can place himself beside many
//! others: a stranger chooses neither our address nor the hash.

use std::net::{IpAddr, SocketAddr};

/// Returns the priority of a connection between two addresses of one family;
/// the greatest number is the best.
pub(super) fn priority(one: SocketAddr, two: SocketAddr) -> u32 {
    let (a, b) = (one.ip().to_canonical(), two.ip().to_canonical());
    if a == b {
        let mut ports = [one.port(), two.port()];
        ports.sort_unstable();
        let [[a, b], [c, d]] = ports.map(u16::to_be_bytes);
        return crc32c(&[a, b, c, d]);
    }
    match (a, b) {
        (IpAddr::V4(a), IpAddr::V4(b)) => masked(&a.octets(), &b.octets(), 2),
        (IpAddr::V6(a), IpAddr::V6(b)) => masked(&a.octets(), &b.octets(), 6),
        _ => 0,
    }
}

/// Hashes two addresses of which every second bit counts behind the first
/// bytes, of which there is one more than they have in common, and no fewer
/// than `least`.
fn masked(one: &[u8], two: &[u8], least: usize) -> u32 {
    let common = one.iter().zip(two).take_while(|(a, b)| a == b).count();
    let whole = least.max(common + 1);
    let mask = |raw: &[u8]| -> Vec<u8> {
        let bytes = raw.iter().enumerate();
        bytes
            .map(|(n, byte)| if n < whole { *byte } else { byte & 0x55 })
            .collect()
    };
    let mut both = [mask(one), mask(two)];
    both.sort_unstable();
    crc32c(&both.concat())
}

/// CRC-32C (RFC 3720, B.4), bit by bit: it is for few bytes.
fn crc32c(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            let low = crc & 1 == 1;
            crc >>= 1;
            if low {
                crc ^= 0x82f6_3b78;
            }
        }
    }
    !crc
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(one: &str, two: &str) -> u32 {
        let at = |ip: &str, port| SocketAddr::new(ip.parse().unwrap(), port);
        priority(at(one, 6881), at(two, 6882))
    }

    #[test]
    fn as_bep_40_has_it() {
        assert_eq!(of("123.213.32.10", "98.76.54.32"), 0xec2d_7224);
        assert_eq!(of("123.213.32.10", "123.213.32.234"), 0x9956_8189);
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
    }

    #[test]
    fn both_ends_agree_and_ports_count_on_one_machine() {
        for (one, two) in [
            ("9.9.9.9", "8.8.8.8"),
            ("2a00::1", "2a01::1"),
            ("2a00::1", "2a00::2"),
        ] {
            assert_eq!(of(one, two), of(two, one));
        }
        assert_ne!(of("9.9.9.9", "9.9.9.9"), 0);
        assert_eq!(of("9.9.9.9", "2a00::1"), 0);
    }

    #[test]
    fn neighbours_of_a_stranger_count_alike() {
        // Bits that the mask leaves out change nothing.
        assert_eq!(of("9.9.9.9", "8.8.0.0"), of("9.9.9.9", "8.8.170.170"));
        assert_ne!(of("9.9.9.9", "8.8.0.0"), of("9.9.9.9", "8.8.1.0"));
    }
}
