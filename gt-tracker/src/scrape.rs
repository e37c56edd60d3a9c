//! Counts of many torrents at once (BEP 48).
