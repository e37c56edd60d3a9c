#![doc = include_str!("../README.md")]

pub mod announce;
mod chance;
pub mod client;
pub mod limits;
mod query;
pub mod registry;
pub mod scrape;
pub mod server;
mod source;

pub use client::{HttpTracker, Tiers};
pub use registry::Registry;
pub use server::Server;
