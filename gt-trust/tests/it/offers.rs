//! What a pack of an offer may hold.

use gt_trust::offer::{Kind, Object, OfferError};
use gt_trust::{Offer, limits};
use proptest::prelude::*;

use crate::publisher::{NOW, Publisher, accepted};

fn offer() -> Offer {
    let publisher = Publisher::several(3, 2);
    publisher.offer_by(&publisher.first(), &[0, 2])
}

#[test]
fn objects_are_sorted_by_what_they_are() {
    let offer = offer();
    let mut objects = offer.objects();
    assert_eq!(objects.len(), 5);
    // git keeps objects by name, not in the order in which they were sent.
    objects.swap(0, 1);
    let same = Offer::from_objects(objects.clone()).unwrap();
    assert_eq!(
        (same.statement, same.charters, same.keyring),
        (
            offer.statement.clone(),
            offer.charters.clone(),
            offer.keyring.clone()
        )
    );
    objects.swap(0, 1);
    objects.rotate_left(2);
    let rotated = Offer::from_objects(objects).unwrap();
    assert_eq!(rotated, offer);
    let publisher = Publisher::several(3, 2);
    accepted(publisher.judge(None, &rotated, NOW));
}

#[test]
fn what_has_no_place_is_refused() {
    let good = offer().objects();
    let with = |kind, bytes: &[u8]| {
        let mut objects = good.clone();
        objects.push(Object::new(kind, bytes.to_vec()));
        Offer::from_objects(objects)
    };
    assert_eq!(with(Kind::Blob, b"hello\n"), Err(OfferError::Stranger));
    assert_eq!(with(Kind::Blob, b""), Err(OfferError::Stranger));
    assert_eq!(
        with(Kind::Blob, b"gt statement 10\n"),
        Err(OfferError::Stranger)
    );
    assert_eq!(
        with(Kind::Blob, &offer().statement),
        Err(OfferError::Second("statement"))
    );
    assert_eq!(
        with(Kind::Blob, &offer().keyring),
        Err(OfferError::Second("keyring"))
    );
    assert!(matches!(
        with(Kind::Tag, b"object x"),
        Err(OfferError::Seal(_))
    ));
    assert_eq!(Offer::from_objects(vec![]), Err(OfferError::NoStatement));
}

#[test]
fn ceilings_are_named() {
    let object = |bytes: Vec<u8>| Object::new(Kind::Blob, bytes);
    let error = |objects| Offer::from_objects(objects).unwrap_err().to_string();
    let many = vec![object(b"gt charter 1\n".to_vec()); limits::OFFER_OBJECTS + 1];
    assert_eq!(error(many), "expected at most 128 objects");
    let long = vec![object(vec![0xff; limits::OFFER_BYTES / 2 + 1]); 2];
    assert_eq!(error(long), "expected at most 16777216 inflated bytes");
    let ring = vec![object(vec![0xff; limits::CERTIFICATES + 1])];
    assert_eq!(
        error(ring),
        "expected at most 1048576 bytes of certificates"
    );
    let charter = [&b"gt charter 1\n"[..], &vec![b'a'; limits::CHARTER]].concat();
    assert_eq!(
        error(vec![object(charter)]),
        "expected at most 65536 bytes of a charter"
    );
}

proptest! {
    #[test]
    fn sorting_is_total(objects in prop::collection::vec((any::<bool>(), any::<Vec<u8>>()), 0..4)) {
        let objects = objects
            .into_iter()
            .map(|(tag, bytes)| Object::new(if tag { Kind::Tag } else { Kind::Blob }, bytes))
            .collect();
        let _ = Offer::from_objects(objects);
    }
}
