//! How far a work of gt-pack is, on a terminal.

use std::io::Write;
use std::ops::ControlFlow;
use std::sync::Mutex;

use gt_pack::encode;
use gt_pack::verify::{Progress, Stage};

use crate::Env;
use crate::meter::Meter;

/// Shows on a terminal how far a work is, and nothing elsewhere. It has the
/// standard error stream until it is [ended](Self::end).
pub(super) struct Shown(Mutex<Line>);

struct Line {
    out: Box<dyn Write + Send>,
    terminal: bool,
    meter: Option<(&'static str, Meter)>,
}

impl Shown {
    pub(super) fn new(env: &mut Env) -> Self {
        Self(Mutex::new(Line {
            out: std::mem::replace(&mut env.stderr, Box::new(std::io::sink())),
            terminal: env.terminal,
            meter: None,
        }))
    }

    /// Gives standard error back, on a fresh line.
    pub(super) fn end(self, env: &mut Env) {
        let mut line = self.0.into_inner().unwrap_or_else(|e| e.into_inner());
        if line.meter.is_some() {
            // A line that cannot be shown is no reason to fail.
            let _ = writeln!(line.out);
        }
        env.stderr = line.out;
    }

    /// Shows how far the encoding of a reel is.
    pub(super) fn encoding(&self, progress: encode::Progress) {
        match progress {
            encode::Progress::Listing { objects } => self.show("Listing objects", objects, objects),
            encode::Progress::Writing { done, total } => self.show("Writing reel", done, total),
            _ => {}
        }
    }

    fn show(&self, title: &'static str, done: u64, total: u64) {
        // Several threads tell; the one that finds another at it passes.
        let Ok(mut line) = self.0.try_lock() else {
            return;
        };
        let Line {
            out,
            terminal: true,
            meter,
        } = &mut *line
        else {
            return;
        };
        if meter.as_ref().is_none_or(|(of, _)| *of != title) {
            if meter.is_some() {
                let _ = writeln!(out);
            }
            *meter = Some((title, Meter::new(title, true)));
        }
        if let Some((_, meter)) = meter {
            let _ = meter.show(&mut **out, done, total, None);
        }
    }
}

impl Progress for Shown {
    fn at(&self, stage: Stage, done: u64, total: u64) -> ControlFlow<()> {
        let title = match stage {
            Stage::Comparing => "Comparing with the root",
            Stage::Reading => "Reading pack",
            Stage::Resolving => "Resolving deltas",
            Stage::Connecting => "Checking links",
            Stage::Writing => "Writing",
            _ => "Working",
        };
        self.show(title, done, total);
        ControlFlow::Continue(())
    }
}
