//! Both ends of an encrypted handshake.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|raw: &[u8]| gt_wire::mse::hear_anything(raw));
