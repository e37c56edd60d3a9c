//! Extension handshakes, and the messages of BEP 9.
#![no_main]

use bytes::Bytes;
use gt_wire::extended::Extensions;
use gt_wire::metadata::Message;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|raw: &[u8]| {
    if let Ok(said) = Extensions::read(raw) {
        let again = Extensions::read(&said.write()).expect("what we write is read");
        assert_eq!(again, said);
    }
    let _ = Message::read(&Bytes::copy_from_slice(raw));
});
