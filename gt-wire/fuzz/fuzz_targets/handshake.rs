//! The first 68 bytes, and what follows them as messages.
#![no_main]

use bytes::Bytes;
use gt_wire::peer::Peer;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|raw: &[u8]| {
    let mut peer = Peer::new(Some(77), 0);
    peer.push(Bytes::copy_from_slice(raw));
    while let Ok(Some(_)) = peer.next() {}
});
