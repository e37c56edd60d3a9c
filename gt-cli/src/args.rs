//! The words of the command line.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// Git repositories over BitTorrent.
#[derive(Debug, Parser)]
#[command(name = "gt", version, disable_help_subcommand = true)]
pub struct Words {
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
}

/// The verbs, one file each in `verb/`.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Publish this repository's branches and tags, and print its address
    Publish(Publish),
    /// Serve a published or cloned repository, and follow what its publisher adds
    Seed(Seed),
    /// Clone a repository from its address
    Clone(CloneWords),
    /// Bring a clone up to date
    Fetch(Fetch),
    /// Show what is published here, who says so, and what is held
    Status(Status),
    /// Run a tracker
    Tracker(Tracker),
    /// Show it all at work on this machine: a tracker, a publisher, three peers
    Demo(Demo),
}

/// Words of `gt publish`.
#[derive(Debug, Args)]
pub struct Publish {
    /// The repository; by default the one around the current folder
    #[arg(long, short = 'C', value_name = "FOLDER")]
    pub repository: Option<PathBuf>,
    /// A name for people, set by the first publication
    #[arg(long)]
    pub name: Option<String>,
    /// A line about the repository
    #[arg(long)]
    pub description: Option<String>,
    /// A tracker that knows the peers (repeatable); replaces those published before
    #[arg(long = "tracker", value_name = "URL")]
    pub trackers: Vec<String>,
    /// Publish these refs too, beside branches and tags (repeatable pattern)
    #[arg(long = "ref", value_name = "PATTERN")]
    pub refs: Vec<String>,
    /// Publish branches that did not fast-forward and tags that moved
    #[arg(long)]
    pub force: bool,
    /// Unpublish refs that are not in this repository any more
    #[arg(long)]
    pub prune: bool,
}

/// How a command takes part in swarms.
#[derive(Clone, Debug, Args)]
pub struct Net {
    /// Where to listen (repeatable); port 0 lets the system choose
    #[arg(long = "listen", value_name = "ADDRESS:PORT")]
    pub listen: Vec<SocketAddr>,
    /// A tracker, beside those that are published (repeatable)
    #[arg(long = "tracker", value_name = "URL")]
    pub trackers: Vec<String>,
    /// A peer to ask first (repeatable)
    #[arg(long = "peer", value_name = "ADDRESS:PORT")]
    pub peers: Vec<SocketAddr>,
}

/// Words of `gt seed`.
#[derive(Debug, Args)]
pub struct Seed {
    /// The repository; by default the one around the current folder
    #[arg(long, short = 'C', value_name = "FOLDER")]
    pub repository: Option<PathBuf>,
    /// Where and through whom
    #[command(flatten)]
    pub net: Net,
    /// Print events as lines of JSON on standard output
    #[arg(long)]
    pub json: bool,
}

/// Words of `gt clone`.
#[derive(Debug, Args)]
pub struct CloneWords {
    /// The address, `gt://…`
    pub address: String,
    /// Where to; by default a folder named like the repository
    pub folder: Option<PathBuf>,
    /// Make a bare mirror, which holds exactly what is published
    #[arg(long)]
    pub mirror: bool,
    /// Go on serving and following when the clone is complete (with --mirror)
    #[arg(long, requires = "mirror")]
    pub seed: bool,
    /// Take a first statement that has expired
    #[arg(long)]
    pub allow_stale: bool,
    /// How long to look for somebody who has it, in seconds
    #[arg(long, default_value_t = 30)]
    pub wait: u64,
    /// Where and through whom
    #[command(flatten)]
    pub net: Net,
    /// Print events as lines of JSON on standard output
    #[arg(long, requires = "seed")]
    pub json: bool,
}

/// Words of `gt fetch`.
#[derive(Debug, Args)]
pub struct Fetch {
    /// The repository; by default the one around the current folder
    #[arg(long, short = 'C', value_name = "FOLDER")]
    pub repository: Option<PathBuf>,
    /// How long to look for somebody who has it, in seconds
    #[arg(long, default_value_t = 30)]
    pub wait: u64,
    /// Where and through whom
    #[command(flatten)]
    pub net: Net,
}

/// Words of `gt status`.
#[derive(Debug, Args)]
pub struct Status {
    /// The repository; by default the one around the current folder
    #[arg(long, short = 'C', value_name = "FOLDER")]
    pub repository: Option<PathBuf>,
}

/// Words of `gt tracker`.
#[derive(Debug, Args)]
pub struct Tracker {
    /// Where to listen; port 0 lets the system choose
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:6969")]
    pub listen: SocketAddr,
}

/// Words of `gt demo`.
#[derive(Debug, Args)]
pub struct Demo {
    /// The repository to take; by default the one around the current folder
    pub repository: Option<PathBuf>,
    /// Keep the folders of the demonstration here
    #[arg(long, value_name = "FOLDER")]
    pub keep: Option<PathBuf>,
}
