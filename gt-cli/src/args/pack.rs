//! The words of `gt pack`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use gt_pack::ObjectFormat;

/// Words of `gt pack`.
#[derive(Debug, Args)]
pub struct Pack {
    /// What to do with it
    #[command(subcommand)]
    pub sub: Sub,
}

/// What is done with packs, one file each in `verb/pack/`.
#[derive(Debug, Subcommand)]
pub enum Sub {
    /// Read a pack from its first byte to its last and say whether it is good
    Verify(Verify),
    /// Write the .idx and .rev of a pack, as git index-pack does
    Index(Index),
    /// List the objects of a pack
    List(List),
    /// Make the bundle that leads from some revisions to the refs as they are
    Reel(Reel),
    /// Join bundles that follow on each other by copying their entries
    Splice(Splice),
    /// Take a bundle into the repository's chain, through the quarantine
    Import(Import),
}

/// How a pack is read.
#[derive(Clone, Debug, Args)]
pub struct Reading {
    /// The hash that names its objects: sha1 or sha256
    #[arg(long, value_name = "FORMAT", default_value_t = ObjectFormat::Sha1)]
    pub object_format: ObjectFormat,
    /// How many threads work on it; by default one for each processor
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub threads: Option<u16>,
    /// Take packs that expand beyond measure: for packs of one's own
    #[arg(long)]
    pub no_limits: bool,
    /// How long standard input may give nothing, and half of the time over
    /// which it gives 500 bytes a second at least; by default ten minutes
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..))]
    pub idle: Option<u32>,
    /// Print the result as JSON
    #[arg(long)]
    pub json: bool,
}

/// Words of `gt pack verify`.
#[derive(Debug, Args)]
pub struct Verify {
    /// The pack; - for standard input
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Check the objects too, as git fsck --strict does
    #[arg(long)]
    pub fsck: bool,
    /// Set the level of one check: fsck.ID=error, warn or ignore (repeatable)
    #[arg(short = 'c', value_name = "KEY=VALUE", requires = "fsck")]
    pub config: Vec<String>,
    /// How the pack is read
    #[command(flatten)]
    pub reading: Reading,
}

/// Words of `gt pack index`.
#[derive(Debug, Args)]
pub struct Index {
    /// The pack
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Where to; by default beside the pack. The .rev lies beside it
    #[arg(long, short, value_name = "IDX")]
    pub output: Option<PathBuf>,
    /// How the pack is read
    #[command(flatten)]
    pub reading: Reading,
}

/// Words of `gt pack list`.
#[derive(Debug, Args)]
pub struct List {
    /// The pack; - for standard input
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// How the pack is read
    #[command(flatten)]
    pub reading: Reading,
}

/// Words of `gt pack reel`.
#[derive(Debug, Args)]
pub struct Reel {
    /// The repository; by default the one around the current folder
    #[arg(long, short = 'C', value_name = "FOLDER")]
    pub repository: Option<PathBuf>,
    /// What the receiver holds (repeatable); without it, nothing
    #[arg(long, value_name = "REV", num_args = 1..)]
    pub since: Vec<String>,
    /// Where to; without it, only the figures are told
    #[arg(long, short, value_name = "BUNDLE")]
    pub output: Option<PathBuf>,
    /// The recipe, by its name
    #[arg(long, value_name = "NAME")]
    pub recipe: Option<String>,
    /// The longest chain of deltas; any but the recipe's own is no recipe
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=4095))]
    pub depth: Option<u32>,
    /// Print the result as JSON
    #[arg(long)]
    pub json: bool,
}

/// Words of `gt pack splice`.
#[derive(Debug, Args)]
pub struct Splice {
    /// The bundles, in their order
    #[arg(value_name = "BUNDLE", required = true)]
    pub bundles: Vec<PathBuf>,
    /// Where to
    #[arg(long, short, value_name = "BUNDLE")]
    pub output: PathBuf,
    /// Print the result as JSON
    #[arg(long)]
    pub json: bool,
}

/// Words of `gt pack import`.
#[derive(Debug, Args)]
pub struct Import {
    /// The repository; by default the one around the current folder
    #[arg(long, short = 'C', value_name = "FOLDER")]
    pub repository: Option<PathBuf>,
    /// The bundle
    #[arg(value_name = "BUNDLE")]
    pub bundle: PathBuf,
    /// Print the result as JSON
    #[arg(long)]
    pub json: bool,
}
