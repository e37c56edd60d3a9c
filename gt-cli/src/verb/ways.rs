//! Ways to peers in git's configuration, where git calls us and the person
//! cannot say words on our command line: `gt.dht`, `gt.dhtNode`, `gt.utp`,
//! `gt.mapPort`, `gt.encryption`.

use clap::ValueEnum as _;

use crate::args::ways::{Encryption, Ways};
use crate::git::{self, Git};

/// Why ways cannot be taken from a configuration.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// A value that git cannot read as what it should be, or no git.
    #[error(transparent)]
    Git(#[from] git::Error),
    /// Another word than the four.
    #[error("gt.encryption: expected off, accept, prefer or require, got {0:?}")]
    Encryption(String),
}

/// Returns what was said, and where nothing was, what is configured.
pub(super) fn with_config(git: &Git, said: &Ways) -> Result<Ways, Error> {
    let encryption = match (said.encryption, git.config("gt.encryption")?) {
        (Some(said), _) => Some(said),
        (None, None) => None,
        (None, Some(word)) => {
            let read = Encryption::from_str(&word, true);
            Some(read.map_err(|_| Error::Encryption(word))?)
        }
    };
    let dht_nodes = if said.dht_nodes.is_empty() {
        git.config_all("gt.dhtNode")?
    } else {
        said.dht_nodes.clone()
    };
    Ok(Ways {
        dht: said.dht || git.config_switch("gt.dht")?,
        dht_nodes,
        utp: said.utp || git.config_switch("gt.utp")?,
        map_port: said.map_port || git.config_switch("gt.mapPort")?,
        encryption,
    })
}

/// Returns what was said as keys and values of git's configuration, so that a
/// clone goes the same ways later.
pub(super) fn as_config(said: &Ways) -> Vec<(&'static str, String)> {
    let switches = [
        ("gt.dht", said.dht),
        ("gt.utp", said.utp),
        ("gt.mapPort", said.map_port),
    ];
    let mut keys: Vec<_> = switches
        .into_iter()
        .filter(|(_, on)| *on)
        .map(|(key, _)| (key, "true".to_owned()))
        .collect();
    keys.extend(
        said.dht_nodes
            .iter()
            .map(|node| ("gt.dhtNode", node.clone())),
    );
    let word = said.encryption.and_then(|e| e.to_possible_value());
    keys.extend(word.map(|word| ("gt.encryption", word.get_name().to_owned())));
    keys
}
