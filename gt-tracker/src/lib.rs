#![doc = include_str!("../README.md")]

pub mod announce;
pub mod client;
pub mod limits;
pub mod registry;
pub mod scrape;
pub mod server;

pub use client::{HttpTracker, Tiers};
pub use registry::Registry;
pub use server::Server;
