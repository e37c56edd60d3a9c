//! Several trackers as one source (BEP 12).

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use gt_wire::PeerSource;
use gt_wire::source::{Announce, Announced, Announcing, SourceError};
use tokio::time::{Instant, timeout_at};

use crate::{chance, limits};

/// Trackers in tiers (BEP 12), asked as one source: tier by tier, and in a
/// tier one by one, until one answers; that one is first in its tier from
/// then on.
pub struct Tiers {
    order: Mutex<Vec<Vec<Arc<dyn PeerSource>>>>,
    whole: Duration,
}

impl Tiers {
    /// Takes tiers of sources; `seed` shuffles each tier once, as BEP 12
    /// wants it, so that the load spreads. What is beyond
    /// [`limits::TRACKERS`] is dropped.
    pub fn new(mut tiers: Vec<Vec<Arc<dyn PeerSource>>>, mut seed: u64) -> Self {
        let mut room = limits::TRACKERS;
        for tier in &mut tiers {
            tier.truncate(room);
            room -= tier.len();
            for last in (1..tier.len()).rev() {
                let bound = last as u64 + 1;
                let place = chance::next(&mut seed) % bound;
                tier.swap(last, usize::try_from(place).expect("below a usize"));
            }
        }
        tiers.retain(|tier| !tier.is_empty());
        Self {
            order: Mutex::new(tiers),
            whole: Duration::from_secs(60),
        }
    }

    /// Changes the time that all trackers together may take, 60 s by default:
    /// those that were not reached in it are not asked.
    #[must_use]
    pub fn within(mut self, whole: Duration) -> Self {
        self.whole = whole;
        self
    }

    async fn ask(&self, announce: Announce) -> Result<Announced, SourceError> {
        // The order is copied, not held: two announces may run at once.
        let order = self.lock().clone();
        let end = Instant::now() + self.whole;
        let mut tried = Vec::new();
        for source in order.iter().flatten() {
            match timeout_at(end, source.announce(announce.clone())).await {
                Ok(Ok(announced)) => {
                    self.prefer(source);
                    return Ok(announced);
                }
                Ok(Err(error)) => tried.push(error.to_string()),
                Err(_) => {
                    tried.push(format!("{} had no time left to answer", source.name()));
                    break;
                }
            }
        }
        let asked = tried.len();
        let left = order.iter().flatten().count() - asked;
        if left > 0 {
            tried.push(format!("{left} more were not asked"));
        }
        if asked == 0 {
            tried.push("there is none".into());
        }
        Err(SourceError::Unreachable {
            source_name: self.name(),
            why: tried.join("; "),
        })
    }

    fn prefer(&self, source: &Arc<dyn PeerSource>) {
        for tier in self.lock().iter_mut() {
            if let Some(place) = tier.iter().position(|other| Arc::ptr_eq(other, source)) {
                tier[..=place].rotate_right(1);
                return;
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Vec<Arc<dyn PeerSource>>>> {
        self.order.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl PeerSource for Tiers {
    fn announce(&self, announce: Announce) -> Announcing<'_> {
        Box::pin(self.ask(announce))
    }

    /// Returns the name of the one tracker, or how many there are.
    fn name(&self) -> String {
        let order = self.lock();
        match order.as_slice() {
            [tier] if tier.len() == 1 => tier[0].name(),
            tiers => format!("{} trackers", tiers.iter().flatten().count()),
        }
    }
}

impl fmt::Debug for Tiers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let order = self.lock();
        let names = order
            .iter()
            .map(|tier| tier.iter().map(|source| source.name()));
        f.debug_list()
            .entries(names.map(Iterator::collect::<Vec<_>>))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use gt_wire::{InfoHash, PeerId};

    use super::*;

    /// A source that answers or not, and counts how often it was asked.
    struct Fake {
        name: &'static str,
        answer: Answer,
        asked: Mutex<u32>,
    }

    #[derive(Clone, Copy)]
    enum Answer {
        Yes,
        No,
        Never,
    }

    impl PeerSource for Fake {
        fn announce(&self, _: Announce) -> Announcing<'_> {
            *self.asked.lock().unwrap() += 1;
            Box::pin(async move {
                match self.answer {
                    Answer::Yes => Ok(Announced::default()),
                    Answer::No => Err(SourceError::Refused {
                        source_name: self.name(),
                        why: "closed".into(),
                    }),
                    Answer::Never => std::future::pending().await,
                }
            })
        }

        fn name(&self) -> String {
            self.name.into()
        }
    }

    fn fake(name: &'static str, answer: Answer) -> Arc<Fake> {
        Arc::new(Fake {
            name,
            answer,
            asked: Mutex::new(0),
        })
    }

    fn announce() -> Announce {
        Announce {
            info_hash: InfoHash([1; 20]),
            peer_id: PeerId([2; 20]),
            port: 1,
            uploaded: 0,
            downloaded: 0,
            left: 0,
            event: None,
            want: None,
        }
    }

    #[tokio::test]
    async fn who_answers_is_first_next_time() {
        for seed in 0..8 {
            let (bad, good) = (fake("bad", Answer::No), fake("good", Answer::Yes));
            let backup = fake("backup", Answer::Yes);
            let tiers = Tiers::new(
                vec![vec![bad.clone(), good.clone()], vec![backup.clone()]],
                seed,
            );
            for _ in 0..3 {
                tiers.announce(announce()).await.unwrap();
            }
            assert!(*bad.asked.lock().unwrap() <= 1);
            assert_eq!(*good.asked.lock().unwrap(), 3);
            assert_eq!(*backup.asked.lock().unwrap(), 0);
        }
    }

    #[tokio::test]
    async fn the_next_tier_is_asked_only_when_one_failed_and_stays_second() {
        let (bad, good) = (fake("bad", Answer::No), fake("good", Answer::Yes));
        let tiers = Tiers::new(vec![vec![], vec![bad.clone()], vec![good.clone()]], 0);
        for _ in 0..2 {
            tiers.announce(announce()).await.unwrap();
        }
        assert_eq!(*bad.asked.lock().unwrap(), 2);
        assert_eq!(*good.asked.lock().unwrap(), 2);
    }

    #[tokio::test]
    async fn each_failure_is_told() {
        let (one, two) = (fake("one", Answer::No), fake("two", Answer::No));
        let tiers = Tiers::new(vec![vec![one], vec![two]], 0);
        let error = tiers.announce(announce()).await.unwrap_err().to_string();
        assert_eq!(
            error,
            "2 trackers cannot be reached: one refuses: closed; two refuses: closed"
        );
        let none = Tiers::new(vec![], 0)
            .announce(announce())
            .await
            .unwrap_err();
        assert!(none.to_string().ends_with("there is none"));
    }

    #[tokio::test(start_paused = true)]
    async fn all_together_end_in_time() {
        let (slow, late) = (fake("slow", Answer::Never), fake("late", Answer::Yes));
        let tiers = Tiers::new(vec![vec![slow], vec![late.clone()]], 0);
        let began = Instant::now();
        let error = tiers.announce(announce()).await.unwrap_err().to_string();
        assert_eq!(began.elapsed(), Duration::from_secs(60));
        assert!(
            error.ends_with("slow had no time left to answer; 1 more were not asked"),
            "{error}"
        );
        assert_eq!(*late.asked.lock().unwrap(), 0);
    }

    #[test]
    fn tiers_are_shuffled_apart_and_have_a_ceiling() {
        let names = |seed| {
            let tier = |names: [&'static str; 3]| -> Vec<Arc<dyn PeerSource>> {
                names
                    .map(|name| fake(name, Answer::Yes) as Arc<dyn PeerSource>)
                    .into()
            };
            let tiers = Tiers::new(vec![tier(["a", "b", "c"]), tier(["d", "e", "f"])], seed);
            let order = tiers.lock().clone();
            order.iter().flatten().map(|s| s.name()).collect::<String>()
        };
        let seen: std::collections::BTreeSet<_> = (0..200).map(names).collect();
        assert_eq!(seen.len(), 36);
        assert!(
            seen.iter()
                .all(|order| order[..3].bytes().all(|b| b < b'd'))
        );
        let many: Vec<Arc<dyn PeerSource>> = (0..100)
            .map(|_| fake("x", Answer::Yes) as Arc<dyn PeerSource>)
            .collect();
        assert_eq!(
            Tiers::new(vec![many.clone(), many], 0).name(),
            "64 trackers"
        );
    }
}
