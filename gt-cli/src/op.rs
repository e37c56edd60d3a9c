//! Deeds: each composes the five rooms and prints nothing.

pub mod bring;
pub mod demo;
pub mod follow;
pub mod mirror;
pub mod news;
pub mod proposal;
pub mod publish;
pub mod sample;
pub mod ways;
