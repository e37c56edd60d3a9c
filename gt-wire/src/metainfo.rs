//! Torrents as files: v1 (BEP 3), v2 and hybrid (BEP 52).
//!
//! What is read is untrusted and checked until it cannot hurt; what names a
//! torrent is hashed from the bytes as they came. What is written is canonical.

mod build;
mod create;
mod info;
mod names;
mod parse;

use std::collections::{BTreeMap, BTreeSet};

use gt_vfs::Root;
use gt_vfs::content::Hash;

use crate::bencode::{self, Document, Kind, Limits, Node, Value, dict_of_raw};
use crate::geometry;

pub use create::{Create, Failed, piece_length_for};
pub use info::{Info, Symlink, Version};

/// A .torrent file: the info dictionary and what stands beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Metainfo {
    /// What is shared, piece layers of v2 included.
    pub info: Info,
    /// Trackers in tiers (BEP 12); a plain `announce` is one tier of one.
    pub trackers: Vec<Vec<String>>,
    /// HTTP sources (BEP 19, `url-list`).
    pub web_seeds: Vec<String>,
    /// HTTP sources of the older kind (BEP 17, `httpseeds`), which are shown
    /// and not used.
    pub http_seeds: Vec<String>,
    /// Nodes of the distributed hash table to begin with (BEP 5): host and
    /// port.
    pub nodes: Vec<(String, u16)>,
    /// A remark of the maker.
    pub comment: Option<String>,
    /// The maker's program.
    pub created_by: Option<String>,
    /// When it was made, in Unix seconds.
    pub created: Option<i64>,
}

impl Metainfo {
    /// Returns a torrent file with nothing beside `info`.
    pub fn new(info: Info) -> Self {
        Self {
            info,
            trackers: Vec::new(),
            web_seeds: Vec::new(),
            http_seeds: Vec::new(),
            nodes: Vec::new(),
            comment: None,
            created_by: None,
            created: None,
        }
    }

    /// Reads a .torrent file, whose keys may be in any order.
    ///
    /// A v2 file needs the piece layer of each file longer than a piece, and
    /// one that does not lead to its root, or is no such file's, is refused. An info dictionary alone
    /// is read by [`Info::read`], and the layers are asked of peers.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn read(bytes: &[u8]) -> Result<Self, Error> {
        let document = Document::parse(without_line_end(bytes), Limits::METAINFO)?;
        let root = document.root();
        if root.kind() != Kind::Dict {
            return Err(Error::Field("torrent", "a dictionary"));
        }
        let info = root.get(b"info").ok_or(Error::Missing("info"))?;
        let layers = match root.get(b"piece layers") {
            Some(layers) => read_layers(layers)?,
            None => BTreeMap::new(),
        };
        Ok(Self {
            info: Info::parse(info, &layers, true)?,
            trackers: read_trackers(root),
            web_seeds: read_urls(root, b"url-list"),
            http_seeds: read_urls(root, b"httpseeds"),
            nodes: read_nodes(root),
            comment: text(root, b"comment"),
            created_by: text(root, b"created by"),
            created: root.get(b"creation date").and_then(|n| n.as_i64()),
        })
    }

    /// Returns the bytes of the .torrent file: canonical, but for an `info`
    /// that came in another form and keeps it.
    pub fn write(&self) -> Vec<u8> {
        let mut entries: BTreeMap<&[u8], Vec<u8>> = BTreeMap::new();
        let string = |s: &String| Value::bytes(s);
        if let Some(first) = self.trackers.iter().flatten().next() {
            entries.insert(b"announce", string(first).encode());
        }
        if self.trackers.iter().flatten().count() > 1 {
            let tiers = self.trackers.iter();
            let tiers = tiers.map(|tier| Value::List(tier.iter().map(string).collect()));
            entries.insert(b"announce-list", Value::List(tiers.collect()).encode());
        }
        if let Some(comment) = &self.comment {
            entries.insert(b"comment", string(comment).encode());
        }
        if let Some(maker) = &self.created_by {
            entries.insert(b"created by", string(maker).encode());
        }
        if let Some(seconds) = self.created {
            entries.insert(b"creation date", Value::Integer(seconds).encode());
        }
        if !self.http_seeds.is_empty() {
            let list = self.http_seeds.iter().map(string).collect();
            entries.insert(b"httpseeds", Value::List(list).encode());
        }
        entries.insert(b"info", self.info.raw().to_vec());
        if !self.nodes.is_empty() {
            let nodes = self.nodes.iter().map(|(host, port)| {
                Value::List(vec![string(host), Value::Integer((*port).into())])
            });
            entries.insert(b"nodes", Value::List(nodes.collect()).encode());
        }
        if self.info.v2_hash().is_some() {
            entries.insert(b"piece layers", self.layers().encode());
        }
        if !self.web_seeds.is_empty() {
            let list = self.web_seeds.iter().map(string).collect();
            entries.insert(b"url-list", Value::List(list).encode());
        }
        dict_of_raw(&entries)
    }

    fn layers(&self) -> Value {
        let geometry = self.info.geometry();
        let files = geometry.files().iter().enumerate();
        Value::dict(files.filter_map(|(n, file)| {
            let layer = geometry.layer(geometry::FileIndex(n as u32))?;
            let long = file.length > geometry.piece_length();
            let root = file.root.filter(|_| long)?;
            Some((root.0, Value::Bytes(layer.concat())))
        }))
    }
}

/// Text editors and some makers end a file with a line end, which hurts nobody;
/// what else stands behind the end is refused.
fn without_line_end(bytes: &[u8]) -> &[u8] {
    let bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    bytes.strip_suffix(b"\r").unwrap_or(bytes)
}

fn read_layers(node: Node<'_>) -> Result<BTreeMap<Root, Vec<Hash>>, Error> {
    let wrong = || Error::Field("piece layers", "hashes of 32 bytes under roots of 32 bytes");
    if node.kind() != Kind::Dict {
        return Err(wrong());
    }
    let mut layers = BTreeMap::new();
    for (root, layer) in node.entries() {
        let root: Hash = root.try_into().map_err(|_| wrong())?;
        let (hashes, rest) = layer.as_bytes().ok_or_else(wrong)?.as_chunks::<32>();
        if !rest.is_empty() {
            return Err(wrong());
        }
        layers.insert(Root(root), hashes.to_vec());
    }
    Ok(layers)
}

/// Addresses are hints: one that is no text is passed over, and so are the
/// spaces that some makers leave round them.
fn url(node: Node<'_>) -> Option<String> {
    let url = node.as_str()?.trim();
    (!url.is_empty()).then(|| url.to_owned())
}

/// Reads tiers of trackers (BEP 12); some makers write a list without tiers.
fn read_trackers(root: Node<'_>) -> Vec<Vec<String>> {
    let mut tiers: Vec<Vec<String>> = Vec::new();
    if let Some(list) = root.get(b"announce-list") {
        for tier in list.items() {
            let urls = tier.items().filter_map(url);
            tiers.push(url(tier).into_iter().chain(urls).collect());
        }
    }
    tiers.retain(|tier| !tier.is_empty());
    if tiers.is_empty() {
        let one = root.get(b"announce").and_then(url);
        tiers.extend(one.map(|url| vec![url]));
    }
    tiers
}

/// Reads a list of addresses, in older files one string; each counts once.
fn read_urls(root: Node<'_>, key: &[u8]) -> Vec<String> {
    let Some(list) = root.get(key) else {
        return Vec::new();
    };
    let mut seen = BTreeSet::new();
    let urls = url(list).into_iter().chain(list.items().filter_map(url));
    urls.filter(|url| seen.insert(url.clone())).collect()
}

fn read_nodes(root: Node<'_>) -> Vec<(String, u16)> {
    let Some(list) = root.get(b"nodes") else {
        return Vec::new();
    };
    let node = |node: Node<'_>| {
        let mut pair = node.items();
        let host = url(pair.next()?)?;
        let port = u16::try_from(pair.next()?.as_u64()?).ok()?;
        Some((host, port))
    };
    list.items().filter_map(node).collect()
}

fn text(node: Node<'_>, key: &[u8]) -> Option<String> {
    let bytes = node.get(key)?.as_bytes()?;
    Some(String::from_utf8_lossy(bytes).into_owned())
}

/// Why bytes are no torrent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// They are not bencoded.
    #[error("not bencoded: {0}")]
    Bencode(#[from] bencode::Error),
    /// A key that must be there is not.
    #[error("expected the key `{0}`, got none")]
    Missing(&'static str),
    /// A value of the wrong kind or size.
    #[error("expected in `{0}` {1}, got something else")]
    Field(&'static str, &'static str),
    /// A version that this code does not know.
    #[error("expected meta version 1 or 2, got {0}")]
    Version(u64),
    /// A name that cannot be used.
    #[error("file {0} has a name that is refused: {1}")]
    Path(usize, gt_vfs::vpath::Error),
    /// Two files of one path, or a file where another has its folder.
    #[error("expected each path once, got {0} twice or as file and folder")]
    Clash(String),
    /// A .torrent file lacks what the pieces of a long file are checked
    /// against (BEP 52).
    #[error("expected a piece layer for {0}, which is longer than a piece, got none")]
    NoLayer(String),
    /// A piece layer of no file of more than one piece (BEP 52).
    #[error("expected piece layers of the torrent's own long files, got one for the root {0}")]
    StrangeLayer(String),
    /// The v2 tree's names must be sorted, since their order numbers pieces.
    #[error("expected a sorted file tree, got names out of order")]
    Unsorted,
    /// The two halves of a hybrid tell of different files.
    #[error("expected the same files in both halves of a hybrid torrent, got others in v2")]
    Divergent,
    /// The files and hashes do not fit each other.
    #[error(transparent)]
    Geometry(#[from] geometry::Error),
}
