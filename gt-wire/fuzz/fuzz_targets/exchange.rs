//! Peer exchange (BEP 11).
#![no_main]

use gt_wire::exchange::Exchange;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|raw: &[u8]| {
    if let Ok(said) = Exchange::read(raw) {
        let again = Exchange::read(&said.write()).expect("what we write is read");
        assert_eq!(again, said);
    }
});
