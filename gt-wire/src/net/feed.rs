//! Those who want to know what happens.

use std::collections::VecDeque;

use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

use super::Event;
use crate::limits;

/// Everybody who listens, none of whom can stop the loop.
#[derive(Default)]
pub(super) struct Feed {
    listeners: Vec<Listener>,
}

struct Listener {
    channel: mpsc::Sender<Event>,
    /// What did not fit into the channel.
    behind: VecDeque<Event>,
}

impl Feed {
    pub(super) fn add(&mut self, channel: mpsc::Sender<Event>) {
        self.listeners.push(Listener {
            channel,
            behind: VecDeque::new(),
        });
    }

    pub(super) fn tell(&mut self, event: &Event) {
        self.listeners.retain_mut(|listener| {
            if matches!(event, Event::Progress { .. }) && listener.is_late() {
                return !listener.channel.is_closed();
            }
            listener.behind.push_back(event.clone());
            listener.pass_on()
        });
    }

    /// Passes on what is behind; tells whether something still is.
    pub(super) fn catch_up(&mut self) -> bool {
        self.listeners.retain_mut(Listener::pass_on);
        self.listeners.iter().any(|l| !l.behind.is_empty())
    }
}

impl Listener {
    fn is_late(&self) -> bool {
        !self.behind.is_empty() || self.channel.capacity() < self.channel.max_capacity() / 4
    }

    /// Tells whether the listener stays.
    fn pass_on(&mut self) -> bool {
        while let Some(event) = self.behind.pop_front() {
            match self.channel.try_send(event) {
                Ok(()) => {}
                Err(TrySendError::Closed(_)) => return false,
                Err(TrySendError::Full(event)) => {
                    self.behind.push_front(event);
                    return self.behind.len() <= limits::EVENTS_BEHIND;
                }
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::TorrentId;

    const DONE: Event = Event::Complete {
        torrent: TorrentId(1),
    };
    const STEP: Event = Event::Progress {
        torrent: TorrentId(1),
        have: 1,
        pieces: 2,
    };

    #[test]
    fn progress_gives_way_and_the_rest_waits() {
        let (sender, mut receiver) = mpsc::channel(4);
        let mut feed = Feed::default();
        feed.add(sender);
        (0..10).for_each(|_| feed.tell(&STEP));
        (0..10).for_each(|_| feed.tell(&DONE));
        let mut got = vec![];
        loop {
            while let Ok(event) = receiver.try_recv() {
                got.push(event);
            }
            if !feed.catch_up() && receiver.is_empty() {
                break;
            }
        }
        assert_eq!(got.iter().filter(|e| **e == DONE).count(), 10);
        assert!(got.len() < 16);
    }

    #[test]
    fn who_never_listens_is_left() {
        let (sender, receiver) = mpsc::channel(1);
        let mut feed = Feed::default();
        feed.add(sender);
        (0..limits::EVENTS_BEHIND + 3).for_each(|_| feed.tell(&DONE));
        assert!(feed.listeners.is_empty());
        drop(receiver);
    }
}
