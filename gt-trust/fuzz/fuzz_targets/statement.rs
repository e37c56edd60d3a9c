//! A statement, a seal, a piece of evidence: what is read is what would be
//! written.
#![no_main]

use gt_trust::judge::Evidence;
use gt_trust::{Seal, Statement};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Ok(statement) = Statement::parse(bytes) {
        assert_eq!(statement.as_bytes(), bytes);
    }
    if let Ok(seal) = Seal::parse(bytes) {
        assert_eq!(seal.as_bytes(), bytes);
    }
    if let Ok(evidence) = Evidence::parse(bytes) {
        assert_eq!(evidence.to_bytes(), bytes);
    }
});
