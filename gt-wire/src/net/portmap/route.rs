//! Where the router is: what the kernel sends everything to that is not near.

use std::net::Ipv4Addr;

/// Returns the default gateway of IPv4, where this system tells it in a file
/// (Linux). Elsewhere only UPnP finds the router, by asking the whole net.
pub(super) fn router() -> Option<Ipv4Addr> {
    default_of(&std::fs::read_to_string("/proc/net/route").ok()?)
}

/// The flag of a route by way of a gateway, and of one that is up.
const GATEWAY: u32 = 0x2;
const UP: u32 = 0x1;

/// Reads the kernel's table: a line for each route with interface,
/// destination, gateway, flags, two counters, metric and mask, addresses as
/// hexadecimal numbers in the machine's order. Of several the least metric
/// counts.
fn default_of(table: &str) -> Option<Ipv4Addr> {
    let hex = |text: &str| u32::from_str_radix(text, 16).ok();
    let routes = table.lines().skip(1).filter_map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [_, to, gateway, flags, _, _, metric, mask, ..] = words[..] else {
            return None;
        };
        let leads = hex(flags)? & (GATEWAY | UP) == GATEWAY | UP;
        let all = hex(to)? == 0 && hex(mask)? == 0;
        let gateway = Ipv4Addr::from(hex(gateway)?.to_ne_bytes());
        (leads && all && !gateway.is_unspecified())
            .then_some((metric.parse::<u32>().ok()?, gateway))
    });
    routes.min().map(|(_, gateway)| gateway)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_out_is_found() {
        let row = |to: [u8; 4], by: [u8; 4], flags: &str, metric: u32, mask: &str| {
            let [to, by] = [to, by].map(u32::from_ne_bytes);
            format!("eth0\t{to:08X}\t{by:08X}\t{flags}\t0\t0\t{metric}\t{mask}\t0\t0\t0\n")
        };
        let head =
            "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n";
        let near = row([192, 168, 1, 0], [0; 4], "0001", 0, "00FFFFFF");
        let slow = row([0; 4], [10, 0, 0, 1], "0003", 600, "00000000");
        let best = row([0; 4], [192, 168, 1, 1], "0003", 100, "00000000");
        let down = row([0; 4], [9, 9, 9, 9], "0002", 1, "00000000");
        let table = [head, &near, &slow, &best, &down].concat();
        assert_eq!(default_of(&table), Some(Ipv4Addr::new(192, 168, 1, 1)));
        assert_eq!(default_of(&[head, &near].concat()), None);
        assert_eq!(default_of("no table"), None);
        assert_eq!(default_of(""), None);
    }
}
