//! The words for meeting peers by other ways than TCP and trackers.

use clap::{Args, ValueEnum};

/// How peers are met beyond trackers and TCP; nothing of it happens unless it
/// is asked for.
#[derive(Clone, Debug, Default, Args)]
pub struct Ways {
    /// Look for peers in the distributed hash table, and be found in it
    #[arg(long)]
    pub dht: bool,
    /// A node of the table to begin with, instead of the usual ones (repeatable)
    #[arg(long = "dht-node", value_name = "HOST:PORT", requires = "dht")]
    pub dht_nodes: Vec<String>,
    /// Speak uTP too, which gives way to other traffic and meets peers behind routers
    #[arg(long)]
    pub utp: bool,
    /// Ask the router to let peers in (PCP, NAT-PMP, UPnP)
    #[arg(long)]
    pub map_port: bool,
    /// Whether connections are encrypted; when the other end asks for it, if
    /// nothing is said
    #[arg(long, value_name = "WHEN")]
    pub encryption: Option<Encryption>,
}

/// When connections are encrypted (MSE).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Encryption {
    /// Never, and who asks for it is refused
    Off,
    /// When the other end asks for it
    #[default]
    Accept,
    /// When the other end can
    Prefer,
    /// Always, and who cannot is refused
    Require,
}
