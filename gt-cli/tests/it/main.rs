//! The commands as a person runs them: real processes, real git, loopback.
// A test's unwrap is its verdict.
#![allow(clippy::unwrap_used)]

mod brought;
mod endorsed;
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
mod world;
