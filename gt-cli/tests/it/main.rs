//! The commands as a person runs them: real processes, real git, loopback.
// A test's unwrap is its verdict.
#![allow(clippy::unwrap_used)]

mod believed;
mod brought;
mod codes;
mod confirmed;
mod endorsed;
mod equivocal;
mod faults;
mod hostile;
mod killed;
mod killed_import;
mod made;
mod pack;
mod packed;
mod proxy;
mod published;
mod refused;
mod sealed;
mod sha256;
mod simulated;
mod torrent;
mod unusual;
mod verified;
mod withheld;
mod world;

/// A file that is not named above is never compiled, and its tests prove
/// nothing.
#[test]
fn no_file_is_forgotten() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it");
    let named = std::fs::read_to_string(folder.join("main.rs")).unwrap();
    for entry in folder.read_dir().unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let stem = name.strip_suffix(".rs").filter(|stem| *stem != "main");
        let is_named = |stem: &str| named.lines().any(|line| line == format!("mod {stem};"));
        assert!(stem.is_none_or(is_named), "{name}");
    }
}
