//! Bytes that are bencode, and bytes that are not.

use super::*;

fn parse(bytes: &[u8]) -> Result<Document<'_>, Error> {
    Document::parse(bytes, Limits::METAINFO)
}

#[test]
fn reads_spans() {
    let bytes = b"d4:infod1:ai-3e1:bl0:1:xee4:listl2:ab1:cee";
    let document = parse(bytes).unwrap();
    let root = document.root();
    let info = root.get(b"info").unwrap();
    assert_eq!(info.raw(), b"d1:ai-3e1:bl0:1:xee");
    assert_eq!(info.get(b"a").unwrap().as_i64(), Some(-3));
    let texts: Vec<_> = root
        .get(b"list")
        .unwrap()
        .items()
        .map(|n| n.as_bytes())
        .collect();
    assert_eq!(texts, [Some(&b"ab"[..]), Some(b"c")]);
    assert_eq!(root.entries().count(), 2);
    assert_eq!(root.get(b"ab").map(|n| n.position()), None);
}

#[test]
fn refuses_malformed() {
    for bytes in [
        &b""[..],
        b"i",
        b"i-",
        b"ie",
        b"i-0e",
        b"i01e",
        b"i1",
        b"i1x",
        b"1",
        b"2:a",
        b"01:a",
        b"99999999999999999999999:a",
        b"l",
        b"d1:ae",
        b"di1ei1ee",
        b"e",
        b"d1:ai1e",
        b"x",
        b"i1ee",
        b"-1:a",
    ] {
        assert!(parse(bytes).is_err(), "{}", bytes.escape_ascii());
    }
}

#[test]
fn order_and_duplicates_are_a_choice() {
    let unsorted = b"d1:bi1e1:ai2ee";
    let twice = b"d1:bi1e1:ai2e1:bi3ee";
    let with = |bytes, keys| Document::parse(bytes, Limits::MESSAGE.with_keys(keys)).map(|_| ());
    assert_eq!(with(unsorted, Keys::Sorted), Err(Error::Order { at: 7 }));
    assert!(with(unsorted, Keys::Unique).is_ok());
    assert_eq!(with(twice, Keys::Unique), Err(Error::Duplicate { at: 0 }));
    assert!(with(twice, Keys::Any).is_ok());
    let first = Document::parse(twice, Limits::MESSAGE.with_keys(Keys::Any)).unwrap();
    assert_eq!(first.root().get(b"b").unwrap().as_i64(), Some(1));
    assert!(with(b"d1:ai1e1:ai1ee", Keys::Unique).is_err());
    // A string value between keys is no key.
    assert!(with(b"d1:a1:z1:b1:ae", Keys::Sorted).is_ok());
}

#[test]
fn bounded_in_depth_and_number() {
    let deep = [vec![b'l'; 500_000], vec![b'e'; 500_000]].concat();
    assert!(matches!(parse(&deep), Err(Error::TooDeep { .. })));
    let many = [b"l".to_vec(), b"0:".repeat(100_000), b"e".to_vec()].concat();
    assert!(matches!(
        Document::parse(&many, Limits::MESSAGE),
        Err(Error::TooMany { .. })
    ));
    assert!(parse(&many).is_ok());
}

#[test]
fn leaves_what_follows() {
    let (document, rest) = Document::parse_prefix(b"d1:ai1eeDATA", Limits::MESSAGE).unwrap();
    assert_eq!(
        (document.root().raw(), rest),
        (&b"d1:ai1ee"[..], &b"DATA"[..])
    );
}
