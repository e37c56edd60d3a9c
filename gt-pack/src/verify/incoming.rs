//! Packs that arrive: verified while they come.

use std::io::{self, Read};

use gt_vfs::{ObjectFormat, ReadAt};

use super::pass::{Namer, Pass, Taker};
use super::{Arriving, Bases, Error, Progress, Verified, Visitor, arriving, finish, pass};
use crate::limits::Limits;

/// Verifies a pack as it comes out of `reader`, to its end.
///
/// What came is handed to `keep` before it is read, and must be found in
/// `source` afterwards, where deltas and their bases are read again: a
/// [`Spool`](crate::spool::Spool) that `keep` appends to, or a file that is
/// being downloaded and a reader that waits for its next bytes. `length` is
/// the length of the whole pack, where it is known beforehand: a pack that
/// promises too much is then refused at once, not at its end.
///
/// A reader that gives nothing is waited for as long as it blocks: put a
/// [`Patient`](crate::idle::Patient) before one that comes from strangers.
///
/// # Errors
/// See [`Error`].
#[allow(clippy::too_many_arguments, reason = "each is another's to give")]
pub fn stream(
    reader: &mut dyn Read,
    keep: &mut dyn FnMut(&[u8]) -> io::Result<()>,
    source: &dyn ReadAt,
    length: Option<u64>,
    format: ObjectFormat,
    limits: &Limits,
    bases: &dyn Bases,
    visitor: &dyn Visitor,
    progress: &dyn Progress,
) -> Result<Verified, Error> {
    let mut next = |buffer: &mut [u8]| {
        let read = reader.read(buffer)?;
        keep(&buffer[..read])?;
        Ok(read)
    };
    let pass = pass::read(&mut next, false, length, format, limits, visitor, progress)?;
    finish::finish(pass, source, format, limits, bases, visitor, progress)
}

/// Reads a pack from its first byte to its last, once, and does all of the work
/// of [`pack`](super::pack) that needs no object from elsewhere: entries are
/// inflated, whole objects and the deltas near their bases are named and shown
/// to the visitor.
///
/// # Errors
/// See [`Error`].
pub fn begin(
    source: &dyn ReadAt,
    format: ObjectFormat,
    limits: &Limits,
    visitor: &dyn Visitor,
    progress: &dyn Progress,
) -> Result<Begun, Error> {
    let pass = read(source, format, limits, visitor, progress)?;
    Ok(Begun::new(pass, format, limits))
}

/// Reads a pack that is there from its first byte to its last.
pub(super) fn read(
    source: &dyn ReadAt,
    format: ObjectFormat,
    limits: &Limits,
    visitor: &dyn Visitor,
    progress: &dyn Progress,
) -> Result<Pass, Error> {
    let mut at = 0;
    let mut next = |buffer: &mut [u8]| {
        let read = source.read_at(at, buffer)?;
        at += read as u64;
        Ok(read)
    };
    let length = Some(source.size());
    pass::read(&mut next, true, length, format, limits, visitor, progress)
}

/// Does as [`begin`], with a file that is still on its way, whose reads wait for
/// the bytes to come: while they do not, deltas are resolved as well, as far as
/// their bases are in the pack and named by offsets.
///
/// # Errors
/// See [`Error`].
pub fn arrive(
    source: &dyn Arriving,
    format: ObjectFormat,
    limits: &Limits,
    visitor: &dyn Visitor,
    progress: &dyn Progress,
) -> Result<Begun, Error> {
    let pass = arriving::read(source, format, limits, visitor, progress)?;
    Ok(Begun::new(pass, format, limits))
}

/// A pack that was read to its end, and of which deltas wait: the first half of
/// [`pack`](super::pack).
pub struct Begun {
    pass: Pass,
    format: ObjectFormat,
    limits: Limits,
}

impl Begun {
    fn new(mut pass: Pass, format: ObjectFormat, limits: &Limits) -> Self {
        // The end may be a long time off.
        pass.worn.clear();
        let limits = limits.clone();
        Self {
            pass,
            format,
            limits,
        }
    }

    /// Resolves the deltas of the pack, which lies in `source`. The visitor is
    /// the same that saw the other objects.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn finish(
        self,
        source: &dyn ReadAt,
        bases: &dyn Bases,
        visitor: &dyn Visitor,
        progress: &dyn Progress,
    ) -> Result<Verified, Error> {
        let Self {
            pass,
            format,
            limits,
        } = self;
        finish::finish(pass, source, format, &limits, bases, visitor, progress)
    }
}

/// A pack that is pushed, piece by piece, by whoever receives it.
///
/// Objects are inflated, hashed and shown to the visitor by the thread that
/// pushes; only the deltas wait for [`finish`](Self::finish).
pub struct Incoming<'a> {
    format: ObjectFormat,
    limits: Limits,
    visitor: &'a dyn Visitor,
    taker: Taker,
    namer: Namer<'a>,
    fault: Option<Error>,
}

impl<'a> Incoming<'a> {
    /// Returns a pack of which nothing has come. `length` is that of the
    /// whole pack, where it is known beforehand.
    pub fn new(
        format: ObjectFormat,
        limits: &Limits,
        length: Option<u64>,
        visitor: &'a dyn Visitor,
    ) -> Self {
        Self {
            format,
            limits: limits.clone(),
            visitor,
            taker: Taker::new(format, limits, length),
            namer: Namer::new(format, limits, visitor),
            fault: None,
        }
    }

    /// Takes the next bytes, and tells whether the pack can still be good:
    /// after `false` nothing more need be fetched, and
    /// [`finish`](Self::finish) says why.
    pub fn push(&mut self, bytes: &[u8]) -> bool {
        if self.fault.is_some() || self.namer.has_failed() {
            return false;
        }
        let namer = &self.namer;
        let mut full = |batch| namer.name(batch);
        self.fault = self.taker.push(bytes, None, namer, &mut full).err();
        self.fault.is_none() && !self.namer.has_failed()
    }

    /// Ends the pack, all of which lies in `source` now: resolves its deltas,
    /// on all threads.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn finish(
        mut self,
        source: &dyn ReadAt,
        bases: &dyn Bases,
        progress: &dyn Progress,
    ) -> Result<Verified, Error> {
        self.namer.name(self.taker.last());
        let outcome = self.fault.map_or(Ok(()), Err);
        let pass = self.taker.finish(self.namer, outcome)?;
        finish::finish(
            pass,
            source,
            self.format,
            &self.limits,
            bases,
            self.visitor,
            progress,
        )
    }
}
