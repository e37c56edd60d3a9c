//! Reels made with plain git, to be imported.

use std::collections::BTreeMap;
use std::sync::Arc;

use gt_pack::bundle::Header;
use gt_pack::import::{self, Error, Expected, Gate, Imported};
use gt_pack::verify::Silent;
use gt_pack::{Chain, Limits, ObjectFormat, ObjectId, Reel};
use gt_vfs::{ReadAt, Root};

use crate::git::{Git, file, text};

/// A bundle and what a statement says of it.
#[derive(Clone)]
pub(crate) struct Made {
    pub(crate) bytes: Vec<u8>,
    pub(crate) reel: Reel,
    pub(crate) refs: BTreeMap<Vec<u8>, ObjectId>,
}

impl Made {
    pub(crate) fn new(
        number: u64,
        prerequisites: &[ObjectId],
        tips: &[(&str, ObjectId)],
        pack: &[u8],
    ) -> Self {
        let header = Header {
            format: ObjectFormat::Sha1,
            prerequisites: prerequisites.to_vec(),
            tips: tips
                .iter()
                .map(|(name, oid)| (name.as_bytes().to_vec(), *oid))
                .collect(),
        };
        let refs = header.tips.iter().cloned().collect();
        Self::of(number, [&header.write()[..], pack].concat(), refs)
    }

    /// Bytes of any kind.
    pub(crate) fn of(number: u64, bytes: Vec<u8>, refs: BTreeMap<Vec<u8>, ObjectId>) -> Self {
        Self {
            reel: Reel {
                first: number,
                last: number,
                length: bytes.len() as u64,
                root: Root::of(&bytes),
                recipe: None,
            },
            bytes,
            refs,
        }
    }

    pub(crate) fn file(&self) -> Arc<dyn ReadAt> {
        file(&self.bytes[..])
    }

    pub(crate) fn expected(&self, earlier: &[&Self]) -> Expected {
        Expected {
            reel: self.reel.clone(),
            earlier: earlier.iter().map(|made| made.reel.clone()).collect(),
            refs: Some(self.refs.clone()),
            head: Some(b"refs/heads/main".to_vec()),
        }
    }

    pub(crate) fn import(&self, into: &Git, earlier: &[&Self]) -> Result<Imported, Error> {
        self.import_through(into, earlier, &mut import::Open)
    }

    pub(crate) fn import_through(
        &self,
        into: &Git,
        earlier: &[&Self],
        gate: &mut dyn Gate,
    ) -> Result<Imported, Error> {
        let mut chain = Chain::open(&into.dir()).unwrap();
        let (bundle, expected) = (self.file(), self.expected(earlier));
        let limits = Limits::default();
        import::reel(&mut chain, &*bundle, &expected, gate, &limits, &Silent)
    }
}

/// Sorted by bytes.
pub(crate) fn sorted(mut oids: Vec<ObjectId>) -> Vec<ObjectId> {
    oids.sort();
    oids
}

/// A repository and the reels of it: everything, and two thin pushes.
pub(crate) fn published() -> (Git, Vec<Made>) {
    let git = Git::init();
    let body = |n: u32| format!("{}{}{}", text(1, 300), text(n + 2, 3), text(99, 300));
    let mut commits = Vec::new();
    for n in 0..6 {
        let own = text(n + 50, 5);
        commits.push(git.commit(&[("a.txt", &body(n)), (&format!("d/{n}"), &own)]));
    }
    let reels = [(0, 3), (3, 4), (4, 5)];
    let made = reels.iter().enumerate().map(|(number, (from, to))| {
        let (from, to) = (commits[*from], commits[*to]);
        let main = [("refs/heads/main", to)];
        let base = format!("^{from}");
        let until = to.to_string();
        if number == 0 {
            Made::new(0, &[], &main, &git.thin_pack(&[&until]))
        } else {
            Made::new(
                number as u64,
                &[from],
                &main,
                &git.thin_pack(&[&until, &base]),
            )
        }
    });
    let made = made.collect();
    (git, made)
}
