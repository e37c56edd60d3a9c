//! Answers of HTTP sources (BEP 19).
#![no_main]

use gt_wire::mirror::{Part, read_answer};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u8, u8, &[u8])| {
    let (offset, length, raw) = input;
    let part = Part {
        offset: offset.into(),
        length: u64::from(length) + 1,
        total: 600,
    };
    if let Some(taken) = read_answer(raw, part) {
        assert_eq!(taken.len() as u64, part.length);
    }
});
