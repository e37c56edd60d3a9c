//! The next statement: the accepted one, and what was pushed.

use std::collections::BTreeMap;

use super::{Contents, Error, ReelLine, RefLine, Statement, piece_length, total_length};
use crate::charter::Charter;
use crate::limits;
use crate::number::{Epoch, Seconds, Sequence, Time};
use crate::oid::{ObjectFormat, Oid};
use crate::refs::RefName;
use crate::rid::{Identity, Rid};

/// A statement being made.
///
/// It begins as the accepted one and changes only what it is told, so that a
/// clone that holds one branch does not delete the others.
#[derive(Clone, Debug)]
pub struct Draft {
    contents: Contents,
    refs: BTreeMap<RefName, RefLine>,
    base: BTreeMap<RefName, Oid>,
    follows: Option<Sequence>,
}

/// How a branch came to its new place; what only the repository knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Move {
    /// The old place is an ancestor of the new one, or there was none.
    FastForward,
    /// It is not: the line gets its `+`.
    Forced,
}

impl Draft {
    /// Begins the first statement of a repository: sequence 1, no refs.
    pub fn first(rid: Rid, charter: Identity, format: ObjectFormat, created: Time) -> Self {
        let contents = Contents {
            repository: rid,
            object_format: format,
            charter,
            epoch: Epoch(0),
            sequence: Sequence(1),
            previous: None,
            created,
            expires: created + limits::LIFETIME,
            keyring: None,
            description: None,
            trackers: Vec::new(),
            mirrors: Vec::new(),
            alternatives: Vec::new(),
            head: None,
            piece_length: piece_length(0),
            reels: Vec::new(),
            refs: Vec::new(),
        };
        Self {
            contents,
            refs: BTreeMap::new(),
            base: BTreeMap::new(),
            follows: None,
        }
    }

    /// Begins the statement after `accepted`: everything as it is there, with
    /// the next number, and no ref marked as moved.
    ///
    /// It is never dated before the one it follows on: a publisher whose clock
    /// goes wrong would otherwise write what receivers take for older.
    pub fn next(accepted: &Statement, created: Time) -> Self {
        let created = created.max(accepted.created);
        let mut contents = (**accepted).clone();
        let refs: BTreeMap<RefName, RefLine> = std::mem::take(&mut contents.refs)
            .into_iter()
            .map(|line| (line.name.clone(), RefLine::new(line.oid, line.name)))
            .collect();
        contents.previous = Some(accepted.mark());
        contents.created = created;
        contents.expires = created + limits::LIFETIME;
        Self {
            base: refs.values().map(|r| (r.name.clone(), r.oid)).collect(),
            refs,
            follows: Some(accepted.sequence),
            contents,
        }
    }

    /// Says by which charter it is to be judged. Under a later one than before
    /// the numbers begin anew.
    pub fn under(&mut self, charter: &Charter) -> &mut Self {
        if charter.epoch != self.contents.epoch {
            self.follows = None;
            self.contents.sequence = Sequence(1);
        }
        self.contents.epoch = charter.epoch;
        self.contents.charter = charter.identity();
        self
    }

    /// Returns the number that it will have.
    pub fn sequence(&self) -> Option<Sequence> {
        match self.follows {
            Some(before) => before.next(),
            None => Some(self.contents.sequence),
        }
    }

    /// Gives it a number above this one: what was sealed once is not sealed
    /// again with other words.
    pub fn skip(&mut self, taken: Sequence) -> &mut Self {
        if self.sequence().is_some_and(|own| own <= taken) {
            self.follows = Some(taken);
        }
        self
    }

    /// Puts a ref where it was pushed. A tag that was elsewhere before is
    /// marked whatever `how` says: tags do not move forward.
    pub fn set(&mut self, name: RefName, oid: Oid, how: Move) -> &mut Self {
        let before = self.base.get(&name);
        let moved = before.is_some_and(|old| *old != oid && (how == Move::Forced || name.is_tag()));
        let line = RefLine {
            oid,
            moved,
            name: name.clone(),
        };
        self.refs.insert(name, line);
        self
    }

    /// Deletes a ref; a head that named it names none then.
    pub fn delete(&mut self, name: &RefName) -> &mut Self {
        self.refs.remove(name);
        if self.contents.head.as_ref() == Some(name) {
            self.contents.head = None;
        }
        self
    }

    /// Says which ref HEAD names.
    pub fn head(&mut self, head: Option<RefName>) -> &mut Self {
        self.contents.head = head;
        self
    }

    /// Says which blob of certificates goes with it.
    pub fn keyring(&mut self, keyring: Option<Identity>) -> &mut Self {
        self.contents.keyring = keyring;
        self
    }

    /// Says in words what the repository is.
    pub fn description(&mut self, description: Option<String>) -> &mut Self {
        self.contents.description = description;
        self
    }

    /// Names the trackers.
    pub fn trackers(&mut self, trackers: Vec<String>) -> &mut Self {
        self.contents.trackers = trackers;
        self
    }

    /// Names the mirrors.
    pub fn mirrors(&mut self, mirrors: Vec<String>) -> &mut Self {
        self.contents.mirrors = mirrors;
        self
    }

    /// Names the alternatives.
    pub fn alternatives(&mut self, alternatives: Vec<Rid>) -> &mut Self {
        self.contents.alternatives = alternatives;
        self
    }

    /// Replaces all reels.
    pub fn reels(&mut self, reels: Vec<ReelLine>) -> &mut Self {
        self.contents.reels = reels;
        self
    }

    /// Adds a reel after the last one.
    pub fn add_reel(&mut self, reel: ReelLine) -> &mut Self {
        self.contents.reels.push(reel);
        self
    }

    /// Returns the number that a new reel gets.
    pub fn next_reel(&self) -> u64 {
        self.contents
            .reels
            .last()
            .map_or(0, |reel| reel.last.saturating_add(1))
    }

    /// Says how long it lasts, 90 days if nobody does.
    pub fn lifetime(&mut self, span: Seconds) -> &mut Self {
        self.contents.expires = self.contents.created + span;
        self
    }

    /// Tells whether any ref stands elsewhere than in the accepted statement.
    pub fn changes_refs(&self) -> bool {
        let now = self.refs.iter().map(|(name, line)| (name, &line.oid));
        !now.eq(self.base.iter())
    }

    /// Makes the statement.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn finish(self) -> Result<Statement, Error> {
        let mut contents = self.contents;
        if let Some(before) = self.follows {
            contents.sequence = before.next().ok_or(Error::LastSequence)?;
        }
        contents.refs = self.refs.into_values().collect();
        let total = total_length(&contents.reels).ok_or(Error::ReelOverflow)?;
        contents.piece_length = piece_length(total);
        Statement::new(contents)
    }
}
