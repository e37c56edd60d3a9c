//! A charter: what is read is what would be written.
#![no_main]

use gt_trust::Charter;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Ok(charter) = Charter::parse(bytes) {
        assert_eq!(charter.as_bytes(), bytes);
    }
});
