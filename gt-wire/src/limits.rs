//! Ceilings on what strangers may cost, each with its reason.

// ---- formats: bencode, metainfo, magnet, references, resume ----

/// The deepest nesting of lists and dictionaries. A v2 file tree of a path of
/// 4 KiB nests deepest; nothing else in use goes past ten.
pub const BENCODE_DEPTH: usize = 128;

/// The most values in one torrent: a hybrid of many files has about twenty
/// for each. A value costs 20 bytes while it is read.
pub const BENCODE_VALUES: usize = 8 << 20;

/// The longest bencoded message of a peer or tracker: parts of 16 KiB with
/// room for a dictionary, and answers of trackers.
pub const BENCODE_MESSAGE_BYTES: usize = 1 << 20;

/// The most values in such a message.
pub const BENCODE_MESSAGE_VALUES: usize = 1 << 16;

/// The longest .torrent file. One of four million pieces has 80 MB of hashes.
pub const METAINFO_BYTES: usize = 128 << 20;

/// The most files in one torrent.
pub const METAINFO_FILES: usize = 1 << 18;

/// The longest piece, in bytes: offsets inside a piece are 32 bits wide on the
/// wire, and one piece is the least that a mistake can waste.
pub const PIECE_LENGTH: u64 = 512 << 20;

/// The most pieces in one torrent: a bitfield of 2 MiB.
pub const PIECES: u64 = 16 << 20;

/// The longest magnet link.
pub const MAGNET_BYTES: usize = 64 << 10;

/// The most addresses of each kind (trackers, peers, sources) in a magnet
/// link.
pub const MAGNET_ADDRESSES: usize = 256;

/// The most repositories that a peer may show to follow: 16 KiB of values are
/// kept for each connection.
pub const REFERENCES_FOLLOWS: usize = 1024;

/// The longest `have`: a few numbers and hashes.
pub const REFERENCES_HAVE: usize = 4 << 10;

/// The longest `want`: what the asker holds, by hash.
pub const REFERENCES_WANT: usize = 16 << 10;

/// The longest pack of seals, statement, charters and keys.
pub const REFERENCES_PACK: usize = 16 << 20;

/// The longest reel that rides along with a pack.
pub const REFERENCES_REEL: usize = 64 << 10;

/// Bytes of a pack or reel in one message.
pub const REFERENCES_PART: usize = 16 << 10;

/// Bytes of unfinished packs of all connections of a node together.
pub const REFERENCES_UNFINISHED: usize = 64 << 20;

// ---- peers ----

/// Addresses of a kind in one message of peer exchange: 50 are sent, and as
/// many are taken.
pub const EXCHANGE_ADDED: usize = 50;

/// Addresses of one teller that wait in the book of a torrent. A teller is a
/// public net, so that many names of one stranger are one stranger.
pub const EXCHANGE_WAITING: usize = 100;

// ---- URLs and HTTP sources ----

/// The longest URL of a tracker or an HTTP source, in bytes. Announce URLs with a pass key have
/// about 100.
pub const URL: usize = 2048;

/// The longest head of an HTTP source's answer.
pub const HTTP_HEAD: usize = 16 << 10;

/// Redirects that are followed for one request.
pub const HTTP_REDIRECTS: usize = 5;

/// Addresses of one name that are tried.
pub const HTTP_ADDRESSES: usize = 4;

// ---- driver ----

/// The most connections with one public IPv4 /24 or IPv6 /48: strangers
/// cannot fill a node from one place.
pub const CONNECTIONS_PER_PLACE: usize = 8;

/// Events that are kept for a listener who does not take them.
pub const EVENTS_BEHIND: usize = 1 << 14;

/// Files that are open at a time in all torrents of a node.
pub const OPEN_FILES: usize = 512;
