//! The commands as a person runs them: real processes, real git, loopback.
// A test's unwrap is its verdict.
#![allow(clippy::unwrap_used)]

mod brought;
mod hostile;
mod killed;
mod proxy;
mod published;
mod refused;
mod sealed;
mod unusual;
mod world;
