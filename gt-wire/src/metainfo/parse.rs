//! Reading a foreign info dictionary.

use std::collections::{BTreeMap, BTreeSet};

use gt_vfs::content::Hash;
use gt_vfs::{Root, VPath};
use sha1::{Digest, Sha1};

use super::info::Symlink;
use super::{Error, Info, Version, names};
use crate::bencode::{Kind, Node};
use crate::geometry::{File, Geometry};
use crate::{InfoHash, limits};

impl Info {
    /// Reads an info dictionary and checks it against piece layers, by root.
    ///
    /// A .torrent file needs all of its layers (`strict`); of an info
    /// dictionary alone they are asked of peers.
    pub(super) fn parse(
        info: Node<'_>,
        layers: &BTreeMap<Root, Vec<Hash>>,
        strict: bool,
    ) -> Result<Self, Error> {
        let version = match number(info, "meta version") {
            Err(Error::Missing(_)) | Ok(1) => Version::V1,
            Ok(2) if info.get(b"pieces").is_some() => Version::Hybrid,
            Ok(2) => Version::V2,
            Ok(other) => return Err(Error::Version(other)),
            Err(e) => return Err(e),
        };
        if info.kind() != Kind::Dict {
            return Err(Error::Field("info", "a dictionary"));
        }
        let name = match bytes(info, "name.utf-8") {
            Ok(name) if !name.is_empty() => name,
            _ => bytes(info, "name")?,
        };
        let path = folder(info, name)?;
        let piece_length = number(info, "piece length")?;
        let mut symlinks = Vec::new();
        let tree = match version {
            Version::V1 => Vec::new(),
            _ => {
                let tree = info.get(b"file tree").ok_or(Error::Missing("file tree"))?;
                read_tree(tree, &mut symlinks)?
            }
        };
        let folder = path.as_bytes().to_vec();
        let (files, single) = match version {
            Version::V2 => {
                let single = matches!(&tree[..], [only] if only.path == path);
                (tree, single)
            }
            _ => {
                let single = info.get(b"files").is_none();
                // A hybrid tells of its links twice.
                symlinks.clear();
                let files = read_files(info, path, &mut symlinks)?;
                match version {
                    Version::Hybrid => (join(files, tree)?, single),
                    _ => (files, single),
                }
            }
        };
        let mut files = files;
        if !files.iter().any(|f| !f.padding && f.length > 0) {
            return Err(Error::Field("length", "at least one byte in all"));
        }
        names::settle(&mut files);
        if strict && version != Version::V1 {
            match_layers(&files, piece_length, layers)?;
        }
        let known = || {
            let roots = files.iter().map(|file| file.root.filter(|_| !file.padding));
            roots.map(|root| layers.get(&root?).cloned()).collect()
        };
        let geometry = match version {
            Version::V1 => Geometry::v1(piece_length, files, read_sha1(info)?)?,
            Version::V2 => {
                let known = known();
                Geometry::v2(piece_length, files, known)?
            }
            Version::Hybrid => {
                let known = known();
                Geometry::hybrid(piece_length, files, read_sha1(info)?, known)?
            }
        };
        Ok(Self {
            raw: info.raw().to_vec(),
            name: name.to_vec(),
            folder,
            symlinks,
            private: info.get(b"private").and_then(|n| n.as_i64()) == Some(1),
            single,
            version,
            geometry,
        })
    }
}

/// Returns what the torrent's file or folder is called on a disk: its name, or
/// where nothing is left of that, its hash.
fn folder(info: Node<'_>, name: &[u8]) -> Result<VPath, Error> {
    let hash = || {
        VPath::parse(
            InfoHash(Sha1::digest(info.raw()).into())
                .to_string()
                .as_bytes(),
        )
    };
    let slashes = name.iter().all(|b| matches!(b, b'/' | b'\\' | b'.'));
    match names::path([name]) {
        _ if slashes => hash().map_err(|e| Error::Path(0, e)),
        path => path.map_err(|e| Error::Path(0, e)),
    }
}

/// Checks that there is a layer for each file of more than one piece, and none
/// for anything else (BEP 52). Some makers name the root of a file of one piece
/// as its own layer.
fn match_layers(
    files: &[File],
    piece_length: u64,
    layers: &BTreeMap<Root, Vec<Hash>>,
) -> Result<(), Error> {
    let mut strange: BTreeSet<&Root> = layers.keys().collect();
    for file in files.iter().filter(|f| !f.padding) {
        let Some(root) = &file.root else { continue };
        let layer = layers.get(root);
        match layer {
            None if file.length > piece_length => {
                return Err(Error::NoLayer(file.path.to_string()));
            }
            Some(layer) if file.length > piece_length || layer[..] == [root.0] => {
                strange.remove(root);
            }
            _ => {}
        }
    }
    match strange.first() {
        Some(root) => Err(Error::StrangeLayer(root.to_string())),
        None => Ok(()),
    }
}

fn number(node: Node<'_>, key: &'static str) -> Result<u64, Error> {
    let value = node.get(key.as_bytes()).ok_or(Error::Missing(key))?;
    value.as_u64().ok_or(Error::Field(key, "a number from 0"))
}

fn bytes<'d>(node: Node<'d>, key: &'static str) -> Result<&'d [u8], Error> {
    let value = node.get(key.as_bytes()).ok_or(Error::Missing(key))?;
    value.as_bytes().ok_or(Error::Field(key, "a string"))
}

fn read_sha1(info: Node<'_>) -> Result<Vec<[u8; 20]>, Error> {
    let (hashes, rest) = bytes(info, "pieces")?.as_chunks::<20>();
    match rest {
        [] => Ok(hashes.to_vec()),
        _ => Err(Error::Field("pieces", "hashes of 20 bytes")),
    }
}

/// Reads the v1 half: one `length`, or `files`.
fn read_files(
    info: Node<'_>,
    name: VPath,
    symlinks: &mut Vec<Symlink>,
) -> Result<Vec<File>, Error> {
    let Some(list) = info.get(b"files") else {
        let file = File::new(name, number(info, "length")?);
        return Ok(vec![with_attributes(file, info)]);
    };
    if info.get(b"length").is_some() {
        return Err(Error::Field("info", "either `length` or `files`"));
    }
    let mut files = Vec::new();
    for (n, node) in list.items().enumerate() {
        if n >= limits::METAINFO_FILES {
            return Err(crate::geometry::Error::Files(n + 1).into());
        }
        if attributes(node).contains(&b'l') {
            symlinks.push(read_symlink(read_path(n, node)?, node)?);
            continue;
        }
        let length = number(node, "length")?;
        if attributes(node).contains(&b'p') {
            files.push(padding(length));
            continue;
        }
        files.push(with_attributes(
            File::new(read_path(n, node)?, length),
            node,
        ));
    }
    if files.is_empty() {
        return Err(Error::Field("files", "at least one file"));
    }
    Ok(files)
}

fn read_path(n: usize, node: Node<'_>) -> Result<VPath, Error> {
    let names = |key: &[u8]| -> Option<Vec<&[u8]>> {
        let list = node.get(key).filter(|list| list.kind() == Kind::List)?;
        list.items().map(|name| name.as_bytes()).collect()
    };
    let path = names(b"path.utf-8").or_else(|| names(b"path"));
    let path = path.ok_or(match node.get(b"path") {
        Some(_) => Error::Field("path", "a list of strings"),
        None => Error::Missing("path"),
    })?;
    names::path(path).map_err(|e| Error::Path(n, e))
}

/// Reads a link (BEP 47), which is told of and never made.
fn read_symlink(path: VPath, node: Node<'_>) -> Result<Symlink, Error> {
    let target = node.get(b"symlink path");
    let target = target.ok_or(Error::Missing("symlink path"))?;
    let names: Option<Vec<&[u8]>> = target.items().map(|name| name.as_bytes()).collect();
    match names {
        Some(names) if !names.is_empty() => Ok(Symlink {
            path,
            target: names.join(&b'/'),
        }),
        _ => Err(Error::Field("symlink path", "a list of strings")),
    }
}

/// The name is never used: padding is stored nowhere.
pub(super) fn padding(length: u64) -> File {
    let path = VPath::parse(format!(".pad/{length}").as_bytes());
    File::new(path.expect("a folder and a number are plain names"), length).as_padding()
}

fn attributes(node: Node<'_>) -> &[u8] {
    let attributes = node.get(b"attr").and_then(|n| n.as_bytes());
    attributes.unwrap_or_default()
}

fn with_attributes(mut file: File, node: Node<'_>) -> File {
    let attributes = attributes(node);
    file.executable = attributes.contains(&b'x');
    file.hidden = attributes.contains(&b'h');
    file
}

/// Reads the v2 half: names down to an empty name, under which a file is
/// described (BEP 52). The depth was limited when the bytes were read.
fn read_tree(tree: Node<'_>, symlinks: &mut Vec<Symlink>) -> Result<Vec<File>, Error> {
    let mut files = Vec::new();
    let mut names: Vec<&[u8]> = Vec::new();
    let mut open = vec![tree.entries()];
    let mut last: Vec<Option<&[u8]>> = vec![None];
    while let Some(entries) = open.last_mut() {
        let Some((name, node)) = entries.next() else {
            if last.pop().flatten().is_none() {
                return Err(Error::Field("file tree", "files in every folder"));
            }
            open.pop();
            names.pop();
            continue;
        };
        if let Some(before) = last.last_mut() {
            if before.is_some_and(|before| before >= name) {
                return Err(Error::Unsorted);
            }
            *before = Some(name);
        }
        names.push(name);
        match node.get(b"") {
            Some(file) if node.entries().count() == 1 => {
                if files.len() >= limits::METAINFO_FILES {
                    return Err(crate::geometry::Error::Files(files.len() + 1).into());
                }
                let number = files.len();
                let path = names::path(names.iter().copied());
                let path = path.map_err(|e| Error::Path(number, e))?;
                if attributes(file).contains(&b'l') {
                    symlinks.push(read_symlink(path, file)?);
                } else {
                    files.push(read_leaf(path, file)?);
                }
                names.pop();
            }
            Some(_) => return Err(Error::Clash(names.join(&b'/').escape_ascii().to_string())),
            None => {
                open.push(node.entries());
                last.push(None);
            }
        }
    }
    Ok(files)
}

fn read_leaf(path: VPath, node: Node<'_>) -> Result<File, Error> {
    if attributes(node).contains(&b'p') {
        // Every file begins a piece without it.
        return Err(Error::Field("file tree", "no padding"));
    }
    let length = number(node, "length")?;
    let root = match bytes(node, "pieces root") {
        Ok(root) => {
            let root: Hash = root
                .try_into()
                .map_err(|_| Error::Field("pieces root", "32 bytes"))?;
            // Some makers name a root for an empty file; it has none.
            if length == 0 { Root::EMPTY } else { Root(root) }
        }
        Err(Error::Missing(_)) if length == 0 => Root::EMPTY,
        Err(e) => return Err(e),
    };
    Ok(with_attributes(
        File::new(path, length).with_root(root),
        node,
    ))
}

/// Gives the files of the v1 half the roots of the v2 half, which must tell
/// of the same files in the same order.
fn join(v1: Vec<File>, v2: Vec<File>) -> Result<Vec<File>, Error> {
    let mut v2 = v2.into_iter();
    let mut joined = Vec::with_capacity(v1.len());
    for mut file in v1 {
        if !file.padding {
            let other = v2.next().ok_or(Error::Divergent)?;
            if other.path != file.path || other.length != file.length {
                return Err(Error::Divergent);
            }
            file.root = other.root;
        }
        joined.push(file);
    }
    match v2.next() {
        None => Ok(joined),
        Some(_) => Err(Error::Divergent),
    }
}

/// Checks that no path stands twice, nor as the folder of another.
pub(super) fn check_clashes(files: &[File]) -> Result<(), Error> {
    let clash = |path: &VPath| Err(Error::Clash(path.to_string()));
    let mut paths = BTreeSet::new();
    for file in files.iter().filter(|f| !f.padding) {
        if !paths.insert(file.path.as_bytes()) {
            return clash(&file.path);
        }
    }
    for file in files.iter().filter(|f| !f.padding) {
        let path = file.path.as_bytes();
        let mut folders = (0..path.len()).filter(|n| path[*n] == b'/');
        if folders.any(|n| paths.contains(&path[..n])) {
            return clash(&file.path);
        }
    }
    Ok(())
}
