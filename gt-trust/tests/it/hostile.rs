//! What strangers may send, as the fuzz targets send it: each test calls what
//! the target of its name calls.

use gt_trust::judge::Evidence;
use gt_trust::object::{Checker, Object, Rings, Verdict};
use gt_trust::ssh::{AllowedSigners, NAMESPACE, RevokedKeys, Signature};
use gt_trust::{Charter, Seal, Statement, Time, limits};
use proptest::prelude::*;

use crate::publisher::{NOW, Publisher};

fn object(bytes: &[u8]) {
    if let Ok(object) = Object::parse(bytes, None) {
        let rings = Rings::default();
        let findings = Checker::new(&rings, Time(1_800_000_000)).check(&object);
        assert_eq!(findings.len(), 1 + object.merged().len());
    }
}

fn ssh_signature(bytes: &[u8]) {
    if let Ok(signature) = Signature::parse(bytes) {
        let _ = signature.verify(NAMESPACE, b"payload");
    }
    let _ = AllowedSigners::parse(bytes, 0);
    let _ = RevokedKeys::parse(bytes);
}

fn charter(bytes: &[u8]) {
    if let Ok(charter) = Charter::parse(bytes) {
        assert_eq!(charter.as_bytes(), bytes);
    }
}

fn statement(bytes: &[u8]) {
    if let Ok(statement) = Statement::parse(bytes) {
        assert_eq!(statement.as_bytes(), bytes);
    }
    if let Ok(seal) = Seal::parse(bytes) {
        assert_eq!(seal.as_bytes(), bytes);
    }
    if let Ok(evidence) = Evidence::parse(bytes) {
        assert_eq!(evidence.to_bytes(), bytes);
    }
}

/// A good text with some bytes changed, cut or doubled.
fn hurt(good: Vec<u8>) -> impl Strategy<Value = Vec<u8>> {
    let at = 0..good.len();
    (at.clone(), at, any::<u8>(), 0..4u8).prop_map(move |(one, other, byte, how)| {
        let mut bytes = good.clone();
        let (from, to) = (one.min(other), one.max(other));
        match how {
            0 => bytes[one] = byte,
            1 => bytes.truncate(one),
            2 => drop(bytes.drain(from..to)),
            _ => {
                let copy = bytes[from..to].to_vec();
                bytes.splice(from..from, copy);
            }
        }
        bytes
    })
}

fn commit() -> Vec<u8> {
    let block = "-----BEGIN PGP SIGNATURE-----\n \n iQ==\n =AAAA\n -----END PGP SIGNATURE-----";
    let tree = "4b825dc642cb6eb9a060e54bf8d69288fbee4904";
    format!(
        "tree {tree}\nparent {tree}\nauthor A <a@b> 1 +0000\ncommitter A <a@b> 1 +0000\n\
         mergetag object {tree}\n type commit\n tag v1\n tagger A <a@b> 1 +0000\n \n m\n {block}\n\
         gpgsig {block}\nencoding latin1\n\nmessage\n"
    )
    .into_bytes()
}

proptest! {
    #[test]
    fn objects_are_total(bytes in hurt(commit())) {
        object(&bytes);
    }

    #[test]
    fn ssh_signatures_are_total(bytes: Vec<u8>) {
        ssh_signature(&bytes);
        let armored = [b"-----BEGIN SSH SIGNATURE-----\n", &bytes[..], b"\n-----END SSH SIGNATURE-----\n"];
        ssh_signature(&armored.concat());
    }

    #[test]
    fn charters_are_total(bytes in hurt(Publisher::one().charter.as_bytes().to_vec())) {
        charter(&bytes);
    }

    #[test]
    fn statements_are_total(bytes in hurt(Publisher::one().first().as_bytes().to_vec())) {
        statement(&bytes);
    }

    #[test]
    fn seals_are_total(bytes in hurt({
        let publisher = Publisher::one();
        publisher.seal(0, &publisher.first())
    })) {
        statement(&bytes);
    }
}

#[test]
fn ceilings_have_names() {
    let huge = vec![b' '; limits::OBJECT + 1];
    let words = Object::parse(&huge, None).unwrap_err().to_string();
    assert!(words.contains(&limits::OBJECT.to_string()), "{words}");
    let mut text = String::from_utf8(commit()).unwrap();
    let tag = "mergetag object x\n".repeat(limits::MERGE_TAGS);
    text = text.replacen("gpgsig", &format!("{tag}gpgsig"), 1);
    let words = Object::parse(text.as_bytes(), None)
        .unwrap_err()
        .to_string();
    assert!(words.contains("merged tags"), "{words}");
    // A signature of megabytes is not decoded.
    let long = "A".repeat(limits::OBJECT_SIGNATURE);
    let text = String::from_utf8(commit()).unwrap().replace("iQ==", &long);
    let object = Object::parse(text.as_bytes(), None).unwrap();
    let rings = Rings::default();
    let found = Checker::new(&rings, NOW).check(&object);
    assert!(
        found
            .iter()
            .all(|f| matches!(&f.verdict, Verdict::Bad(why) if why.contains("bytes")))
    );
}

/// A header of a million continuation lines costs its length and no more.
#[test]
fn long_headers_cost_their_length() {
    let head = "tree 4b825dc642cb6eb9a060e54bf8d69288fbee4904\ncommitter <>\n";
    let mut text = format!("{head}gpgsig x\n").into_bytes();
    for _ in 0..1_000_000 {
        text.extend_from_slice(b" y\n");
    }
    text.extend_from_slice(b"\nm\n");
    let begun = std::time::Instant::now();
    let object = Object::parse(&text, None).unwrap();
    assert_eq!(object.signed().unwrap().payload.len(), head.len() + 3);
    assert!(begun.elapsed().as_secs() < 20);
}
