//! Extension handshakes, the messages of BEP 9, and our own of turns.
#![no_main]

use bytes::Bytes;
use gt_wire::extended::Extensions;
use gt_wire::metadata::Message;
use gt_wire::turn;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|raw: &[u8]| {
    if let Ok(said) = Extensions::read(raw) {
        let again = Extensions::read(&said.write()).expect("what we write is read");
        assert_eq!(again, said);
    }
    let raw = Bytes::copy_from_slice(raw);
    let _ = Message::read(&raw);
    if let Some(said) = turn::Message::read(&raw) {
        assert_eq!(said.write(), raw);
    }
});
