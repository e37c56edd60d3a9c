//! Where an address belongs to: strangers have many addresses, and one place.

use std::net::IpAddr;

/// A neighbourhood of public addresses: an IPv4 /24 or an IPv6 /48, which is
/// what one customer of a network gets at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Place {
    V4([u8; 3]),
    V6([u8; 6]),
}

impl Place {
    /// Returns the place of a public address. One's own machine and network
    /// are not strangers' to fill.
    pub(crate) fn of(ip: IpAddr) -> Option<Self> {
        match ip.to_canonical() {
            IpAddr::V4(ip) => {
                let [a, b, c, _] = ip.octets();
                let shared = a == 100 && b & 0xc0 == 64;
                let inner = ip.is_private() || ip.is_loopback() || ip.is_link_local() || shared;
                (!inner).then_some(Self::V4([a, b, c]))
            }
            IpAddr::V6(ip) => {
                let inner = ip.is_loopback() || ip.is_unicast_link_local() || ip.is_unique_local();
                let [a, b, c, d, e, f, ..] = ip.octets();
                (!inner).then_some(Self::V6([a, b, c, d, e, f]))
            }
        }
    }

    /// Returns the first address of an address's place; a local address is
    /// its own.
    pub(crate) fn first(ip: IpAddr) -> IpAddr {
        match Self::of(ip) {
            Some(Self::V4([a, b, c])) => IpAddr::from([a, b, c, 0]),
            Some(Self::V6(net)) => {
                let mut octets = [0; 16];
                octets[..6].copy_from_slice(&net);
                IpAddr::from(octets)
            }
            None => ip,
        }
    }
}

/// Tells whether an address is of our own machine or network.
pub(crate) fn is_local(ip: IpAddr) -> bool {
    Place::of(ip).is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_are_one_place() {
        let first = |text: &str| Place::first(text.parse().unwrap()).to_string();
        assert_eq!(first("9.8.7.6"), "9.8.7.0");
        assert_eq!(first("::ffff:9.8.7.6"), "9.8.7.0");
        assert_eq!(first("2a00:1:2:3::4"), "2a00:1:2::");
        assert_eq!(first("10.1.2.3"), "10.1.2.3");
        for near in [
            "127.0.0.1",
            "192.168.1.1",
            "100.64.1.1",
            "fe80::1",
            "fd00::1",
            "::1",
        ] {
            assert!(is_local(near.parse().unwrap()), "{near}");
        }
    }
}
