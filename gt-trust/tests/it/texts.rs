//! The grammar of statements, by its edges.

use gt_trust::statement::{Contents, Error, Move, ReelLine, RefLine};
use gt_trust::{ObjectFormat, Oid, Rid, Statement, Time, limits};
use proptest::prelude::*;

use crate::publisher::{Publisher, name, oid};

fn text() -> String {
    let full = crate::golden::full(&Publisher::one());
    String::from_utf8(full.as_bytes().to_vec()).unwrap()
}

#[test]
fn malformed_statements_refused() {
    let good = text();
    assert!(Statement::parse(good.as_bytes()).is_ok());
    for (from, to) in [
        ("gt statement 1", "gt statement 2"),
        ("gt statement 1", "\u{feff}gt statement 1"),
        ("Repository: ", "Repository:"),
        ("Repository: ", "Repository:  "),
        ("Repository: ", "repository: "),
        ("Object-Format: sha1", "Object-Format: md5"),
        ("Object-Format: sha1\n", ""),
        (
            "Object-Format: sha1\n",
            "Object-Format: sha1\nObject-Format: sha1\n",
        ),
        ("Epoch: 0", "Epoch: -0"),
        ("Epoch: 0", "Epoch: 00"),
        ("Epoch: 0", "Epoch: 18446744073709551615"),
        ("Sequence: 2", "Sequence: 02"),
        ("Sequence: 2", "Sequence: 2 "),
        ("Sequence: 2", "Sequence: 1"),
        ("Previous: 0 1 ", "Previous: 0 2 "),
        ("Previous: 0 1 ", "Previous: 0  1 "),
        ("Previous: 0 1 ", "Previous: none "),
        ("Expires: 1807", "Expires: 1907"),
        ("Expires: 1807776060", "Expires: 1800000060"),
        ("Expires: 1807", "Expires: 1707"),
        ("Description: A", "Description:  A"),
        ("Description: A", "Description: \tA"),
        ("Description: A", "Description: A\u{7}"),
        ("Tracker: udp", "Tracker: ftp"),
        ("Tracker: udp://t", "Tracker: udp://me@t"),
        (
            "Tracker: udp://t.example:6969/announce\n",
            "Tracker: https://t.example/announce\n",
        ),
        ("Mirror: https", "Mirror: udp"),
        ("Tracker: udp", "Mirror: http"),
        ("Mirror: ", "Unknown: "),
        ("Head: refs/heads/main", "Head: refs/heads/../x"),
        ("Head: refs/heads/main", "Head: HEAD"),
        ("Head: refs/heads/main\n", ""),
        ("Piece-Length: 32768", "Piece-Length: 16384"),
        ("Piece-Length: 32768", "Piece-Length: 65536"),
        ("Reel: 0 6", "Reel: 0 7"),
        ("Reel: 0 6", "Reel: 0 5"),
        ("Reel: 0 6", "Reel: 7 6"),
        ("Reel: 0 6 20000000", "Reel: 0 6 0"),
        ("Reel: 0 6 20000000", "Reel: 0 6 18446744073709551614"),
        ("abab", "ABAB"),
        ("path-1", "path 1"),
        ("path-1", "Path-1"),
        ("path-1", "--"),
        (" -\n\n", " -\n"),
        (" -\n\n", " -\n\n\n"),
        ("+0404", "++0404"),
        ("+0404", "-0404"),
        ("+0404", " 0404"),
        ("0606 refs/tags/v2", "0606  refs/tags/v2"),
        ("refs/tags/v2", "refs/tags/v0"),
        ("refs/tags/v2", "refs/tags/v1"),
        ("refs/tags/v2", "refs/tags/v1/x"),
        ("refs/tags/v2", "refs/replace/v2"),
        ("refs/tags/v2", "refs/tags/v2.lock"),
        ("refs/tags/v2", "v2"),
        ("refs/tags/v2\n", "refs/tags/v2"),
        ("refs/tags/v2\n", "refs/tags/v2\n\n"),
        ("refs/tags/v2\n", "refs/tags/v2\nText: x\n"),
    ] {
        let bad = good.replacen(from, to, 1);
        assert_ne!(bad, good, "{from:?}");
        assert!(
            Statement::parse(bad.as_bytes()).is_err(),
            "{from:?} -> {to:?}\n{bad}"
        );
    }
    assert!(Statement::parse(good.replace('\n', "\r\n").as_bytes()).is_err());
    assert!(Statement::parse(b"").is_err());
}

#[test]
fn errors_say_the_line() {
    let error = Statement::parse(text().replace("Epoch: 0", "Epoch: x").as_bytes()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "line 5: expected a well-formed value of Epoch"
    );
}

#[test]
fn sha256_repository_rejects_40_hex() {
    let sha256 = text().replace("Object-Format: sha1", "Object-Format: sha256");
    let error = Statement::parse(sha256.as_bytes()).unwrap_err();
    assert!(matches!(
        error,
        Error::ObjectFormat {
            expected: ObjectFormat::Sha256,
            ..
        }
    ));
    // With long names throughout it is well-formed, and short format refuses it.
    let long = |text: &str| {
        [4, 5, 6].iter().fold(text.to_owned(), |text, n| {
            text.replace(&format!("{n:02}").repeat(20), &format!("{n:02}").repeat(32))
        })
    };
    assert!(Statement::parse(long(&sha256).as_bytes()).is_ok());
    assert!(Statement::parse(long(&text()).as_bytes()).is_err());
}

#[test]
fn replace_stash_gt_refs_refused() {
    for bad in [
        "refs/replace/x",
        "refs/stash",
        "refs/gt/x",
        "refs/remotes/o/x",
        "refs/bisect/x",
        "refs/worktree/x",
        "refs/rewritten/x",
        "refs/x",
        "HEAD",
    ] {
        let text = text().replace("refs/tags/v2", bad);
        assert!(
            matches!(Statement::parse(text.as_bytes()), Err(Error::Refs(_))),
            "{bad}"
        );
    }
}

#[test]
fn dir_file_clash_moves_nothing() {
    let mut draft = Publisher::one().draft();
    draft.set(name("refs/heads/a"), oid(1), Move::FastForward);
    draft.set(name("refs/heads/a-"), oid(1), Move::FastForward);
    draft.set(name("refs/heads/a/b"), oid(1), Move::FastForward);
    assert!(matches!(
        draft.finish(),
        Err(Error::Refs(gt_trust::refs::Error::Clash(..)))
    ));
}

#[test]
fn million_refs_named_ceiling() {
    let mut text = text().into_bytes();
    let line = b"0606060606060606060606060606060606060606 refs/tags/x\n";
    text.extend(line.repeat(1_000_000));
    let error = Statement::parse(&text).unwrap_err();
    assert_eq!(error, Error::TooLong(text.len()));
    assert!(error.to_string().contains("16777216"), "{error}");
}

#[test]
fn repeatable_lines_have_ceilings() {
    let good = text();
    let alternatives: String = (0..17u8)
        .map(|n| format!("Alternative: {}\n", Rid::from_bytes([n; 32])))
        .collect();
    let line = format!("Alternative: {}\n", Rid::from_bytes([5; 32]));
    assert!(Statement::parse(good.replace(&line, &alternatives).as_bytes()).is_err());
    let (sixteen, _) = alternatives.split_at(line.len() * 16);
    assert!(Statement::parse(good.replace(&line, sixteen).as_bytes()).is_ok());
    let trackers: String = (0..65).map(|n| format!("Mirror: http://m/{n}\n")).collect();
    assert!(
        Statement::parse(
            good.replace("Mirror: https://m.example/reels/\n", &trackers)
                .as_bytes()
        )
        .is_err()
    );
}

#[test]
fn an_empty_repository_can_be_said() {
    let empty = Publisher::one().draft().finish().unwrap();
    assert!(empty.as_bytes().ends_with(b"Piece-Length: 16384\n\n"));
    assert_eq!(Statement::parse(empty.as_bytes()), Ok(empty));
}

#[test]
fn ten_thousand_refs_are_quick() {
    let mut contents = (*Publisher::one().first()).clone();
    contents.head = None;
    contents.refs = (0..10_000)
        .map(|n| RefLine::new(oid(7), name(&format!("refs/heads/topic/{n:05}"))))
        .collect();
    let statement = Statement::new(contents).unwrap();
    assert_eq!(Statement::parse(statement.as_bytes()), Ok(statement));
}

fn contents() -> impl Strategy<Value = Contents> {
    let refs =
        prop::collection::btree_map("refs/(heads|tags)/[a-z]{1,3}", (1u8.., any::<bool>()), 0..6);
    let reels = prop::collection::vec((0u64..3, 1u64..1 << 40, any::<[u8; 32]>()), 0..4);
    let words = (
        prop::option::of("[a-z\u{e9}]( ?[A-Z]){0,5}"),
        any::<[u8; 32]>(),
        any::<bool>(),
    );
    (refs, reels, words, 0u64..1 << 40, 1u64..300).prop_map(
        |(refs, reels, (description, id, head), created, days)| {
            let mut contents = (*Publisher::one().first()).clone();
            contents.repository = Rid::from_bytes(id);
            contents.description = description;
            contents.created = Time(created);
            contents.expires = Time(created + days * 86_400);
            contents.refs = refs
                .into_iter()
                .map(|(text, (n, moved))| {
                    let mut line = RefLine::new(Oid::from_bytes(&[n; 20]).unwrap(), name(&text));
                    line.moved = moved;
                    line
                })
                .collect();
            contents.head = contents
                .refs
                .first()
                .filter(|_| head)
                .map(|line| line.name.clone());
            let mut number = 3;
            contents.reels = reels
                .into_iter()
                .map(|(span, length, root)| {
                    let reel = ReelLine::new(number, number + span, length, root);
                    number += span + 1;
                    reel
                })
                .collect();
            let total = gt_trust::statement::total_length(&contents.reels).unwrap();
            contents.piece_length = gt_trust::statement::piece_length(total);
            contents
        },
    )
}

proptest! {
    #[test]
    fn parse_then_write_is_identity(contents in contents()) {
        let statement = Statement::new(contents.clone()).unwrap();
        let read = Statement::parse(statement.as_bytes()).unwrap();
        prop_assert_eq!(&*read, &contents);
        prop_assert_eq!(read.as_bytes(), statement.as_bytes());
        prop_assert_eq!(read.identity(), statement.identity());
    }

    #[test]
    fn any_change_says_something_else(contents in contents(), at: prop::sample::Index, change in 1u8..) {
        let statement = Statement::new(contents).unwrap();
        let mut bytes = statement.as_bytes().to_vec();
        let at = at.index(bytes.len());
        bytes[at] ^= change;
        if let Ok(other) = Statement::parse(&bytes) {
            prop_assert_ne!(&*other, &*statement);
            prop_assert_eq!(other.as_bytes(), &bytes[..]);
        }
    }

    #[test]
    fn parsing_is_total(mut lines in prop::collection::vec(".{0,30}", 0..12), bytes: Vec<u8>) {
        let _ = Statement::parse(&bytes);
        let _ = gt_trust::Seal::parse(&bytes);
        lines.insert(0, "gt statement 1".to_owned());
        let _ = Statement::parse(lines.join("\n").as_bytes());
        lines[0] = "gt charter 1".to_owned();
        let _ = gt_trust::Charter::parse(lines.join("\n").as_bytes());
        lines[0] = "gt evidence 1".to_owned();
        let _ = gt_trust::judge::Evidence::parse(lines.join("\n").as_bytes());
    }

    #[test]
    fn lifetimes_end(days in 1u64..1000) {
        let first = Publisher::one().first();
        let mut draft = first.next(first.created);
        draft.lifetime(gt_trust::number::Seconds::days(days));
        let within = gt_trust::number::Seconds::days(days) <= limits::LONGEST_LIFETIME;
        prop_assert_eq!(draft.finish().is_ok(), within);
    }
}
