//! From one statement to the next, and what becomes of the slower one.

use std::collections::BTreeSet;
use std::error::Error;

use gt_trust::push::{apply, changes, rebase};
use gt_trust::statement::{History, MarkError, Move, check_marks, moves};
use gt_trust::{Judgement, Oid, Statement, Watermark, judge};

use crate::publisher::{NOW, Publisher, accepted, after, name, oid};

/// Knows these pairs of ancestor and descendant.
struct Known(BTreeSet<(Oid, Oid)>);

impl History for Known {
    fn is_ancestor(&self, old: &Oid, new: &Oid) -> Result<bool, Box<dyn Error + Send + Sync>> {
        if *new == oid(99) {
            return Err("missing object".into());
        }
        Ok(self.0.contains(&(*old, *new)))
    }

    fn object(&self, _: &Oid) -> Result<Vec<u8>, Box<dyn Error + Send + Sync>> {
        Err("no objects here".into())
    }

    fn new_commits(
        &self,
        _: &Oid,
        _: &[Oid],
    ) -> Result<Vec<Vec<u8>>, Box<dyn Error + Send + Sync>> {
        Err("no objects here".into())
    }
}

#[test]
fn single_branch_publish_deletes_nothing() {
    let first = Publisher::one().first();
    let mut draft = first.next(after(1));
    assert!(!draft.changes_refs());
    draft.set(name("refs/heads/main"), oid(9), Move::FastForward);
    assert!(draft.changes_refs());
    let next = draft.finish().unwrap();
    assert_eq!(next.refs.len(), first.refs.len());
    let changed: Vec<_> = moves(&first, &next).into_iter().map(|m| m.name).collect();
    assert_eq!(changed, [name("refs/heads/main")]);
    assert_eq!(
        (next.head.clone(), next.keyring),
        (first.head.clone(), first.keyring)
    );
    assert_eq!(next.previous, Some(first.mark()));
    assert_eq!(next.sequence.0, 2);
}

#[test]
fn drafts_set_the_plus() {
    let first = Publisher::one().first();
    let mut draft = first.next(after(1));
    draft
        .set(name("refs/heads/main"), oid(9), Move::Forced)
        .set(name("refs/heads/dev"), oid(9), Move::FastForward)
        .set(name("refs/heads/new"), oid(9), Move::Forced)
        .set(name("refs/tags/v1"), oid(9), Move::FastForward)
        .set(name("refs/tags/v2"), oid(9), Move::FastForward);
    let next = draft.finish().unwrap();
    let marked: Vec<String> = next
        .refs
        .iter()
        .filter(|r| r.moved)
        .map(|r| r.name.to_string())
        .collect();
    assert_eq!(marked, ["refs/heads/main", "refs/tags/v1"]);
    // The next one says nothing of what happened before.
    let after_it = next.next(after(2)).finish().unwrap();
    assert!(after_it.refs.iter().all(|line| !line.moved));
    // Put back where it was: nothing moved.
    let mut draft = first.next(after(1));
    draft.set(name("refs/tags/v1"), oid(9), Move::Forced).set(
        name("refs/tags/v1"),
        oid(3),
        Move::Forced,
    );
    assert!(draft.finish().unwrap().refs.iter().all(|line| !line.moved));
}

#[test]
fn a_deleted_head_names_none() {
    let first = Publisher::one().first();
    let mut draft = first.next(after(1));
    draft.delete(&name("refs/heads/main"));
    let next = draft.finish().unwrap();
    assert_eq!((next.head.clone(), next.refs.len()), (None, 2));
}

#[test]
fn moved_tag_without_mark_refused() {
    let publisher = Publisher::one();
    let first = publisher.first();
    let known = Known([(oid(2), oid(9))].into());
    let silent = |text: &str, to: u8| -> Statement {
        let mut contents = (*first).clone();
        contents.sequence = contents.sequence.next().unwrap();
        contents.previous = Some(first.mark());
        let line = contents
            .refs
            .iter_mut()
            .find(|line| line.name == name(text))
            .unwrap();
        line.oid = oid(to);
        Statement::new(contents).unwrap()
    };
    let tag = silent("refs/tags/v1", 9);
    assert!(matches!(
        check_marks(&first, &tag, &known),
        Err(MarkError::Tag(_))
    ));
    let forced = silent("refs/heads/main", 8);
    assert!(matches!(
        check_marks(&first, &forced, &known),
        Err(MarkError::Branch(_))
    ));
    let forward = silent("refs/heads/main", 9);
    assert!(check_marks(&first, &forward, &known).is_ok());
    let missing = silent("refs/heads/main", 99);
    assert!(matches!(
        check_marks(&first, &missing, &known),
        Err(MarkError::History { .. })
    ));
    // With their marks they pass; so do new and deleted refs.
    let mut draft = first.next(after(1));
    draft
        .set(name("refs/tags/v1"), oid(9), Move::FastForward)
        .set(name("refs/heads/main"), oid(8), Move::Forced)
        .set(name("refs/heads/new"), oid(8), Move::FastForward)
        .delete(&name("refs/heads/dev"));
    let marked = draft.finish().unwrap();
    assert!(check_marks(&first, &marked, &known).is_ok());
    // The marks do not speak of the way from a statement further back.
    let further = marked.next(after(2)).finish().unwrap();
    assert!(check_marks(&first, &further, &known).is_ok());
}

#[test]
fn race_on_same_ref_says_fetch_first() {
    let publisher = Publisher::one();
    let first = publisher.first();
    let mine = publisher.next(&first, 8, after(1));
    let mut theirs = first.next(after(1));
    theirs
        .set(name("refs/heads/main"), oid(9), Move::FastForward)
        .set(name("refs/heads/dev"), oid(9), Move::FastForward);
    let theirs = theirs.finish().unwrap();
    let error = rebase(&changes(&first, &mine), &theirs).unwrap_err();
    assert_eq!(error.refs, [name("refs/heads/main")]);
    assert_eq!(
        error.to_string(),
        "fetch first: refs/heads/main moved meanwhile"
    );
    // Both wanted the same: nothing is left to do.
    assert_eq!(rebase(&changes(&first, &theirs), &theirs), Ok(vec![]));
    // They touched other refs: mine go on top.
    let mut other = first.next(after(1));
    other.set(name("refs/heads/dev"), oid(9), Move::FastForward);
    let other = other.finish().unwrap();
    let again = rebase(&changes(&first, &mine), &other).unwrap();
    let mut draft = other.next(after(2));
    apply(&again, &mut draft);
    let merged = draft.finish().unwrap();
    assert_eq!(merged.sequence.0, 3);
    assert_eq!(merged.find(&name("refs/heads/main")).unwrap().oid, oid(8));
    assert_eq!(merged.find(&name("refs/heads/dev")).unwrap().oid, oid(9));
    // A deleted ref that somebody moved is a conflict too.
    let mut gone = first.next(after(1));
    gone.delete(&name("refs/heads/dev"));
    let gone = changes(&first, &gone.finish().unwrap());
    assert!(rebase(&gone, &other).is_err());
}

/// Fifty peers hear of three statements of one place in every order: all end
/// at one head, and nobody is accused.
#[test]
fn push_race_converges() {
    let publisher = Publisher::several(3, 1);
    let first = publisher.first();
    let begun = accepted(publisher.judge(None, &publisher.offer(&first), NOW)).watermark;
    let offers: Vec<_> = (0..3)
        .map(|by| {
            let statement = publisher.next(&first, 10 + by as u8, after(1));
            (statement.mark(), publisher.offer_by(&statement, &[by]))
        })
        .collect();
    let winner = offers.iter().map(|(mark, _)| *mark).max().unwrap();
    let orders = [
        [0, 1, 2],
        [0, 2, 1],
        [1, 0, 2],
        [1, 2, 0],
        [2, 0, 1],
        [2, 1, 0],
    ];
    for peer in 0..50 {
        let mut held: Watermark = begun;
        let mut seals: Vec<Vec<u8>> = Vec::new();
        for n in orders[peer % orders.len()] {
            let kept = seals.clone();
            let receiver = publisher.receiver().watermark(Some(held)).seals(&kept);
            match judge(&receiver, &offers[n].1, after(1)) {
                Judgement::Accept(accepted) => {
                    assert!(accepted.evidence.is_empty());
                    (held, seals) = (accepted.watermark, accepted.seals);
                }
                Judgement::Refused(refusal) => {
                    let text = format!("{refusal:?}");
                    assert!(
                        text.starts_with("LostRace") && text.contains("evidence: []"),
                        "{text}"
                    );
                }
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(held.mark, winner);
    }
}

/// Two of four must seal, and two have sealed each of two proposals' halves:
/// nobody wins until somebody makes the next number.
#[test]
fn split_vote_recovers_at_next_sequence() {
    let publisher = Publisher::several(4, 3);
    let first = publisher.first();
    let begun =
        accepted(publisher.judge(None, &publisher.offer_by(&first, &[0, 1, 2]), NOW)).watermark;
    let (one, two) = (
        publisher.next(&first, 8, after(1)),
        publisher.next(&first, 9, after(1)),
    );
    for (statement, by) in [(&one, [0, 1]), (&two, [2, 3])] {
        let judgement = publisher.judge(Some(begun), &publisher.offer_by(statement, &by), after(1));
        assert!(matches!(judgement, Judgement::Proposal(_)));
    }
    // A number is skipped: a gap in the sequence is no fault.
    let mut contents = (*one).clone();
    contents.sequence = one.sequence.next().unwrap();
    let third = Statement::new(contents).unwrap();
    let offer = publisher.offer_by(&third, &[0, 1, 3]);
    let accepted = accepted(publisher.judge(Some(begun), &offer, after(2)));
    assert_eq!(accepted.watermark.mark, third.mark());
}
