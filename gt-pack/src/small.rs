//! A pack of a few objects, as one message carries it (PROTOCOL.md §7).
