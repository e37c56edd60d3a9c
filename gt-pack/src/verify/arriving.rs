//! A pack that is still on its way: while nothing comes, the deltas of what
//! came are resolved, so that little is left to do when its last byte is here.
//!
//! ```text
//!   bytes  ▂▂▂▂      ▂▂▂▂▂     ▂▂▂      ▂▂
//!   front  ████      █████     ███      ██
//!   deltas     ██████     █████   ██████  ██ end
//! ```
//!
//! A delta that comes later may stand on an object that was built before: that
//! is built again then, but not named again. So it is done only while there is
//! nothing else to do, and when enough has come that it is worth it.

use std::sync::atomic::Ordering;

use gt_vfs::{ObjectFormat, ReadAt};

use super::pass::{Namer, Pass, STEP, Taker, lend};
use super::{Error, Progress, Stage, Visitor};
use crate::limits::Limits;

/// Where a pack comes from that is still on its way.
pub trait Arriving: ReadAt {
    /// Returns up to where it can be read now without waiting. More may be
    /// there when this is used.
    fn there(&self) -> u64;
}

/// Reads a pack as it comes in, in order.
pub(super) fn read(
    source: &dyn Arriving,
    format: ObjectFormat,
    limits: &Limits,
    visitor: &dyn Visitor,
    progress: &dyn Progress,
) -> Result<Pass, Error> {
    let length = source.size();
    let mut taker = Taker::new(format, limits, Some(length));
    let mut namer = Namer::new(format, limits, visitor);
    let mut buffer = vec![0; STEP];
    let mut at = 0;
    let outcome = (|| {
        while !namer.has_failed() {
            if read_on(source, &mut at, &mut buffer, &mut taker, &namer, progress)? {
                break;
            }
            namer.name(taker.last());
            if !namer.has_failed() {
                taker.resolve(&mut namer, source, length, visitor, progress)?;
            }
        }
        namer.name(taker.last());
        Ok(())
    })();
    taker.finish(namer, outcome)
}

/// Reads until the end, or until nothing is there and enough has come that its
/// deltas are worth being resolved; tells whether it was the end.
fn read_on(
    source: &dyn Arriving,
    at: &mut u64,
    buffer: &mut [u8],
    taker: &mut Taker,
    namer: &Namer<'_>,
    progress: &dyn Progress,
) -> Result<bool, Error> {
    let most = 2 * rayon::current_num_threads();
    rayon::in_place_scope_fifo(|scope| {
        loop {
            if source.there() <= *at && taker.is_worth_resolving() {
                return Ok(false);
            }
            let read = match source.read_at(*at, buffer) {
                Ok(0) => return Ok(true),
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => continue,
                other => other?,
            };
            *at += read as u64;
            let mut full = lend(namer, scope, most);
            taker.push(&buffer[..read], None, namer, &mut full)?;
            if namer.failed.load(Ordering::Relaxed) {
                return Ok(true);
            }
            let total = source.size();
            if progress.at(Stage::Reading, *at, total).is_break() {
                return Err(Error::Stopped);
            }
        }
    })
}
