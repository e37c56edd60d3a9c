//! Names and paths as numbers.

use std::collections::HashMap;

/// A base name.
pub(super) type Name = u32;

/// A full path: a name in the folder of another path.
pub(super) type Path = u32;

/// The path of a root tree.
pub(super) const ROOT: Path = 0;

/// Gives each name and each path a number of its own. Full bytes are compared:
/// no two paths ever share a number.
#[derive(Default)]
pub(super) struct Names {
    names: HashMap<Box<[u8]>, Name>,
    paths: HashMap<(Path, Name), Path>,
}

impl Names {
    pub(super) fn name(&mut self, bytes: &[u8]) -> Name {
        if let Some(name) = self.names.get(bytes) {
            return *name;
        }
        let number = self.names.len() as Name;
        self.names.insert(bytes.into(), number);
        number
    }

    pub(super) fn path(&mut self, folder: Path, name: Name) -> Path {
        let number = self.paths.len() as Path + 1;
        *self.paths.entry((folder, name)).or_insert(number)
    }
}
