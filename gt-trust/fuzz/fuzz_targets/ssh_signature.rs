//! An SSH signature, and the files that say whose key may make one.
#![no_main]

use gt_trust::ssh::{AllowedSigners, NAMESPACE, RevokedKeys, Signature};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Ok(signature) = Signature::parse(bytes) {
        let _ = signature.verify(NAMESPACE, b"payload");
    }
    let _ = AllowedSigners::parse(bytes, 0);
    let _ = RevokedKeys::parse(bytes);
});
