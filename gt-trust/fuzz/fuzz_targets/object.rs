//! A commit or tag of a stranger: its headers, its armour, its signature.
#![no_main]

use gt_trust::Time;
use gt_trust::object::{Checker, Object, Rings};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Ok(object) = Object::parse(bytes, None) {
        let rings = Rings::default();
        let findings = Checker::new(&rings, Time(1_800_000_000)).check(&object);
        assert_eq!(findings.len(), 1 + object.merged().len());
    }
});
