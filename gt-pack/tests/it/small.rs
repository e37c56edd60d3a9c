//! Packs of messages, as git sees them.

use gt_pack::Kind;
use gt_pack::small::{self, Object};

use crate::git::{Git, text};

#[test]
fn git_indexes_what_small_writes() {
    let git = Git::bare();
    let old = text(1, 50);
    let held = git.object("blob", old.as_bytes());
    let new = format!("{old}and a line\n");
    let tag = format!(
        "object {held}\ntype blob\ntag x\ntagger A <a@example.org> 1700000000 +0000\n\nx\n"
    );
    let objects = [
        Object::new(Kind::Blob, new.as_bytes()),
        Object::new(Kind::Tag, tag.as_bytes()),
        Object::new(Kind::Blob, *b""),
    ];
    for bases in [vec![], vec![old.into_bytes()]] {
        let bytes = small::write(&objects, &bases);
        git.with(["index-pack", "--strict", "--fix-thin", "--stdin"], &bytes);
    }
    let blob = git.with(["hash-object", "--stdin"], new.as_bytes());
    let id = String::from_utf8(blob).unwrap().trim().to_owned();
    assert_eq!(git.with(["cat-file", "blob", &id], b""), new.as_bytes());
}

#[test]
fn small_reads_what_git_packs() {
    let git = Git::bare();
    let id = git.object("blob", b"from git\n");
    let pack = git.pack(&[id]);
    let objects = small::read(&pack, &|_| None, &small::Budget::default()).unwrap();
    assert_eq!(objects, [Object::new(Kind::Blob, *b"from git\n")]);
}
