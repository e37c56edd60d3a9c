//! Reads a multi-pack-index that lies in layers, each of which adds packs to
//! those before it (git: `technical/multi-pack-index`, "Incremental
//! multi-pack indexes").

use std::io;
use std::path::Path;
use std::sync::Arc;

use gt_vfs::{ObjectFormat, ObjectId, ReadAt};

use super::trailer;
use super::{Multi, MultiError};
use crate::spool::Spool;

/// The layers of a multi-pack-index, the first at the bottom. Packs and objects
/// of all are numbered together: those of a layer behind those before it.
pub struct Layers {
    /// Each with how many packs and objects stand before it.
    layers: Vec<(Multi, u32, u32)>,
    count: u32,
    fault: Option<Error>,
}

/// The folder of the layers, in `objects/pack`.
pub(crate) const FOLDER: &str = "multi-pack-index.d";
/// The file in it that names them.
pub(crate) const CHAIN: &str = "multi-pack-index-chain";
/// Layers that are read: more than any repository has. Each is held open.
const MOST: usize = 256;

/// Opens a layer by its file name; `None` where there is none.
pub type OpenLayer<'a> = dyn FnMut(&str) -> io::Result<Option<Arc<dyn ReadAt>>> + 'a;

impl Layers {
    /// Opens the layers that a chain file names; `layer` opens one by its file
    /// name, which never leads out of a folder, and returns `None` where there
    /// is none.
    ///
    /// As in git, a line that is no name, or a layer that is not there or
    /// cannot be used, ends the chain: the layers before it stand, and
    /// [`fault`](Self::fault) tells why others do not.
    ///
    /// # Errors
    /// What the chain file or `layer` meets.
    pub fn open(
        chain: &dyn ReadAt,
        format: ObjectFormat,
        layer: &mut OpenLayer<'_>,
    ) -> io::Result<Self> {
        let width = 2 * format.raw_len() as u64 + 1;
        let length = chain.size().min((MOST as u64 + 1) * width);
        let mut text = vec![0; length as usize];
        chain.read_exact_at(0, &mut text)?;
        let mut found = Self {
            layers: Vec::new(),
            count: 0,
            fault: None,
        };
        let mut names = Vec::new();
        let text = text.strip_suffix(b"\n").unwrap_or(&text);
        let lines = text.split(|b| *b == b'\n').filter(|_| !text.is_empty());
        for (line, number) in lines.zip(1..) {
            let outcome = match name(line, format) {
                None => Err(Error::Line(number)),
                Some(_) if names.len() == MOST => Err(Error::TooMany),
                Some(id) if names.contains(&id) => Err(Error::Twice(id)),
                Some(id) => {
                    names.push(id);
                    found.add(id, format, layer)
                }
            };
            match outcome {
                Ok(()) => {}
                Err(Error::Io(e)) => return Err(e),
                Err(fault) => {
                    found.fault = Some(fault);
                    break;
                }
            }
        }
        Ok(found)
    }

    /// Opens the layers in a folder of packs, `objects/pack`; `None` where
    /// there are none.
    ///
    /// # Errors
    /// What the system says.
    pub fn in_folder(packs: &Path, format: ObjectFormat) -> io::Result<Option<Self>> {
        let folder = packs.join(FOLDER);
        let open = |name: &str| match Spool::open(&folder.join(name)) {
            Ok(file) => Ok(Some(file)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(e),
        };
        let Some(chain) = open(CHAIN)? else {
            return Ok(None);
        };
        let mut layer = |name: &str| {
            let file = open(name)?;
            Ok(file.map(|file| Arc::new(file) as Arc<dyn ReadAt>))
        };
        Self::open(&chain, format, &mut layer).map(Some)
    }

    /// Puts a layer on top.
    fn add(
        &mut self,
        id: ObjectId,
        format: ObjectFormat,
        layer: &mut OpenLayer<'_>,
    ) -> Result<(), Error> {
        let file = layer(&format!("multi-pack-index-{id}.midx"))?;
        let file = file.ok_or(Error::Missing(id))?;
        let multi = Multi::open(Arc::clone(&file), format).map_err(|e| match e {
            MultiError::Io(e) => Error::Io(e),
            source => Error::Layer { id, source },
        })?;
        // A layer is named by its sum.
        let got = trailer::sum_at(&*file, format, file.size() - format.raw_len() as u64)?;
        if got != id {
            return Err(Error::Name { expected: id, got });
        }
        let packs = u32::try_from(multi.packs().len()).ok();
        let before = self.layers.last().map_or(0, |(below, packs, _)| {
            // Counted when it was added.
            packs + below.packs().len() as u32
        });
        let fits = packs.and_then(|packs| before.checked_add(packs)).is_some();
        let count = self.count.checked_add(multi.len());
        let count = count.filter(|_| fits).ok_or(Error::TooMany)?;
        self.layers.push((multi, before, self.count));
        self.count = count;
        Ok(())
    }

    /// Returns why the chain ends before its last line, if it does.
    pub fn fault(&self) -> Option<&Error> {
        self.fault.as_ref()
    }

    /// Returns the number of objects.
    pub fn len(&self) -> u32 {
        self.count
    }

    /// Tells whether there is no object.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Returns the layers, the first at the bottom.
    pub fn layers(&self) -> impl Iterator<Item = &Multi> {
        self.layers.iter().map(|(multi, ..)| multi)
    }

    /// Returns the packs: names of their `.idx` files, without a folder.
    pub fn packs(&self) -> impl Iterator<Item = &str> {
        self.layers()
            .flat_map(|multi| multi.packs())
            .map(|name| &name[..])
    }

    /// Returns the place of an object: the last layer that has it counts.
    ///
    /// # Errors
    /// See [`MultiError`].
    pub fn find(&self, oid: &ObjectId) -> Result<Option<u32>, MultiError> {
        for (multi, _, before) in self.layers.iter().rev() {
            if let Some(place) = multi.find(oid)? {
                return Ok(Some(before + place));
            }
        }
        Ok(None)
    }

    /// Returns the name of the object at `place`.
    ///
    /// # Errors
    /// [`MultiError::Place`] from [`len`](Self::len) on.
    pub fn oid_at(&self, place: u32) -> Result<ObjectId, MultiError> {
        let (multi, _, before) = self.layer_of(place)?;
        multi.oid_at(place - before)
    }

    /// Returns which of the [packs](Self::packs) holds the object at `place`,
    /// and where its entry begins there, as [`Multi::offset_at`] does.
    ///
    /// # Errors
    /// [`MultiError::Place`] from [`len`](Self::len) on,
    /// [`MultiError::Offset`] where the layer names no pack or no offset.
    pub fn offset_at(&self, place: u32) -> Result<(u32, u64), MultiError> {
        let (multi, packs, before) = self.layer_of(place)?;
        let (pack, offset) = multi.offset_at(place - before)?;
        Ok((packs + pack, offset))
    }

    /// Looks at each layer as [`Multi::check_whole`] does.
    ///
    /// # Errors
    /// See [`MultiError`].
    pub fn check_whole(&self) -> Result<(), MultiError> {
        self.layers().try_for_each(Multi::check_whole)
    }

    fn layer_of(&self, place: u32) -> Result<&(Multi, u32, u32), MultiError> {
        let after = self.layers.partition_point(|(.., before)| *before <= place);
        let layer = after.checked_sub(1).map(|at| &self.layers[at]);
        layer
            .filter(|_| place < self.count)
            .ok_or(MultiError::Place(place))
    }
}

/// Reads a line of a chain file.
fn name(line: &[u8], format: ObjectFormat) -> Option<ObjectId> {
    let text = std::str::from_utf8(line).ok()?;
    let id: ObjectId = text.to_ascii_lowercase().parse().ok()?;
    (id.format() == format).then_some(id)
}

/// Why a chain of multi-pack-indexes ends before its last line.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A line is none.
    #[error("expected the name of a layer in line {0} of the chain, got other bytes")]
    Line(usize),
    /// One layer stands twice.
    #[error("expected each layer once, got {0} twice")]
    Twice(ObjectId),
    /// A layer is not there.
    #[error("expected layer {0} of the multi-pack-index, got no such file")]
    Missing(ObjectId),
    /// A layer cannot be used.
    #[error("layer {id}: {source}")]
    Layer {
        /// Its name.
        id: ObjectId,
        /// What is wrong with it.
        source: MultiError,
    },
    /// A layer lies under the name of another.
    #[error("expected layer {expected}, got {got} under its name")]
    Name {
        /// Its name.
        expected: ObjectId,
        /// Its sum, as it says.
        got: ObjectId,
    },
    /// There are more layers, packs or objects than can be counted.
    #[error("expected at most {MOST} layers, and 2^32 packs and objects in all, got more")]
    TooMany,
    /// The source broke.
    #[error(transparent)]
    Io(#[from] io::Error),
}
