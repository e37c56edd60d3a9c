//! Writing an info dictionary of our own.

use std::collections::BTreeMap;

use gt_vfs::VPath;

use super::{Error, Info, Version, parse};
use crate::bencode::{self, Value};
use crate::geometry::{File, Geometry, PieceHash, PieceIndex};
use crate::limits;

/// Puts files in the order of the file tree: by components, which is not the
/// order of the joined bytes.
pub(super) fn sort(files: &mut [File]) {
    files.sort_by(|a, b| a.path.components().cmp(b.path.components()));
}

/// Returns the canonical dictionary of files that are laid out already.
pub(super) fn info(
    name: &[u8],
    private: bool,
    version: Version,
    geometry: Geometry,
) -> Result<Info, Error> {
    let path = VPath::from_components([name]).map_err(|e| Error::Path(0, e))?;
    parse::check_clashes(geometry.files())?;
    let mut content = geometry.files().iter().filter(|f| !f.padding);
    let single = content.next().is_some_and(|f| f.path == path) && content.next().is_none();
    let mut entries: BTreeMap<Vec<u8>, Value> = BTreeMap::new();
    let mut set = |key: &str, value| entries.insert(key.into(), value);
    set("name", Value::bytes(name));
    set("piece length", Value::number(geometry.piece_length()));
    if private {
        set("private", Value::Integer(1));
    }
    if version != Version::V1 {
        set("meta version", Value::Integer(2));
        set("file tree", tree(geometry.files())?);
    }
    if version != Version::V2 {
        if single {
            set("length", Value::number(geometry.content_length()));
            let mut file = geometry.files().iter().filter(|f| !f.padding);
            if let Some(marks) = file.next().and_then(attributes) {
                set("attr", marks);
            }
        } else {
            set("files", list(geometry.files()));
        }
        set("pieces", Value::Bytes(sha1(&geometry)));
    }
    let raw = Value::Dict(entries).encode();
    Ok(Info {
        raw,
        name: name.to_vec(),
        folder: name.to_vec(),
        symlinks: Vec::new(),
        private,
        single,
        version,
        geometry,
    })
}

fn attributes(file: &File) -> Option<Value> {
    let marks = [
        (file.executable, b'x'),
        (file.hidden, b'h'),
        (file.padding, b'p'),
    ];
    let marks: Vec<u8> = marks.iter().filter(|m| m.0).map(|m| m.1).collect();
    (!marks.is_empty()).then_some(Value::Bytes(marks))
}

fn list(files: &[File]) -> Value {
    let files = files.iter().map(|file| {
        let path = file.path.components().map(Value::bytes).collect();
        let entries = [
            ("length", Value::number(file.length)),
            ("path", Value::List(path)),
        ];
        let attributes = attributes(file).map(|marks| ("attr", marks));
        Value::dict(entries.into_iter().chain(attributes))
    });
    Value::List(files.collect())
}

fn sha1(geometry: &Geometry) -> Vec<u8> {
    let pieces = (0..geometry.pieces()).filter_map(|n| geometry.piece_hash(PieceIndex(n)));
    let hashes = pieces.filter_map(|hash| match hash {
        PieceHash::V1(sha1) | PieceHash::Hybrid { sha1, .. } => Some(sha1),
        PieceHash::V2(_) => None,
    });
    hashes.flatten().collect()
}

fn tree(files: &[File]) -> Result<Value, Error> {
    let mut top = BTreeMap::new();
    for file in files.iter().filter(|f| !f.padding) {
        // Two levels for the file itself and four around the tree.
        if file.path.components().count() + 6 > limits::BENCODE_DEPTH {
            let limit = limits::BENCODE_DEPTH;
            return Err(bencode::Error::TooDeep { limit }.into());
        }
        let mut folder = &mut top;
        for name in file.path.components() {
            let next = folder
                .entry(name.to_vec())
                .or_insert_with(|| Value::Dict(BTreeMap::new()));
            folder = match next {
                Value::Dict(next) => next,
                _ => return Err(Error::Clash(file.path.to_string())),
            };
        }
        let length = ("length", Value::number(file.length));
        let root = file.root.filter(|_| file.length > 0);
        let root = root.map(|root| ("pieces root", Value::bytes(root.0)));
        let attributes = attributes(file).map(|marks| ("attr", marks));
        let leaf = Value::dict([length].into_iter().chain(root).chain(attributes));
        folder.insert(Vec::new(), leaf);
    }
    Ok(Value::Dict(top))
}
