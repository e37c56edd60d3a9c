//! How many may be inside at once.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use crate::server::Options;
use crate::source::Source;

/// Counts who is inside.
#[derive(Clone, Debug)]
pub(super) struct Doors {
    inside: Arc<Mutex<Inside>>,
    all: usize,
    each: usize,
}

#[derive(Debug, Default)]
struct Inside {
    all: usize,
    each: BTreeMap<Source, usize>,
}

/// One connection inside; it leaves when it is dropped.
#[derive(Debug)]
pub(super) struct Pass {
    doors: Doors,
    source: Source,
}

impl Doors {
    pub(super) fn new(options: &Options) -> Self {
        Self {
            inside: Arc::default(),
            all: options.connections,
            each: options.connections_per_source,
        }
    }

    /// Lets one in, unless there are too many, in all or of its source.
    pub(super) fn enter(&self, from: IpAddr) -> Option<Pass> {
        let source = Source::of(from);
        let mut inside = self.inside.lock().unwrap_or_else(PoisonError::into_inner);
        let each = inside.each.get(&source).copied().unwrap_or(0);
        let near = from.to_canonical().is_loopback();
        if inside.all >= self.all || (each >= self.each && !near) {
            return None;
        }
        inside.all += 1;
        inside.each.insert(source, each + 1);
        Some(Pass {
            doors: self.clone(),
            source,
        })
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        let inside = &self.doors.inside;
        let mut inside = inside.lock().unwrap_or_else(PoisonError::into_inner);
        inside.all -= 1;
        if let Some(each) = inside.each.get_mut(&self.source) {
            *each -= 1;
            if *each == 0 {
                inside.each.remove(&self.source);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_source_cannot_take_all_places() {
        let doors = Doors::new(&Options {
            connections: 3,
            connections_per_source: 2,
            ..Options::default()
        });
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        let first = doors.enter(ip("2001:db8::1"));
        let second = doors.enter(ip("2001:db8::2"));
        assert!(first.is_some() && second.is_some());
        assert!(doors.enter(ip("2001:db8::3")).is_none());
        let third = doors.enter(ip("192.0.2.1"));
        assert!(third.is_some());
        assert!(doors.enter(ip("192.0.2.2")).is_none());
        drop((first, second, third));
        assert!(doors.inside.lock().unwrap().each.is_empty());
        let near: Vec<_> = (0..3).map(|_| doors.enter(ip("127.0.0.1"))).collect();
        assert!(near.iter().all(Option::is_some));
    }
}
