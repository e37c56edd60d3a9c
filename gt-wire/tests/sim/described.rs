//! The info dictionary from several peers at once (BEP 9).

use bytes::Bytes;
use gt_wire::swarm::{Event, Input, Options};
use gt_wire::{InfoHash, PeerId};
use sha1::{Digest as _, Sha1};

use super::town::{RELAY, Town};

fn info(n: u8) -> Bytes {
    (0..300_000_u32)
        .map(|k| (k / 7) as u8 ^ n)
        .collect::<Vec<_>>()
        .into()
}

/// The first asks, the others tell: what each has, and whether anything.
fn town(told: &[Option<Bytes>]) -> Town {
    let hash = InfoHash(Sha1::digest(info(0)).into());
    let fetcher = std::iter::once(None);
    let all = fetcher.chain(told.iter().cloned()).enumerate();
    let all = all.map(|(n, info)| {
        let mut options = Options::new(PeerId([n as u8 + 1; 20]), hash, n as u64);
        options.extensions = vec!["gt_references".into()];
        options.fetch_info = n == RELAY;
        options.info = info;
        options
    });
    Town::new(all.collect())
}

fn whole(town: &Town) -> Vec<&Bytes> {
    let events = town.events.iter().filter_map(|(n, event)| match event {
        Event::Metadata { info, .. } if *n == RELAY => Some(info),
        _ => None,
    });
    events.collect()
}

#[test]
fn each_gives_a_share() {
    let mut town = town(&vec![Some(info(0)); 4]);
    town.run(60);
    assert_eq!(whole(&town), [&info(0)]);
    // Nobody is asked for what is here: at most the last parts come twice.
    let sent: usize = (1..=4).map(|n| town.sent[&n]).sum();
    assert!(sent < 300_000 + 5 * 16_384, "{sent}");
}

#[test]
fn who_has_nothing_or_goes_holds_nobody_up() {
    let mut town = town(&[None, Some(info(0)), None]);
    town.run(60);
    assert_eq!(whole(&town), [&info(0)]);
}

#[test]
fn a_liar_among_them_is_found_by_asking_each_alone() {
    let mut town = town(&[Some(info(0)), Some(info(1)), Some(info(0))]);
    // Whoever hears of it compares the hash and bans who sent another.
    for _ in 0..10 {
        town.run(6);
        let wrong: Vec<_> = town
            .events
            .extract_if(
                ..,
                |(_, event)| matches!(event, Event::Metadata { info: i, .. } if *i != info(0)),
            )
            .collect();
        for (_, event) in wrong {
            if let Event::Metadata { conn, .. } = event {
                let why = "another info dictionary".to_owned();
                town.handle(RELAY, Input::Ban { conn, why });
            }
        }
    }
    assert!(!whole(&town).is_empty());
    assert!(whole(&town).iter().all(|got| **got == info(0)));
    assert!(town.are_linked(RELAY, 1) && town.are_linked(RELAY, 3));
}
