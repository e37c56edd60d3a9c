//! The words of the command line.

pub mod pack;
pub mod torrent;
pub mod ways;

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use ways::Ways;

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
    /// Verify, index and list git packs
    Pack(pack::Pack),
    /// Study how crowds of peers share what they fetch
    #[command(subcommand)]
    Swarm(Swarm),
    /// Run a tracker
    Tracker(Tracker),
    /// Verify the signature of a commit or tag
    Verify(Verify),
    /// Show and change who may publish here
    Charter(CharterWords),
    /// Seal what another delegate proposed, or list what waits
    Endorse(Endorse),
    /// Show the chain of statements: who moved what when
    Log(Log),
    /// Say whose keys you believe, and why
    Trust(Trust),
    /// Show it all at work on this machine: a tracker, a publisher, three peers
    Demo(Demo),
    /// Make, show, check, seed and get plain torrents
    #[command(subcommand)]
    Torrent(torrent::Torrent),
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
    /// By which other ways peers are met
    #[command(flatten)]
    pub ways: Ways,
}

/// Words of `gt seed`.
#[derive(Debug, Args)]
pub struct Seed {
    /// The repository; by default the one around the current folder
    #[arg(long, short = 'C', value_name = "FOLDER")]
    pub repository: Option<PathBuf>,
    /// The address of what this repository is a clone of, where plain git made
    /// it: its objects are served, and only what it lacks is fetched
    #[arg(long, value_name = "ADDRESS")]
    pub from: Option<String>,
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
    /// Whose seals count, now and later: all delegates of the charter, or those alone whom your web of trust (gt trust) believes
    #[arg(long, value_name = "WHOM", value_parser = ["charter", "web"])]
    pub believe: Option<String>,
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
    /// Print it as JSON
    #[arg(long)]
    pub json: bool,
}

/// Words of `gt swarm`.
#[derive(Debug, Subcommand)]
pub enum Swarm {
    /// Run a flash crowd on virtual time, and compare it with the bound
    Simulate(Simulate),
}

/// Words of `gt swarm simulate`.
#[derive(Debug, Args)]
pub struct Simulate {
    /// Peers that fetch, beside the origin
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub peers: u32,
    /// Content, in MiB
    #[arg(long, value_name = "MIB", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=4096))]
    pub size: u32,
    /// Pieces, in KiB; by default as snapshots are cut
    #[arg(long, value_name = "KIB")]
    pub piece: Option<u32>,
    /// Connections of one peer, about; by default 40, and 24 among more than 5,000 peers
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(8..=1000))]
    pub degree: Option<u32>,
    /// Uplink of each peer, in Mbit/s
    #[arg(long, value_name = "MBIT", default_value_t = 40.0)]
    pub up: f64,
    /// Uplink of the origin, in Mbit/s
    #[arg(long, value_name = "MBIT", default_value_t = 40.0)]
    pub seedup: f64,
    /// One-way latency, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 5.0)]
    pub latency: f64,
    /// Where chance begins: the same numbers give the same run
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// Share of the peers that give nothing
    #[arg(long, value_name = "PERCENT", default_value_t = 0.0)]
    pub free_riders: f64,
    /// Share of the peers that know no turns, only ordinary slots
    #[arg(long, value_name = "PERCENT", default_value_t = 0.0)]
    pub stock: f64,
    /// Share of the peers that claim everything and send wrong blocks
    #[arg(long, value_name = "PERCENT", default_value_t = 0.0)]
    pub liars: f64,
    /// Peers leave when they are done
    #[arg(long)]
    pub leave: bool,
    /// A v2 torrent, in which a wrong block is known by itself
    #[arg(long)]
    pub v2: bool,
    /// Print the outcome as JSON
    #[arg(long)]
    pub json: bool,
}

/// Words of `gt tracker`.
#[derive(Debug, Args)]
pub struct Tracker {
    /// Where to listen; port 0 lets the system choose
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:6969")]
    pub listen: SocketAddr,
}

/// Words of `gt trust`.
#[derive(Debug, Args)]
pub struct Trust {
    /// What to do.
    #[command(subcommand)]
    pub verb: TrustVerb,
}

/// The verbs of `gt trust`.
#[derive(Debug, Subcommand)]
pub enum TrustVerb {
    /// Take certificates into your keyring, or ownertrust that gpg exported
    Import(TrustImport),
    /// Show every user id and how far it is believed
    List(TrustList),
    /// Make a key a root: whom it certifies is believed
    AddRoot(TrustAddRoot),
    /// Say how far the owner of a key is trusted to certify others
    Set(TrustSet),
    /// Show the certifications by which a key is believed
    Path(TrustKey),
    /// Say what a key is to you, and why
    Why(TrustKey),
}

/// By which rules the web of trust is computed.
#[derive(Clone, Debug, Args)]
pub struct WebWords {
    /// A keyring to read instead of your own: exported, armoured or a pubring.kbx; - is standard input (repeatable)
    #[arg(long = "keyring", value_name = "FILE")]
    pub keyrings: Vec<PathBuf>,
    /// Ownertrust to read instead of your own, as gpg exports it; - is standard input
    #[arg(long, value_name = "FILE")]
    pub ownertrust: Option<PathBuf>,
    /// The rules: GnuPG's pgp or classic, or strict
    #[arg(long, value_name = "pgp|classic|strict", default_value = "strict")]
    pub model: String,
    /// How many fully trusted owners it takes
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub completes_needed: u32,
    /// How many marginally trusted owners it takes
    #[arg(long, value_name = "N", default_value_t = 3)]
    pub marginals_needed: u32,
    /// How many certifications a path may have
    #[arg(long, value_name = "N", default_value_t = 5)]
    pub max_cert_depth: u32,
    /// How careful a certification must say that it was (1 to 3)
    #[arg(long, value_name = "N", default_value_t = 2)]
    pub min_cert_level: u8,
    /// The moment to ask about, in UTC: Unix seconds, 2022-12-24 or 20221224T120000
    #[arg(long, value_name = "TIME")]
    pub at: Option<String>,
}

/// Words of `gt trust import`.
#[derive(Debug, Args)]
pub struct TrustImport {
    /// Keyrings: exported, armoured or a pubring.kbx; - is standard input
    #[arg(value_name = "FILE", required_unless_present = "ownertrust")]
    pub files: Vec<PathBuf>,
    /// Ownertrust that `gpg --export-ownertrust` wrote; - is standard input
    #[arg(long, value_name = "FILE")]
    pub ownertrust: Option<PathBuf>,
    /// Print what was done as JSON
    #[arg(long)]
    pub json: bool,
}

/// Words of `gt trust list`.
#[derive(Debug, Args)]
pub struct TrustList {
    /// The rules
    #[command(flatten)]
    pub web: WebWords,
    /// Print fingerprint, kind, letter and hash, with tabs between
    #[arg(long, conflicts_with = "json")]
    pub tsv: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Words of `gt trust add-root`.
#[derive(Debug, Args)]
pub struct TrustAddRoot {
    /// The fingerprint, whole
    pub key: String,
    /// Print what was done as JSON
    #[arg(long)]
    pub json: bool,
}

/// Words of `gt trust set`.
#[derive(Debug, Args)]
pub struct TrustSet {
    /// The fingerprint, whole
    pub key: String,
    /// unknown, undefined, never, marginal, full or ultimate
    pub level: String,
    /// Print what was done as JSON
    #[arg(long)]
    pub json: bool,
}

/// Words of `gt trust path` and `gt trust why`.
#[derive(Debug, Args)]
pub struct TrustKey {
    /// The fingerprint, whole
    pub key: String,
    /// The rules
    #[command(flatten)]
    pub web: WebWords,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
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

/// Words of `gt verify`.
#[derive(Debug, Args)]
pub struct Verify {
    /// Commits, tags or refs of this repository
    #[arg(value_name = "COMMIT|TAG|REF", required_unless_present = "object")]
    pub what: Vec<String>,
    /// The repository; by default the one around the current folder
    #[arg(long, short = 'C', value_name = "FOLDER")]
    pub repository: Option<PathBuf>,
    /// Verify the bytes in this file, as `git cat-file commit X` prints them (- for standard input)
    #[arg(long, value_name = "FILE", conflicts_with_all = ["what", "repository", "policy"])]
    pub object: Option<PathBuf>,
    /// What the object is; by default what its first line says
    #[arg(long = "type", value_name = "TYPE", value_parser = ["commit", "tag"])]
    pub kind: Option<String>,
    /// Certificates whose keys are trusted (repeatable)
    #[arg(long = "keyring", value_name = "FILE")]
    pub keyrings: Vec<PathBuf>,
    /// Who may sign with SSH keys; in a repository by default gpg.ssh.allowedSignersFile
    #[arg(long, value_name = "FILE")]
    pub allowed_signers: Option<PathBuf>,
    /// SSH keys that were revoked: a list or a KRL
    #[arg(long, value_name = "FILE")]
    pub revoked_keys: Option<PathBuf>,
    /// Trust these primary keys alone (repeatable)
    #[arg(long = "signer", value_name = "FINGERPRINT")]
    pub signers: Vec<String>,
    /// Refuse SHA-1 in a signature, which git and GnuPG take for good
    #[arg(long)]
    pub refuse_weak_digests: bool,
    /// Ask for this moment: Unix seconds, 2024-12-31 or 20241231T235959
    #[arg(long, value_name = "TIME")]
    pub at: Option<String>,
    /// Hold what is published here against the charter and its rules, too
    #[arg(long)]
    pub policy: bool,
    /// Print one JSON value
    #[arg(long)]
    pub json: bool,
}

/// Words of `gt charter`.
#[derive(Debug, Args)]
pub struct CharterWords {
    /// What to do.
    #[command(subcommand)]
    pub verb: CharterVerb,
}

/// The verbs of `gt charter`.
#[derive(Debug, Subcommand)]
pub enum CharterVerb {
    /// Print the newest charter and who has confirmed it
    Show(CharterShow),
    /// Propose the next charter, and seal it
    Edit(CharterEdit),
    /// Seal a charter that was proposed, or list what waits
    Endorse(Endorse),
    /// Say which of two valid charters holds
    Pin(CharterPin),
}

/// Words of `gt charter show`.
#[derive(Debug, Args)]
pub struct CharterShow {
    /// The repository; by default the one around the current folder
    #[arg(long, short = 'C', value_name = "FOLDER")]
    pub repository: Option<PathBuf>,
    /// Print one JSON value
    #[arg(long)]
    pub json: bool,
}

/// Words of `gt charter edit`.
#[derive(Debug, Args)]
pub struct CharterEdit {
    /// The repository; by default the one around the current folder
    #[arg(long, short = 'C', value_name = "FOLDER")]
    pub repository: Option<PathBuf>,
    /// Add a delegate, openpgp:FINGERPRINT or ssh:SHA256:… (repeatable)
    #[arg(long, value_name = "DELEGATE")]
    pub add: Vec<String>,
    /// Remove a delegate (repeatable)
    #[arg(long, value_name = "DELEGATE")]
    pub remove: Vec<String>,
    /// How many delegates must seal a statement
    #[arg(long, value_name = "N")]
    pub threshold: Option<u64>,
    /// How many must seal the next charter; by default more than half
    #[arg(long, value_name = "N")]
    pub charter_threshold: Option<u64>,
    /// Add or replace a rule, such as "refs/heads/main any 2 fast-forward signed-tip" (repeatable)
    #[arg(long = "rule", value_name = "RULE")]
    pub rules: Vec<String>,
    /// Remove the rule of a pattern (repeatable)
    #[arg(long = "remove-rule", value_name = "PATTERN")]
    pub remove_rules: Vec<String>,
    /// What people call the repository
    #[arg(long)]
    pub name: Option<String>,
    /// Certificates of new delegates (repeatable)
    #[arg(long = "keyring", value_name = "FILE")]
    pub keyrings: Vec<PathBuf>,
    /// Propose without a seal of one's own, where one is no delegate
    #[arg(long)]
    pub no_seal: bool,
    /// Write the proposal to a file, to be carried to other delegates
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Print one JSON value
    #[arg(long)]
    pub json: bool,
}

/// Words of `gt charter pin`.
#[derive(Debug, Args)]
pub struct CharterPin {
    /// The charter's SHA-256
    pub identity: String,
    /// The repository; by default the one around the current folder
    #[arg(long, short = 'C', value_name = "FOLDER")]
    pub repository: Option<PathBuf>,
}

/// Words of `gt endorse` and `gt charter endorse`.
#[derive(Debug, Args)]
pub struct Endorse {
    /// The proposal: a file, or the identity of one that is kept here; without it, what waits is listed
    pub proposal: Option<PathBuf>,
    /// The repository; by default the one around the current folder
    #[arg(long, short = 'C', value_name = "FOLDER")]
    pub repository: Option<PathBuf>,
    /// Collect the seals of others without one's own
    #[arg(long)]
    pub no_seal: bool,
    /// Write the proposal with all its seals to a file, to be carried on
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Print one JSON value
    #[arg(long)]
    pub json: bool,
}

/// Words of `gt log`.
#[derive(Debug, Args)]
pub struct Log {
    /// The repository; by default the one around the current folder
    #[arg(long, short = 'C', value_name = "FOLDER")]
    pub repository: Option<PathBuf>,
    /// How many statements at most
    #[arg(long, short = 'n', value_name = "N", default_value_t = 1000)]
    pub limit: usize,
    /// Print one JSON value
    #[arg(long)]
    pub json: bool,
}
