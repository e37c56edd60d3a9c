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
        let end = if self.terminal { '\r' } else { '\n' };
        write!(out, "{line}{end}")?;
        out.flush()
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
        writeln!(out, "{line}, done.")?;
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
