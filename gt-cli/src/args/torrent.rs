//! The words of `gt torrent …`.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::ways::Ways;

/// What to do with a plain torrent.
#[derive(Debug, Subcommand)]
pub enum Torrent {
    /// Make a .torrent file of a file or folder
    Create(Create),
    /// Show what a .torrent file or a magnet link says
    Show(Show),
    /// Hash what lies in a folder against a .torrent file
    Check(Check),
    /// Give a torrent's files to peers until told to stop
    Seed(Seed),
    /// Fetch a torrent's files from peers
    Get(Get),
}

/// Words of `gt torrent create`.
#[derive(Debug, Args)]
pub struct Create {
    /// The file or folder to share
    pub path: PathBuf,
    /// Where to write it; by default the name with .torrent, here
    #[arg(long = "output", short = 'o', value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Hashes for clients of the first version only (BEP 3)
    #[arg(long, conflicts_with_all = ["v2", "hybrid"])]
    pub v1: bool,
    /// Hashes for clients of the second version only (BEP 52)
    #[arg(long, conflicts_with = "hybrid")]
    pub v2: bool,
    /// Hashes for both (the default)
    #[arg(long)]
    pub hybrid: bool,
    /// Bytes in a piece, such as 256K or 1M; by default by the size of it all
    #[arg(long, value_name = "SIZE", value_parser = bytes)]
    pub piece: Option<u64>,
    /// A tracker (repeatable; each is a tier of its own)
    #[arg(long = "tracker", value_name = "URL")]
    pub trackers: Vec<String>,
    /// An HTTP source of the files (repeatable)
    #[arg(long = "web-seed", value_name = "URL")]
    pub web_seeds: Vec<String>,
    /// Peers may be learnt from the trackers only
    #[arg(long)]
    pub private: bool,
    /// A remark
    #[arg(long)]
    pub comment: Option<String>,
    /// Print the result as JSON on standard output
    #[arg(long)]
    pub json: bool,
}

/// Words of `gt torrent show`.
#[derive(Debug, Args)]
pub struct Show {
    /// A .torrent file or a magnet link
    #[arg(value_name = "FILE|MAGNET")]
    pub torrent: String,
    /// Print it as JSON
    #[arg(long)]
    pub json: bool,
}

/// Words of `gt torrent check`.
#[derive(Debug, Args)]
pub struct Check {
    /// The .torrent file
    pub file: PathBuf,
    /// The folder in which the torrent's file or folder lies
    #[arg(value_name = "DIR")]
    pub folder: PathBuf,
    /// Print the result as JSON on standard output
    #[arg(long)]
    pub json: bool,
}

/// How a transfer takes part.
#[derive(Clone, Debug, Args)]
pub struct Net {
    /// Where to listen (repeatable); port 0 lets the system choose
    #[arg(long = "listen", value_name = "ADDR")]
    pub listen: Vec<SocketAddr>,
    /// A peer to ask first (repeatable)
    #[arg(long = "peer", value_name = "ADDR")]
    pub peers: Vec<SocketAddr>,
    /// A tracker, beside those of the torrent (repeatable)
    #[arg(long = "tracker", value_name = "URL")]
    pub trackers: Vec<String>,
    /// The most bytes to send in a second, such as 500K or 2M
    #[arg(long, value_name = "RATE", value_parser = bytes)]
    pub limit_up: Option<u64>,
    /// The most bytes to receive in a second, such as 500K or 2M
    #[arg(long, value_name = "RATE", value_parser = bytes)]
    pub limit_down: Option<u64>,
    /// By which other ways peers are met
    #[command(flatten)]
    pub ways: Ways,
    /// Print events as lines of JSON on standard output
    #[arg(long)]
    pub json: bool,
}

/// Words of `gt torrent seed`.
#[derive(Debug, Args)]
pub struct Seed {
    /// The .torrent file
    pub file: PathBuf,
    /// The folder in which the torrent's file or folder lies
    #[arg(value_name = "DIR")]
    pub folder: PathBuf,
    /// Show each peer different pieces, so that one copy goes far (BEP 16)
    #[arg(long)]
    pub super_seed: bool,
    /// Where and through whom
    #[command(flatten)]
    pub net: Net,
}

/// Words of `gt torrent get`.
#[derive(Debug, Args)]
pub struct Get {
    /// A .torrent file or a magnet link
    #[arg(value_name = "FILE|MAGNET")]
    pub torrent: String,
    /// The folder to put the torrent's file or folder into
    #[arg(value_name = "DIR")]
    pub folder: PathBuf,
    /// Give up when nothing has come for so many seconds; by default never
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    pub wait: Option<u64>,
    /// Go on seeding when everything is here
    #[arg(long)]
    pub stay: bool,
    /// Keep what is right of whole files that are not the torrent's, and fetch the rest of them over it
    #[arg(long)]
    pub repair: bool,
    /// Where and through whom
    #[command(flatten)]
    pub net: Net,
}

/// Reads a number of bytes with an optional unit: K, M or G, of 1024 each.
fn bytes(text: &str) -> Result<u64, String> {
    let wrong = || format!("expected a number of bytes such as 262144, 256K or 1M, got {text:?}");
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let unit = match text[digits.len()..].to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kb" | "kib" => 1 << 10,
        "m" | "mb" | "mib" => 1 << 20,
        "g" | "gb" | "gib" => 1 << 30,
        _ => return Err(wrong()),
    };
    let number: u64 = digits.parse().map_err(|_| wrong())?;
    match number.checked_mul(unit) {
        Some(bytes) if bytes > 0 => Ok(bytes),
        _ => Err(wrong()),
    }
}

#[cfg(test)]
mod tests {
    use super::bytes;

    #[test]
    fn sizes_and_rates() {
        assert_eq!(bytes("16384"), Ok(16384));
        assert_eq!(bytes("256K"), Ok(256 << 10));
        assert_eq!(bytes("1MiB"), Ok(1 << 20));
        assert_eq!(bytes("2g"), Ok(2 << 30));
        for wrong in [
            "",
            "K",
            "0",
            "-1",
            "1x",
            "1.5M",
            "99999999999999999999",
            "18446744073709551615K",
        ] {
            assert!(bytes(wrong).is_err(), "{wrong}");
        }
    }
}
