//! Armour, as it stands round a keyring and round one signature.
#![no_main]

use gt_trust::signature::Signature;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let begin = b"-----BEGIN PGP PUBLIC KEY BLOCK-----\n";
    let end = b"\n-----END PGP PUBLIC KEY BLOCK-----\n";
    gt_trust::web::fuzz_keyring(&[begin, bytes, end].concat());
    let _ = Signature::from_armor(bytes);
});
