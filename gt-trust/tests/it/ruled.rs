//! Rules for some refs, seals by SSH keys, and what a receiver believes.

use std::collections::BTreeMap;
use std::error::Error;

use gt_trust::belief::{Belief, Believes};
use gt_trust::charter::{Charter, Contents, Delegate, Rule};
use gt_trust::judge::{Judgement, Receiver, Refusal, RuleFault, SealFault, check_history_narrowed};
use gt_trust::signature::Fault;
use gt_trust::statement::{Draft, History, Move};
use gt_trust::{Fingerprint, Identity, ObjectFormat, Offer, Oid, Statement, Time, judge, ssh};
use ssh_key::private::Ed25519Keypair;
use ssh_key::{HashAlg, LineEnding, PrivateKey};

use crate::forge::{GOOD, Primary, sign_armored};
use crate::publisher::{DAY, NOW, Publisher, accepted, after, name, oid, refused, seal_with};

/// A repository of three delegates with these rules; one seal is enough but
/// for the rules.
fn ruled(rules: &[&str]) -> Publisher {
    let mut publisher = Publisher::several(3, 1);
    let mut contents: Contents = (*publisher.charter).clone();
    for line in rules {
        let who = |n: usize| publisher.charter.delegates[n].to_string();
        let line = line.replace("$0", &who(0)).replace("$1", &who(1));
        contents.rules.push(Rule::parse(&line).unwrap());
    }
    publisher.charter = Charter::new(contents).unwrap();
    publisher
}

fn changed(before: &Statement, to: &[(&str, u8)], how: Move) -> Statement {
    let mut draft = before.next(after(1));
    for (text, n) in to {
        match n {
            0 => draft.delete(&name(text)),
            n => draft.set(name(text), oid(*n), how),
        };
    }
    draft.finish().unwrap()
}

#[track_caller]
fn proposal(judgement: Judgement) -> Vec<(String, usize, u64)> {
    match judgement {
        Judgement::Proposal(proposal) => {
            let short = proposal.short.into_iter();
            short
                .map(|s| (s.name.to_string(), s.got, s.needed))
                .collect()
        }
        other => panic!("expected Proposal, got {other:?}"),
    }
}

#[test]
fn a_rule_may_want_more_seals_for_some_refs() {
    let publisher = ruled(&[
        "refs/heads/main any 2 free",
        "refs/tags/* $0,$1 2 immutable",
    ]);
    let first = publisher.first();
    let judged = |by: &[usize]| publisher.judge(None, &publisher.offer_by(&first, by), NOW);
    // Everything is new to a newcomer, who may not be told less than others.
    let main = ("refs/heads/main".to_owned(), 1, 2);
    let tag = |got| ("refs/tags/v1".to_owned(), got, 2);
    assert_eq!(proposal(judged(&[0])), [main, tag(1)]);
    assert_eq!(proposal(judged(&[0, 2])), [tag(1)]);
    let held = accepted(judged(&[0, 1])).watermark;
    // Later only what moved counts.
    let follow = |next: &Statement, by: &[usize]| {
        let receiver = publisher
            .receiver()
            .watermark(Some(held))
            .held(Some(&first));
        judge(&receiver, &publisher.offer_by(next, by), after(1))
    };
    let dev = changed(&first, &[("refs/heads/dev", 9)], Move::FastForward);
    accepted(follow(&dev, &[2]));
    let main = changed(&first, &[("refs/heads/main", 9)], Move::FastForward);
    assert_eq!(
        proposal(follow(&main, &[2])),
        [("refs/heads/main".to_owned(), 1, 2)]
    );
    accepted(follow(&main, &[2, 0]));
    let gone = changed(&first, &[("refs/heads/main", 0)], Move::FastForward);
    assert_eq!(proposal(follow(&gone, &[1])).len(), 1);
    let tagged = changed(&first, &[("refs/tags/v2", 9)], Move::FastForward);
    assert_eq!(
        proposal(follow(&tagged, &[1, 2])),
        [("refs/tags/v2".to_owned(), 1, 2)]
    );
    accepted(follow(&tagged, &[1, 0]));
}

#[test]
fn immutable_and_fast_forward_as_the_texts_show_it() {
    let publisher = ruled(&[
        "refs/heads/main any 1 fast-forward",
        "refs/tags/* any 1 immutable",
    ]);
    let first = publisher.first();
    let held = accepted(publisher.judge(None, &publisher.offer(&first), NOW)).watermark;
    let follow = |next: &Statement| {
        let receiver = publisher
            .receiver()
            .watermark(Some(held))
            .held(Some(&first));
        judge(&receiver, &publisher.offer(next), after(1))
    };
    for (refs, how) in [
        (("refs/tags/v1", 9), Move::Forced),
        (("refs/tags/v1", 0), Move::Forced),
        (("refs/heads/main", 9), Move::Forced),
        (("refs/heads/main", 0), Move::Forced),
    ] {
        let refusal = refused(follow(&changed(&first, &[refs], how)));
        assert!(matches!(refusal, Refusal::Rule(_)), "{refs:?}: {refusal:?}");
    }
    for (refs, how) in [
        (("refs/tags/v2", 9), Move::Forced),
        (("refs/heads/main", 9), Move::FastForward),
        (("refs/heads/dev", 9), Move::Forced),
        (("refs/heads/dev", 0), Move::Forced),
    ] {
        accepted(follow(&changed(&first, &[refs], how)));
    }
}

/// The winner of a race is measured by what both of them followed on.
#[test]
fn rules_do_not_split_a_race() {
    let publisher = ruled(&["refs/tags/* any 1 immutable", "refs/heads/main any 2 free"]);
    let first = publisher.first();
    let all = accepted(publisher.judge(None, &publisher.offer_by(&first, &[0, 1]), NOW));
    let mut rivals = [
        changed(&first, &[("refs/tags/v2", 8)], Move::FastForward),
        changed(&first, &[("refs/tags/v2", 9)], Move::FastForward),
    ];
    rivals.sort_by_key(|statement| statement.mark());
    let [loser, winner] = rivals;
    let receiver = publisher
        .receiver()
        .watermark(Some(all.watermark))
        .held(Some(&first));
    let on_loser = accepted(judge(
        &receiver,
        &publisher.offer_by(&loser, &[0]),
        after(1),
    ));
    let receiver = publisher
        .receiver()
        .watermark(Some(on_loser.watermark))
        .held(Some(&loser))
        .before(Some(&first));
    accepted(judge(
        &receiver,
        &publisher.offer_by(&winner, &[1]),
        after(1),
    ));
}

/// Objects by name, and who descends from whom by number.
#[derive(Default)]
struct Objects(BTreeMap<Oid, Vec<u8>>);

impl History for Objects {
    fn is_ancestor(&self, old: &Oid, new: &Oid) -> Result<bool, Box<dyn Error + Send + Sync>> {
        Ok(old <= new)
    }

    fn object(&self, oid: &Oid) -> Result<Vec<u8>, Box<dyn Error + Send + Sync>> {
        Ok(self.0.get(oid).ok_or("missing object")?.clone())
    }

    fn new_commits(
        &self,
        new: &Oid,
        known: &[Oid],
    ) -> Result<Vec<Vec<u8>>, Box<dyn Error + Send + Sync>> {
        let new = self
            .0
            .iter()
            .filter(|(oid, _)| *oid <= new && !known.iter().any(|k| k >= *oid));
        Ok(new.map(|(_, bytes)| bytes.clone()).collect())
    }
}

fn commit(signature: &str) -> Vec<u8> {
    let mut text = format!(
        "tree {}\nauthor A <a@b> 1800000000 +0000\ncommitter A <a@b> 1800000000 +0000\n",
        "ab".repeat(20)
    );
    if !signature.is_empty() {
        text += &format!("gpgsig {}\n", signature.trim_end().replace('\n', "\n "));
    }
    (text + "\nmessage\n").into_bytes()
}

#[test]
fn what_the_objects_show_is_held_against_the_rules() {
    let (anna, bela) = (Primary::new(1, GOOD), Primary::new(2, GOOD));
    let keyring = [anna.certificate(), bela.certificate()].concat();
    let ssh = ssh_key(5);
    let delegates = vec![
        Delegate::OpenPgp(anna.fingerprint()),
        Delegate::OpenPgp(bela.fingerprint()),
        ssh_delegate(&ssh),
    ];
    let publisher = Publisher::with(delegates.clone(), 1, keyring.clone(), Vec::new());
    let with = |line: &str| {
        let mut contents: Contents = (*publisher.charter).clone();
        let line = line
            .replace("$0", &delegates[0].to_string())
            .replace("$2", &delegates[2].to_string());
        contents.rules.push(Rule::parse(&line).unwrap());
        Charter::new(contents).unwrap()
    };
    let unsigned = commit("");
    let by = |key: &Primary| commit(&sign_armored(&key.secret, NOW, &unsigned));
    let mut objects = Objects::default();
    for (n, bytes) in [
        (1, by(&bela)),
        (2, unsigned.clone()),
        (5, by(&anna)),
        (6, unsigned.clone()),
        (7, by(&anna)),
        (8, by(&bela)),
    ] {
        objects.0.insert(oid(n), bytes);
    }
    objects.0.insert(oid(9), commit(&ssh_sign(&ssh, &unsigned)));
    let first = publisher.first();
    let asked = |rule: &str, before: Option<&Statement>, to: u8, web: Option<&dyn Believes>| {
        let new = changed(&first, &[("refs/heads/main", to)], Move::FastForward);
        let keyrings = [keyring.clone()];
        check_history_narrowed(
            &with(rule),
            before,
            &new,
            &keyrings,
            &objects,
            web,
            after(1),
        )
    };
    let check = |rule: &str, before: Option<&Statement>, to: u8| asked(rule, before, to, None);
    let held = Some(&first);
    assert_eq!(check("refs/heads/main any 1 fast-forward", held, 9), Ok(()));
    assert_eq!(
        check("refs/heads/main any 1 fast-forward", held, 1),
        Err(RuleFault::FastForward(name("refs/heads/main")))
    );
    assert_eq!(check("refs/heads/main any 1 free", held, 1), Ok(()));
    let tip = "refs/heads/main any 1 free signed-tip";
    assert_eq!(check(tip, held, 7), Ok(()));
    assert_eq!(check(tip, held, 9), Ok(()));
    assert!(matches!(
        check(tip, held, 6),
        Err(RuleFault::Signature { .. })
    ));
    assert!(matches!(
        check(tip, held, 3),
        Err(RuleFault::History { .. })
    ));
    // By those whom the rule names, and no other delegate.
    let anna_alone = "refs/heads/main $0 1 free signed-tip";
    assert_eq!(check(anna_alone, held, 7), Ok(()));
    assert!(matches!(
        check(anna_alone, held, 8),
        Err(RuleFault::Signature { .. })
    ));
    assert!(matches!(
        check(anna_alone, held, 9),
        Err(RuleFault::Signature { .. })
    ));
    assert_eq!(
        check("refs/heads/main $2 1 free signed-tip", held, 9),
        Ok(())
    );
    // Every new commit: 5 is signed, 6 is not.
    let every = "refs/heads/main any 1 free signed-commits";
    assert_eq!(check(every, held, 5), Ok(()));
    assert!(matches!(
        check(every, held, 7),
        Err(RuleFault::Signature { .. })
    ));
    // A newcomer looks at the tips.
    assert_eq!(check(every, None, 7), Ok(()));
    assert!(matches!(
        check(every, None, 6),
        Err(RuleFault::Signature { .. })
    ));
    // Other refs are not looked at.
    assert_eq!(
        check("refs/heads/release any 1 immutable signed-commits", held, 6),
        Ok(())
    );
    // Of those whom the rule names, whom the receiver believes; and no others.
    let web = Believed([anna.fingerprint()]);
    assert_eq!(asked(tip, held, 7, Some(&web)), Ok(()));
    assert_eq!(asked(every, None, 7, Some(&web)), Ok(()));
    for (rule, to) in [(tip, 8), (tip, 9), (every, 8)] {
        assert!(matches!(
            asked(rule, None, to, Some(&web)),
            Err(RuleFault::Signature { .. })
        ));
    }
    let bela_alone = Believed([bela.fingerprint()]);
    assert!(matches!(
        asked(anna_alone, held, 8, Some(&bela_alone)),
        Err(RuleFault::Signature { .. })
    ));
}

/// Believes these and nobody else.
struct Believed([Fingerprint; 1]);

impl Believes for Believed {
    fn belief(&self, primary: &Fingerprint, now: Time) -> Belief {
        self.0[..].belief(primary, now)
    }
}

fn ssh_key(seed: u8) -> PrivateKey {
    PrivateKey::from(Ed25519Keypair::from_seed(&[seed; 32]))
}

fn ssh_delegate(key: &PrivateKey) -> Delegate {
    let blob = key.public_key().to_bytes().unwrap();
    Delegate::Ssh(ssh::PublicKey::from_blob(blob).fingerprint())
}

/// As ssh-keygen writes it: with a line feed at the end.
fn pem(signature: &ssh_key::SshSig) -> String {
    signature
        .to_pem(LineEnding::LF)
        .unwrap()
        .trim_end()
        .to_owned()
        + "\n"
}

fn ssh_sign(key: &PrivateKey, payload: &[u8]) -> String {
    let signature = key.sign(ssh::NAMESPACE, HashAlg::Sha512, payload).unwrap();
    pem(&signature)
}

/// A delegate of each kind; both must seal.
#[test]
fn ssh_delegates_seal() {
    let (anna, ssh) = (Primary::new(1, GOOD), ssh_key(5));
    let delegates = vec![ssh_delegate(&ssh), Delegate::OpenPgp(anna.fingerprint())];
    let publisher = Publisher::with(delegates.clone(), 2, anna.certificate(), Vec::new());
    let first = publisher.first();
    let by_ssh = |key: &PrivateKey, time| seal_with(&first, time, |p| ssh_sign(key, p));
    let by_anna = seal_with(&first, NOW, |p| sign_armored(&anna.secret, NOW, p));
    let judged =
        |seals: Vec<Vec<u8>>| publisher.judge(None, &publisher.offer_sealed(&first, seals), NOW);
    let both = accepted(judged(vec![by_ssh(&ssh, NOW), by_anna.clone()]));
    let by: Vec<Delegate> = both.sealed_by.iter().map(|s| s.delegate.clone()).collect();
    assert_eq!(by, delegates);
    // A stranger's key, another name space, another text, a date to come.
    let stranger = ssh_key(6);
    let mut cases = vec![(
        by_ssh(&stranger, NOW),
        SealFault::Signature(Fault::NotADelegate(ssh_delegate(&stranger))),
    )];
    let file = seal_with(&first, NOW, |p| {
        pem(&ssh.sign("file", HashAlg::Sha512, p).unwrap())
    });
    cases.push((
        file,
        SealFault::Signature(ssh::Fault::Namespace("file".into()).into()),
    ));
    let other = seal_with(&first, NOW, |_| ssh_sign(&ssh, b"something else"));
    cases.push((other, SealFault::Signature(ssh::Fault::Bad.into())));
    let ahead = by_ssh(&ssh, after(DAY + 5));
    let future = Fault::Future(gt_trust::number::Seconds(DAY + 5));
    cases.push((ahead, SealFault::Signature(future)));
    let twice = by_ssh(&ssh, NOW);
    for (seal, fault) in cases {
        match judged(vec![seal, by_anna.clone()]) {
            Judgement::Proposal(proposal) => assert_eq!(proposal.faults, [fault]),
            other => panic!("expected Proposal, got {other:?}"),
        }
    }
    match judged(vec![twice.clone(), by_ssh(&ssh, after(1))]) {
        Judgement::Proposal(proposal) => {
            assert_eq!(proposal.faults, [SealFault::Again(delegates[0].clone())]);
        }
        other => panic!("expected Proposal, got {other:?}"),
    }
    // The armour has one form, and nothing stands after it.
    for bad in [
        [&twice[..], b"more\n"].concat(),
        twice[..twice.len() - 1].to_vec(),
    ] {
        match judged(vec![bad, by_anna.clone()]) {
            Judgement::Proposal(proposal) => {
                assert!(matches!(proposal.faults[..], [SealFault::Form(_)]));
            }
            other => panic!("expected Proposal, got {other:?}"),
        }
    }
}

/// Believes those whom it holds.
struct These(Vec<Fingerprint>);

impl Believes for These {
    fn belief(&self, primary: &Fingerprint, _: Time) -> Belief {
        match self.0.contains(primary) {
            true => Belief::Trusted,
            false => Belief::Unknown("nobody you know vouches".into()),
        }
    }
}

/// However many keys somebody certifies, the list is the charter's.
#[test]
fn introducer_cannot_mint_quorum() {
    let mut publisher = Publisher::several(3, 2);
    let minted: Vec<_> = (10..20).map(crate::publisher::own_key).collect();
    // Their certificates travel with the statement, so that only the list
    // keeps them from counting.
    for key in &minted {
        publisher.keyring.extend(key.certificate().unwrap());
    }
    let first = publisher.first();
    let everybody = publisher
        .keys
        .iter()
        .chain(&minted)
        .map(|k| k.fingerprint())
        .collect();
    let believed = These(everybody);
    let mut seals = vec![publisher.seal(0, &first)];
    for key in &minted[..3] {
        seals.push(seal_with(&first, NOW, |p| key.sign(p, NOW).unwrap()));
    }
    let offer: Offer = publisher.offer_sealed(&first, seals);
    let receiver = publisher.receiver().believes(Some(&believed));
    match judge(&receiver, &offer, NOW) {
        Judgement::Proposal(proposal) => {
            assert_eq!(proposal.sealed_by.len(), 1);
            assert_eq!(proposal.faults.len(), 3, "{:?}", proposal.faults);
        }
        other => panic!("expected Proposal, got {other:?}"),
    }
    // It narrows the list: one of the two is nobody whom this receiver knows.
    let one = These(vec![publisher.keys[0].fingerprint()]);
    let receiver: Receiver<'_> = publisher.receiver().believes(Some(&one));
    let offer = publisher.offer_by(&first, &[0, 1]);
    match judge(&receiver, &offer, NOW) {
        Judgement::Proposal(proposal) => {
            let who = publisher.charter.delegates[1].clone();
            let expected = Fault::NotBelieved(who, "nobody you know vouches".into());
            assert_eq!(proposal.faults, [SealFault::Signature(expected)]);
        }
        other => panic!("expected Proposal, got {other:?}"),
    }
    accepted(judge(&publisher.receiver(), &offer, NOW));
}

/// Nothing in this file rests on a draft that could not be written.
#[test]
fn rules_are_part_of_the_identity() {
    let plain = Publisher::several(3, 1);
    let strict = ruled(&["refs/heads/main any 2 free signed-tip"]);
    assert_ne!(plain.rid(), strict.rid());
    let text = String::from_utf8(strict.charter.as_bytes().to_vec()).unwrap();
    assert!(text.ends_with("Rule: refs/heads/main any 2 free signed-tip\n"));
    assert_eq!(
        Charter::parse(text.as_bytes()).as_ref(),
        Ok(&strict.charter)
    );
    let draft = Draft::first(
        strict.rid(),
        strict.charter.identity(),
        ObjectFormat::Sha1,
        NOW,
    );
    assert_eq!(
        draft.finish().unwrap().charter,
        Identity::of(text.as_bytes())
    );
}
