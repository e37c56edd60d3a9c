//! Showing what happens while something is brought or served.

use std::io::Write;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::meter::{Meter, size};
use crate::told::Told;

/// Shows events as sentences and one line of progress.
pub(super) struct Shower<'a> {
    out: &'a mut (dyn Write + Send),
    meter: Option<Meter>,
    last: Option<(u64, u64, u64)>,
    /// What the transfer waits for, as it was said last.
    waits: Option<String>,
    terminal: bool,
    /// Whether only warnings are shown beside progress, as git does.
    pub(super) terse: bool,
    /// Whether anything but errors is shown.
    pub(super) loud: bool,
    /// Whether progress is shown.
    pub(super) progress: bool,
}

impl<'a> Shower<'a> {
    pub(super) fn new(out: &'a mut (dyn Write + Send), terminal: bool) -> Self {
        Self {
            out,
            meter: None,
            last: None,
            waits: None,
            terminal,
            terse: false,
            loud: true,
            progress: true,
        }
    }

    /// Shows one event. A stream that is gone is no reason to stop.
    pub(super) fn show(&mut self, told: &Told) {
        if let Told::Progress { have, total, bytes } = told {
            if self.progress && self.loud {
                self.last = Some((*have, *total, *bytes));
                let terminal = self.terminal;
                let meter = self
                    .meter
                    .get_or_insert_with(|| Meter::new("Receiving pieces", terminal));
                let _ = meter.show(self.out, *have, *total, Some(*bytes));
            }
            return;
        }
        if matches!(told, Told::Complete { .. } | Told::Failed(_)) {
            self.end_meter();
        }
        if !self.loud {
            return;
        }
        if let Told::Stalled(why) = told {
            // It is tried again every few seconds: once said is enough.
            if self.waits.as_ref() == Some(why) {
                return;
            }
            self.waits = Some(why.clone());
        }
        let usual = !matches!(
            told,
            Told::Refused { .. } | Told::Failed(_) | Told::Stalled(_) | Told::Shortened { .. }
        ) && !matches!(told, Told::Statement { stale: Some(_), .. });
        if usual && self.terse {
            return;
        }
        if let Some(words) = sentence(told) {
            let _ = writeln!(self.out, "{words}");
        }
    }

    /// Says something that is no event.
    pub(super) fn say(&mut self, words: &str) {
        self.end_meter();
        if self.loud {
            let _ = writeln!(self.out, "{words}");
        }
    }

    fn end_meter(&mut self) {
        if let (Some(mut meter), Some((have, total, bytes))) = (self.meter.take(), self.last.take())
        {
            let _ = meter.done(self.out, have, total, Some(bytes));
        }
    }
}

fn sentence(told: &Told) -> Option<String> {
    Some(match told {
        Told::Listening { address, .. } => format!("Listening on {address}"),
        Told::Statement {
            sequence,
            stale,
            from,
        } => {
            let from = from.map_or(String::new(), |a| format!(" from {a}"));
            match stale {
                Some(seconds) => format!(
                    "warning: statement {sequence}{from} is stale: it expired {} ago",
                    span(*seconds)
                ),
                None => format!("Statement {sequence}{from} is good"),
            }
        }
        Told::Shortened { epoch } => format!(
            "warning: charter {epoch} goes back behind what was held: its delegates have taken \
             back statements of the one before"
        ),
        Told::Refused { from, why } => {
            format!("warning: refused what {from} says: {}", plain(why))
        }
        Told::Gathered {
            charter,
            epoch,
            sequence,
            identity,
            seals,
            holds,
        } => {
            let name = match charter {
                true => format!("charter {epoch}"),
                false => format!("statement {epoch} {sequence}"),
            };
            match holds {
                true => format!("{name} holds, sealed by {seals}"),
                false => format!("Proposed: {name}, sealed by {seals}; gt endorse {identity}"),
            }
        }
        Told::Router(said) => plain(said),
        Told::Made(name) => format!("Made {} from what is here", plain(name)),
        Told::Complete { sequence } => format!("Snapshot {sequence} is complete"),
        Told::Refs { sequence, moved } => {
            format!("{moved} refs moved to those of statement {sequence}")
        }
        Told::Failed(why) => format!("error: {}", plain(why)),
        Told::Stalled(why) => format!("warning: waiting: {}", plain(why)),
        Told::Follower(_)
        | Told::Confirmed(_)
        | Told::Progress { .. }
        | Told::Reel(_)
        | Told::Traffic(_) => return None,
    })
}

/// Returns a text that may quote strangers without what would steer a terminal.
fn plain(text: &str) -> String {
    text.replace(|c: char| c.is_control() && c != '\n', "\u{fffd}")
}

/// Returns a span of time for people.
pub(super) fn span(seconds: u64) -> String {
    match seconds {
        0..=119 => format!("{seconds} s"),
        120..=7199 => format!("{} min", seconds / 60),
        7200..=172_799 => format!("{} h", seconds / 3600),
        _ => format!("{} days", seconds / 86400),
    }
}

/// Prints an event as a line of JSON; tells whether anybody still reads.
pub(super) fn json(out: &mut dyn Write, told: &Told) -> bool {
    let at = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX));
    writeln!(out, "{}", told.to_json(at))
        .and_then(|()| out.flush())
        .is_ok()
}

/// Returns the traffic of a seeder in one line.
pub(super) fn traffic(uploaded: u64, downloaded: u64, peers: usize) -> String {
    format!(
        "sent {}, received {}, {peers} peers",
        size(uploaded),
        size(downloaded)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strangers_words_do_not_steer_the_terminal() {
        let told = Told::Refused {
            from: "192.0.2.1:1".parse().unwrap(),
            why: "got \u{1b}]0;x\u{7}\u{9b}2J\r".to_owned(),
        };
        let shown = sentence(&told).unwrap();
        assert!(!shown.contains(char::is_control), "{shown:?}");
        assert!(shown.contains("got \u{fffd}]0;x"), "{shown:?}");
    }
}
