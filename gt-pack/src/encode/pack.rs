//! Writing the bundle: many objects are made into deltas at once, the choice
//! among them is made one after the other, since it depends on depths.
//!
//! Of an object's candidates the one with the shortest delta is its base. Of a
//! commit's, which are mostly text of its own, it is the one that takes the
//! fewest bytes in the pack. A base that takes a lot of making must have half of
//! the object. And where a large blob of a later reel stands on
//! one that is built from many versions, it passes by as many of them as its
//! longer delta is worth: a KiB that nobody has to make for each byte.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::atomic::{AtomicUsize, Ordering};

use gt_vfs::ObjectId;
use gt_vfs::content::TreeHasher;
use rayon::prelude::*;

use super::bases::Base;
use super::contents::Contents;
use super::deflate::Deflater;
use super::delta::Differ;
use super::plan::Plan;
use super::recipe::{self, MAX_DEPTH};
use super::store::{Object, Store};
use super::{Error, Options, Progress, Reel};
use crate::bundle::Header;
use crate::entry::{EntryHeader, EntryKind};
use crate::hash::FileHasher;
use crate::kind::Kind;
use crate::repository::Repository;

/// Most objects that are worked on together.
const BATCH: usize = 512;
/// Most bytes of such objects, the first one apart.
const BATCH_BYTES: usize = 16 << 20;
/// The depth of an object that was not written yet.
const UNKNOWN: u32 = u32::MAX;

pub(super) fn write(
    repository: &dyn Repository,
    plan: Plan,
    header: Header,
    options: &Options<'_>,
    out: &mut (dyn Write + Send),
) -> Result<Reel, Error> {
    let mut writer = Writer {
        plan: &plan,
        most: options.depth,
        store: Store::new(repository, &plan, options.cache),
        depths: vec![UNKNOWN; plan.objects.len()],
        roots: (0..plan.objects.len() as u32).map(Base::inside).collect(),
        costs: vec![0; plan.objects.len()],
        offsets: vec![0; plan.objects.len()],
        deltas: 0,
    };
    let mut sink = Sink::new(out, &header);
    sink.header(&header)?;
    sink.pack(b"PACK")?;
    sink.pack(&2_u32.to_be_bytes())?;
    sink.pack(&(plan.objects.len() as u32).to_be_bytes())?;
    let mut waiting: VecDeque<Waiting> = VecDeque::new();
    let mut rest = plan.order.iter();
    let mut done = 0;
    loop {
        let free = BATCH - waiting.len();
        waiting.extend(rest.by_ref().take(free).map(|index| (*index, None)));
        if waiting.is_empty() {
            break;
        }
        done += writer.batch(&mut waiting, &mut sink)? as u64;
        if let Some(progress) = options.progress {
            let total = plan.objects.len() as u64;
            progress(Progress::Writing { done, total });
        }
    }
    let (length, root) = sink.end()?;
    // What was needed for the work makes room for what is told of it.
    let (depths, roots, deltas) = (writer.depths, writer.roots, writer.deltas);
    drop((writer.store, writer.offsets, writer.costs));
    Ok(Reel {
        header,
        length,
        root,
        deltas,
        deepest: depths.iter().copied().max().unwrap_or(0),
        recipe: recipe::proven().filter(|_| options.depth == MAX_DEPTH),
        objects: Contents {
            objects: plan.objects,
            depths,
            roots,
            outside: plan.outside.iter().map(|object| object.id).collect(),
            order: plan.order,
        },
    })
}

/// An object that is next to be written, with its bytes where they were read.
type Waiting = (u32, Option<Object>);

struct Writer<'a> {
    plan: &'a Plan,
    /// The longest chain of deltas allowed.
    most: u32,
    store: Store<'a>,
    depths: Vec<u32>,
    /// Of each object the one at the beginning of its chain: a whole one, or
    /// the first outside of the reel.
    roots: Vec<Base>,
    /// Of each object, the bytes of all that are made to read it, in KiB.
    costs: Vec<u32>,
    offsets: Vec<u64>,
    deltas: u64,
}

/// A chosen delta, and the bases of this batch whose depth was not known yet.
struct Guess {
    delta: Option<(Base, Vec<u8>)>,
    /// What was deflated already to make the choice.
    deflated: Option<Vec<u8>>,
    supposed: Vec<Base>,
}

/// An object as it will be written: whole, or a delta on a base.
struct Chosen {
    index: u32,
    object: Object,
    delta: Option<(Base, Vec<u8>)>,
    deflated: Option<Vec<u8>>,
}

impl Chosen {
    /// Returns the length of the object.
    fn size(&self) -> u64 {
        self.object.size()
    }
}

impl Writer<'_> {
    /// Writes the first of the waiting objects, as many as memory allows, and
    /// returns how many.
    fn batch(
        &mut self,
        waiting: &mut VecDeque<Waiting>,
        sink: &mut Sink<'_>,
    ) -> Result<usize, Error> {
        self.load(waiting)?;
        let loaded = waiting.iter().take_while(|(_, b)| b.is_some()).count();
        let batch: Vec<_> = waiting
            .drain(..loaded)
            .filter_map(|(index, object)| Some((index, object?)))
            .collect();
        let guesses: Vec<_> = batch
            .par_iter()
            .map(|(index, object)| self.best(*index, object))
            .collect::<Result<_, _>>()?;
        let mut chosen = batch
            .into_iter()
            .zip(guesses)
            .map(|((index, object), guess)| self.choose(index, object, guess))
            .collect::<Result<Vec<_>, _>>()?;
        let deflated: Vec<_> = chosen
            .par_iter_mut()
            .map(|object| {
                if let Some(deflated) = object.deflated.take() {
                    return deflated;
                }
                match (&object.delta, &object.object) {
                    (Some((_, delta)), _) => deflate(delta),
                    (None, Object::Whole(bytes)) => deflate(bytes),
                    // In pieces, when it is written.
                    (None, Object::Large(_)) => Vec::new(),
                }
            })
            .collect();
        for (object, deflated) in chosen.iter().zip(deflated) {
            self.entry(object, &deflated, sink)?;
        }
        Ok(loaded)
    }

    /// Reads objects until the memory for a batch is used up; the first one
    /// is read in any case.
    fn load(&self, waiting: &mut VecDeque<Waiting>) -> Result<(), Error> {
        let loaded = AtomicUsize::new(0);
        let first = waiting.front().map(|(index, _)| *index);
        waiting
            .par_iter_mut()
            .filter(|(_, bytes)| bytes.is_none())
            .try_for_each(|(index, bytes)| {
                if loaded.load(Ordering::Relaxed) < BATCH_BYTES || Some(*index) == first {
                    let fetched = self.store.fetch(Base::inside(*index))?;
                    loaded.fetch_add(fetched.held(), Ordering::Relaxed);
                    *bytes = Some(fetched);
                }
                Ok(())
            })
    }

    /// Returns the delta that the recipe chooses, as far as depths are known.
    fn best(&self, index: u32, object: &Object) -> Result<Guess, Error> {
        let mut guess = Guess {
            delta: None,
            deflated: None,
            supposed: Vec::new(),
        };
        let Object::Whole(target) = object else {
            return Ok(guess);
        };
        if self.plan.objects.kind(index) == Kind::Commit {
            return self.shortest(index, target, guess);
        }
        let mut limit = recipe::longest_delta(target.len());
        for candidate in self.plan.bases.of(index) {
            let Some(base) = self.standing(candidate) else {
                continue;
            };
            if self.depth(base) == UNKNOWN {
                guess.supposed.push(base);
            }
            let Object::Whole(bytes) = self.store.fetch(base)? else {
                continue;
            };
            let most = match self.is_dear(base, target.len()) {
                true => limit.min(recipe::longest_dear_delta(target.len())),
                false => limit,
            };
            if let Some(delta) = delta(&bytes, target, most) {
                // The next one has to be shorter.
                limit = delta.len() - 1;
                guess.delta = Some((base, delta));
                if limit < recipe::short_delta(target.len()) {
                    break;
                }
            }
        }
        self.skip(target, &mut guess)?;
        Ok(guess)
    }

    /// Looks whether the delta may as well stand on what its base is built on:
    /// it is longer then, but there is less to read.
    fn skip(&self, target: &[u8], guess: &mut Guess) -> Result<(), Error> {
        let Some((base, delta)) = &mut guess.delta else {
            return Ok(());
        };
        let Err(outside) = base.place() else {
            return Ok(());
        };
        let skips = self.plan.outside[outside as usize].skips.as_deref();
        let most = recipe::longest_delta(target.len()) as u64;
        // What a delta costs: its length, less what it spares.
        let mut cost = delta.len() as i64;
        for skip in skips.unwrap_or_default() {
            let worth = recipe::worth(skip.saved) as i64;
            let limit = (cost + worth - 1).clamp(0, most as i64);
            let Object::Whole(bytes) = self.store.fetch(skip.base)? else {
                continue;
            };
            if let Some(longer) = self::delta(&bytes, target, limit as usize) {
                cost = longer.len() as i64 - worth;
                (*base, *delta) = (skip.base, longer);
            }
        }
        Ok(())
    }

    /// Returns the entry of a commit that takes the fewest bytes in the pack:
    /// it is deflated whole and as a delta on each candidate, since messages
    /// and signatures deflate as well as any copy of what is short.
    fn shortest(&self, index: u32, target: &[u8], mut guess: Guess) -> Result<Guess, Error> {
        let mut best = deflate(target);
        let mut cost = best.len();
        for candidate in self.plan.bases.of(index) {
            let Some(base) = self.standing(candidate) else {
                continue;
            };
            if self.depth(base) == UNKNOWN {
                guess.supposed.push(base);
            }
            let Object::Whole(bytes) = self.store.fetch(base)? else {
                continue;
            };
            if let Some(delta) = delta(&bytes, target, target.len()) {
                let deflated = deflate(&delta);
                let link = match base.place() {
                    Ok(_) => recipe::DISTANCE,
                    Err(_) => self.plan.objects.id(index).format().raw_len(),
                };
                if deflated.len() + link < cost {
                    cost = deflated.len() + link;
                    best = deflated;
                    guess.delta = Some((base, delta));
                }
            }
        }
        guess.deflated = Some(best);
        Ok(guess)
    }

    /// Returns what an object is to stand on that would stand on `base`: where
    /// that is at the end of the longest chain allowed, the whole object at
    /// the beginning of the chain, if it is in this reel.
    fn standing(&self, base: Base) -> Option<Base> {
        let depth = self.depth(base);
        if self.most > 0 && (depth < self.most || depth == UNKNOWN) {
            return Some(base);
        }
        let root = self.roots[base.place().ok()? as usize];
        (self.most > 0 && root.place().is_ok()).then_some(root)
    }

    /// Tells whether a base takes a lot of making; not, as long as that is not
    /// known. What earlier reels make of it is not counted.
    fn is_dear(&self, base: Base, size: usize) -> bool {
        let cost = base.place().map_or(0, |b| self.costs[b as usize]);
        recipe::is_dear(u64::from(cost) << 10, size)
    }

    fn depth(&self, base: Base) -> u32 {
        match base.place() {
            Ok(inside) => self.depths[inside as usize],
            Err(outside) => self.plan.outside[outside as usize].depth,
        }
    }

    /// Makes the choice: the guess, unless a base that was supposed to be
    /// allowed turned out not to be.
    fn choose(&mut self, index: u32, object: Object, mut guess: Guess) -> Result<Chosen, Error> {
        let size = object.size();
        // A longer delta than a dear base allows is never the shorter of two
        // that one may take: only where it was taken is the choice another.
        let is_commit = self.plan.objects.kind(index) == Kind::Commit;
        let is_too_long = guess.delta.as_ref().is_some_and(|(base, delta)| {
            delta.len() > recipe::longest_dear_delta(size as usize)
                && self.is_dear(*base, size as usize)
        });
        if is_too_long && !is_commit || guess.supposed.iter().any(|b| self.depth(*b) == self.most) {
            guess = self.best(index, &object)?;
        }
        for candidate in self.plan.bases.of(index) {
            self.store.used(candidate);
        }
        let (depth, root, before) = match &guess.delta {
            None => (0, Base::inside(index), 0),
            Some((base, _)) => {
                let root = base.place().map_or(*base, |b| self.roots[b as usize]);
                let before = base.place().map_or(0, |b| self.costs[b as usize]);
                (self.depth(*base) + 1, root, before)
            }
        };
        let own = u32::try_from(size >> 10).unwrap_or(u32::MAX);
        self.costs[index as usize] = before.saturating_add(own);
        self.depths[index as usize] = depth;
        self.roots[index as usize] = root;
        Ok(Chosen {
            index,
            object,
            delta: guess.delta,
            deflated: guess.deflated,
        })
    }

    fn entry(
        &mut self,
        object: &Chosen,
        deflated: &[u8],
        sink: &mut Sink<'_>,
    ) -> Result<(), Error> {
        let whole = self.plan.objects.kind(object.index);
        let offset = sink.length;
        let (kind, size) = match &object.delta {
            None => (EntryKind::Whole(whole), object.size()),
            Some((base, delta)) => {
                self.deltas += 1;
                let kind = match base.place() {
                    Ok(inside) => EntryKind::OfsDelta(offset - self.offsets[inside as usize]),
                    Err(outside) => EntryKind::RefDelta(self.plan.outside[outside as usize].id),
                };
                (kind, delta.len() as u64)
            }
        };
        let mut head = Vec::new();
        EntryHeader { kind, size }.write(&mut head);
        sink.pack(&head)?;
        match object.object {
            Object::Large(size) => self.large(object.index, size, sink)?,
            Object::Whole(_) => sink.pack(deflated)?,
        }
        self.offsets[object.index as usize] = offset;
        Ok(())
    }
}

impl Writer<'_> {
    /// Writes the stream of a large object, of which a piece at a time lies in
    /// memory.
    fn large(&self, index: u32, size: u64, sink: &mut Sink<'_>) -> Result<(), Error> {
        let mut broken = None;
        let mut made = Vec::new();
        let outcome = DEFLATER.with_borrow_mut(|deflater| {
            deflater.begin();
            self.store.pieces(index, size, &mut |piece, is_last| {
                deflater.piece(piece, is_last, &mut made);
                let written = sink.pack(&made).map_err(|e| {
                    let kind = e.kind();
                    broken = Some(e);
                    kind.into()
                });
                made.clear();
                written
            })
        });
        // That the object cannot be read any further is not its fault then.
        broken.map_or(outcome, |e| Err(Error::Write(e)))
    }
}

thread_local! {
    static DIFFER: RefCell<Differ> = RefCell::default();
    static DEFLATER: RefCell<Deflater> = RefCell::new(Deflater::new());
}

fn delta(base: &[u8], target: &[u8], limit: usize) -> Option<Vec<u8>> {
    DIFFER.with_borrow_mut(|differ| differ.delta(base, target, limit))
}

fn deflate(bytes: &[u8]) -> Vec<u8> {
    DEFLATER.with_borrow_mut(|deflater| deflater.deflate(bytes))
}

/// Where the bundle goes: every byte is hashed on its way.
struct Sink<'a> {
    out: io::BufWriter<&'a mut (dyn Write + Send)>,
    sum: FileHasher,
    tree: TreeHasher,
    length: u64,
}

impl<'a> Sink<'a> {
    fn new(out: &'a mut (dyn Write + Send), header: &Header) -> Self {
        Self {
            out: io::BufWriter::with_capacity(1 << 17, out),
            sum: FileHasher::new(header.format),
            tree: TreeHasher::new(),
            length: 0,
        }
    }

    fn header(&mut self, header: &Header) -> io::Result<()> {
        self.write(&header.write())
    }

    fn pack(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.sum.update(bytes);
        self.write(bytes)
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.tree.update(bytes);
        self.length += bytes.len() as u64;
        self.out.write_all(bytes)
    }

    fn end(mut self) -> Result<(u64, gt_vfs::Root), Error> {
        let trailer: ObjectId = self.sum.clone().finish();
        self.write(trailer.as_bytes())?;
        self.out.flush()?;
        Ok((self.length, self.tree.finish().root()))
    }
}
