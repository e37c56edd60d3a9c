//! Ceilings that hold unless told otherwise, each with its reason.

use std::time::Duration;

/// The longest answer that a client reads, in bytes. An answer of 200 compact
/// peers has about 1.5 KiB; a scrape of all torrents of a small tracker fits.
pub const ANSWER: usize = 1 << 20;

/// The longest head of an answer, in bytes: status line and all headers.
pub const ANSWER_HEAD: usize = 16 << 10;

/// The longest head of a request, in bytes. A scrape that names 74 torrents,
/// the number that fits into one UDP scrape too, has about 6 KiB.
pub const REQUEST_HEAD: usize = 16 << 10;

/// Headers in a request or an answer. Browsers send about 15.
pub const HEADERS: usize = 64;

/// The longest free field in a query or an answer (key, tracker id), in bytes.
pub const TOKEN: usize = 256;

/// The longest reason or warning that is shown, in bytes: a paragraph.
pub const WORDS: usize = 1024;

/// Values and keys in one bencoded answer: 2,000 peers as dictionaries have
/// 14,000.
pub const VALUES: usize = 64 << 10;

/// How deep an answer nests: a scrape needs 3, some trackers add their own.
pub const DEPTH: usize = 8;

/// Peers that a client takes from one answer. More than a swarm can try in a
/// few minutes, and more would let one tracker drown the other sources.
pub const PEERS_TAKEN: usize = 2000;

/// Redirects that a client follows: one to the right path, one to the right
/// host, one to spare.
pub const REDIRECTS: usize = 3;

/// Addresses of one host name that a client tries.
pub const ADDRESSES: usize = 6;

/// Trackers that [`Tiers`](crate::Tiers) keep; what is beyond is not asked.
pub const TRACKERS: usize = 64;

/// Torrents in one scrape; see [`REQUEST_HEAD`].
pub const SCRAPED: usize = 74;

/// Peers in an answer where the asker names no number (BEP 3 suggests 50).
pub const WANT_DEFAULT: u32 = 50;

/// Peers in an answer, whatever the asker names: what fits into one packet of
/// the network in compact form (200 × 6 bytes).
pub const WANT_MOST: u32 = 200;

/// Torrents in a registry. One costs about 200 bytes and has at least a peer.
pub const TORRENTS: usize = 200_000;

/// Peers of all torrents. One costs about 300 bytes with its place in the
/// queue of expiry, so that a full registry stays below 200 MB.
pub const PEERS: usize = 500_000;

/// Peers of one torrent, so that one torrent cannot fill the registry.
pub const PEERS_PER_TORRENT: usize = 100_000;

/// Entries, over all torrents, of one IPv4 address or IPv6 /64: a house or an
/// office with many torrents, but not a flood of invented ones.
pub const ENTRIES_PER_SOURCE: usize = 4096;

/// Connections that a server holds at once. With [`REQUEST_TIME`] it is also
/// the longest queue.
pub const CONNECTIONS: usize = 1024;

/// Connections that a server holds at once for one IPv4 address or IPv6 /64.
/// Loopback is exempt: whoever is on the machine can exhaust it anyway.
pub const CONNECTIONS_PER_SOURCE: usize = 64;

/// From the first byte of a connection to the last of the answer. An announce
/// is one packet each way; 10 s leave room for two retransmissions and end
/// senders that drip.
pub const REQUEST_TIME: Duration = Duration::from_secs(10);

/// What running answers get to finish after a server was told to stop.
pub const GRACE: Duration = Duration::from_secs(3);

/// The shortest interval a client takes from a tracker.
pub const INTERVAL_LEAST: Duration = Duration::from_secs(5);

/// The longest interval a client takes from a tracker, so that a silly answer
/// does not silence it for ever.
pub const INTERVAL_MOST: Duration = Duration::from_secs(24 * 60 * 60);

/// The interval where a tracker tells none: the usual one.
pub const INTERVAL_UNTOLD: Duration = Duration::from_secs(30 * 60);
