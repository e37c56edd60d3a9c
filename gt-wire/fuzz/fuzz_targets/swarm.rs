#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| gt_wire::simulator::garble(bytes));
