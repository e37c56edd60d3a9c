//! A keyring of a stranger, and a web of trust over it.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    gt_trust::web::fuzz_keyring(bytes);
});
