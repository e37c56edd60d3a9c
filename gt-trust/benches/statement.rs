//! One statement of 10,000 refs: read, and judged without its one signature.
//!
//! The aim is 5 ms besides the public-key operations. `judge` is measured with
//! the seal, and `seal` is the seal's part of it.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use gt_trust::charter::{Charter, Delegate};
use gt_trust::judge::{Receiver, judge};
use gt_trust::key::OwnKey;
use gt_trust::seal::{Subject, Tagger, Unsigned, blob_oid};
use gt_trust::statement::{Draft, Move};
use gt_trust::{Identity, Keyring, ObjectFormat, Offer, Oid, Seal, Statement, Time};

const REFS: u32 = 10_000;
const NOW: Time = Time(1_800_000_000);

fn offer() -> Result<(Receiver<'static>, Offer), Box<dyn std::error::Error>> {
    let key = OwnKey::generate("Ann <ann@example.org>", NOW, [7; 32])?;
    let delegate = Delegate::OpenPgp(key.fingerprint());
    let charter = Charter::found("a project", [1; 32], ObjectFormat::Sha1, delegate)?;
    let rid = charter.rid().ok_or("not the first charter")?;
    let mut draft = Draft::first(rid, charter.identity(), ObjectFormat::Sha1, NOW);
    draft.keyring(Some(Identity::of(&key.certificate()?)));
    for n in 0..REFS {
        let oid = Oid::from_bytes(&[n.to_be_bytes().as_slice(), &[9; 16]].concat())?;
        let name = format!("refs/heads/people/{}/topic-{n}", n % 97).parse()?;
        draft.set(name, oid, Move::FastForward);
    }
    let statement = draft.finish()?;
    let blob = blob_oid(ObjectFormat::Sha1, statement.as_bytes());
    let ann = Tagger::new("Ann", "ann@example.org", NOW)?;
    let unsigned = Unsigned::new(Subject::of_statement(&statement), blob, ann);
    let signature = key.sign(unsigned.payload(), NOW)?;
    let seal = unsigned.with_signature(signature.as_bytes())?;
    let offer = Offer::new(
        vec![charter.as_bytes().to_vec()],
        statement.as_bytes().to_vec(),
        vec![seal.as_bytes().to_vec()],
        key.certificate()?,
    );
    Ok((Receiver::new(rid, &offer.charters)?, offer))
}

fn statement(c: &mut Criterion) {
    let (receiver, offer) = offer().expect("fixed input makes an offer");
    let mut group = c.benchmark_group("10,000 refs");
    group.sample_size(20);
    group.bench_function("parse", |b| {
        b.iter(|| Statement::parse(black_box(&offer.statement)).expect("it was just written"));
    });
    group.bench_function("judge", |b| {
        b.iter(|| judge(&receiver, black_box(&offer), NOW));
    });
    let keyring = Keyring::parse(&offer.keyring, None).expect("it was just made");
    let seal = Seal::parse(&offer.seals[0]).expect("it was just made");
    group.bench_function("seal", |b| {
        b.iter(|| black_box(&seal).verify(&keyring, NOW).expect("it is good"));
    });
    group.finish();
}

criterion_group!(benches, statement);
criterion_main!(benches);
