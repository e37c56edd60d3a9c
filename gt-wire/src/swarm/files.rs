//! Closing files: which are whole, in which order, and what their backend
//! makes of them.

use std::collections::BTreeSet;
use std::time::Duration;

use gt_vfs::Verdict;

use super::Swarm;
use super::input::Failure;
use super::output::{Event, Fault, Output};
use crate::bitfield::Bitfield;
use crate::geometry::{FileIndex, Geometry, PieceIndex};
use crate::source;

/// The first wait after a close that failed; doubled each time.
const RETRY: Duration = Duration::from_secs(1);

/// The longest.
const RETRY_MOST: Duration = Duration::from_secs(60);

/// The wanted files, and how far each is.
#[derive(Debug)]
pub(super) struct Files {
    files: Vec<State>,
    /// Wanted files that are not accepted yet, in order.
    open: BTreeSet<FileIndex>,
    in_order: bool,
    /// Whether the caller was told that all is done.
    told: bool,
}

#[derive(Clone, Debug)]
struct State {
    /// Pieces that lack.
    lacking: u32,
    closing: bool,
    failures: u32,
    not_before: Duration,
}

impl Files {
    pub(super) fn new(
        geometry: &Geometry,
        have: &Bitfield,
        closed: BTreeSet<FileIndex>,
        wanted: BTreeSet<FileIndex>,
        in_order: bool,
    ) -> Self {
        let files = (0..geometry.files().len() as u32)
            .map(|n| State {
                lacking: geometry
                    .pieces_of(FileIndex(n))
                    .filter(|p| !have.has(*p))
                    .count() as u32,
                closing: false,
                failures: 0,
                not_before: Duration::ZERO,
            })
            .collect();
        let open: BTreeSet<FileIndex> = wanted
            .difference(&closed)
            .filter(|f| geometry.file(**f).is_some_and(|f| !f.padding))
            .copied()
            .collect();
        Self {
            files,
            // What was complete from the start is no news.
            told: open.is_empty(),
            open,
            in_order,
        }
    }

    pub(super) fn is_complete(&self) -> bool {
        self.open.is_empty()
    }

    fn state(&mut self, file: FileIndex) -> Option<&mut State> {
        self.files.get_mut(file.0 as usize)
    }

    /// Returns the files to close now.
    fn due(&mut self, now: Duration) -> Vec<FileIndex> {
        let mut due = Vec::new();
        for file in &self.open {
            let state = &mut self.files[file.0 as usize];
            if state.lacking == 0 && !state.closing && state.not_before <= now {
                state.closing = true;
                due.push(*file);
            }
            if self.in_order {
                break;
            }
        }
        due
    }

    /// Returns when a close is to be tried again.
    fn next(&self, now: Duration) -> Option<Duration> {
        self.open
            .iter()
            .map(|file| &self.files[file.0 as usize])
            .filter(|s| s.lacking == 0 && !s.closing && s.not_before > now)
            .map(|s| s.not_before)
            .min()
    }
}

impl Swarm {
    /// Notes that a piece is done, for the files that lie in it.
    pub(super) fn count_files(&mut self, piece: PieceIndex) {
        let Some(torrent) = &mut self.torrent else {
            return;
        };
        for span in torrent.geometry.spans(torrent.geometry.whole(piece)) {
            if let Some(state) = torrent.files.state(span.file) {
                state.lacking = state.lacking.saturating_sub(1);
            }
        }
    }

    /// Asks to close the files that are whole and whose turn it is.
    pub(super) fn close_files(&mut self) {
        let Some(torrent) = &mut self.torrent else {
            return;
        };
        if torrent.failed || self.stopped {
            return;
        }
        for file in torrent.files.due(self.now) {
            self.outputs.push_back(Output::CloseFile { file });
        }
        if torrent.files.is_complete() && !torrent.files.told {
            torrent.files.told = true;
            self.event(Event::Complete);
            self.announce(Some(source::Event::Completed));
        }
    }

    pub(super) fn file_closed(&mut self, file: FileIndex, result: Result<Verdict, Failure>) {
        let now = self.now;
        let Some(torrent) = &mut self.torrent else {
            return;
        };
        let Some(state) = torrent.files.state(file).filter(|s| s.closing) else {
            return;
        };
        state.closing = false;
        match result {
            Ok(Verdict::Accept) => {
                torrent.files.open.remove(&file);
                self.event(Event::FileDone(file));
                self.close_files();
            }
            Ok(Verdict::Reject { why }) => self.fail(Fault::Rejected { file, why }),
            Err(failure) => {
                let wait = RETRY * 2_u32.pow(state.failures.min(6));
                state.failures += 1;
                state.not_before = if failure.passing {
                    now + wait.min(RETRY_MOST)
                } else {
                    Duration::MAX
                };
                let until = failure.passing.then_some(state.not_before);
                self.alarm(until.unwrap_or(Duration::MAX));
                self.event(Event::Stalled { failure, until });
            }
        }
    }

    pub(super) fn time_files(&mut self) {
        self.close_files();
        if let Some(at) = self.torrent.as_ref().and_then(|t| t.files.next(self.now)) {
            self.alarm(at);
        }
    }
}
