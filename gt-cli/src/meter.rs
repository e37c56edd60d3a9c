//! Progress in the manner of git: one line that changes on a terminal, a
//! plain line now and then elsewhere.

use std::io::{self, Write};
use std::time::{Duration, Instant};

/// How often a line on a terminal changes.
const ON_TERMINAL: Duration = Duration::from_millis(100);
/// How often a plain line is printed.
const PLAIN: Duration = Duration::from_secs(5);

/// Counts one stretch of work and shows it.
pub struct Meter {
    title: String,
    terminal: bool,
    began: Instant,
    shown: Option<Instant>,
    last: String,
    /// Characters of the line that stands on the terminal.
    width: usize,
}

impl Meter {
    /// Returns a meter that has shown nothing yet.
    pub fn new(title: impl Into<String>, terminal: bool) -> Self {
        Self {
            title: title.into(),
            terminal,
            began: Instant::now(),
            shown: None,
            last: String::new(),
            width: 0,
        }
    }

    /// Shows how far the work is: `done` of `total` steps, `bytes` moved.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn show(
        &mut self,
        out: &mut dyn Write,
        done: u64,
        total: u64,
        bytes: Option<u64>,
    ) -> io::Result<()> {
        let pause = if self.terminal { ON_TERMINAL } else { PLAIN };
        let now = Instant::now();
        let line = self.line(done, total, bytes, now);
        if self.shown.is_some_and(|at| now.duration_since(at) < pause) {
            self.last = line;
            return Ok(());
        }
        self.shown = Some(now);
        self.last.clear();
        if self.terminal {
            // What stood there before may have been longer.
            write!(out, "{line:<width$}\r", width = self.width)?;
            self.width = line.chars().count();
        } else {
            writeln!(out, "{line}")?;
        }
        out.flush()
    }

    /// Takes the line off a terminal, before something else is said.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn wipe(&mut self, out: &mut dyn Write) -> io::Result<()> {
        let width = std::mem::take(&mut self.width);
        if width > 0 {
            write!(out, "{:width$}\r", "")?;
            out.flush()?;
        }
        Ok(())
    }

    /// Ends the line with its last state.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn done(
        &mut self,
        out: &mut dyn Write,
        done: u64,
        total: u64,
        bytes: Option<u64>,
    ) -> io::Result<()> {
        let line = self.line(done, total, bytes, Instant::now());
        let line = format!("{line}, done.");
        writeln!(
            out,
            "{line:<width$}",
            width = std::mem::take(&mut self.width)
        )?;
        out.flush()
    }

    fn line(&self, done: u64, total: u64, bytes: Option<u64>, now: Instant) -> String {
        let percent = (done * 100).checked_div(total).unwrap_or(100);
        let mut line = format!("{}: {percent:3}% ({done}/{total})", self.title);
        if let Some(bytes) = bytes {
            let seconds = now.duration_since(self.began).as_secs_f64().max(0.001);
            line.push_str(&format!(
                ", {} | {}/s",
                size(bytes),
                size((bytes as f64 / seconds) as u64)
            ));
        }
        line
    }
}

/// Returns a size for people, in the units that git prints.
pub fn size(bytes: u64) -> String {
    const UNITS: [(&str, u64); 3] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    for (unit, factor) in UNITS {
        if bytes >= factor {
            return format!("{:.2} {unit}", bytes as f64 / factor as f64);
        }
    }
    format!("{bytes} bytes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_read_like_gits() {
        assert_eq!(size(0), "0 bytes");
        assert_eq!(size(1023), "1023 bytes");
        assert_eq!(size(1536), "1.50 KiB");
        assert_eq!(size(5 << 20), "5.00 MiB");
    }

    /// What a terminal shows of some output: each `\r` begins the line anew and
    /// takes nothing away.
    fn screen(out: &[u8]) -> Vec<String> {
        let text = String::from_utf8(out.to_vec()).unwrap();
        let lines = text.split('\n').map(|line| {
            let mut shown: Vec<char> = Vec::new();
            for part in line.split('\r') {
                let part: Vec<char> = part.chars().collect();
                shown.resize(shown.len().max(part.len()), ' ');
                shown[..part.len()].copy_from_slice(&part);
            }
            shown.into_iter().collect::<String>().trim_end().to_owned()
        });
        lines.collect()
    }

    #[test]
    fn nothing_of_a_longer_line_is_left() {
        let mut out = Vec::new();
        let mut meter = Meter::new("Seeding", true);
        meter.show(&mut out, 1, 1_000_000, Some(1 << 40)).unwrap();
        meter.shown = None;
        meter.show(&mut out, 1, 2, None).unwrap();
        assert_eq!(screen(&out), ["Seeding:  50% (1/2)"]);
        meter.wipe(&mut out).unwrap();
        out.extend(b"warning\n");
        meter.shown = None;
        meter.show(&mut out, 1_999_999, 2_000_000, None).unwrap();
        meter.done(&mut out, 2, 2, None).unwrap();
        assert_eq!(screen(&out), ["warning", "Seeding: 100% (2/2), done.", ""]);
    }

    #[test]
    fn plain_lines_are_few() {
        let mut out = Vec::new();
        let mut meter = Meter::new("Receiving pieces", false);
        for n in 0..1000 {
            meter.show(&mut out, n, 1000, None).unwrap();
        }
        meter.done(&mut out, 1000, 1000, Some(2048)).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text.lines().count(), 2);
        assert!(text.starts_with("Receiving pieces:   0% (0/1000)\n"));
        assert!(text.contains("100% (1000/1000), 2.00 KiB | "));
    }
}
