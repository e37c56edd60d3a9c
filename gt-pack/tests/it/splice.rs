//! Several reels as one.

use gt_pack::bundle::Header;
use gt_pack::reel_vfs::Options;
use gt_pack::splice::{self, Error, Part, Spliced};
use gt_pack::verify::{NoBases, Silent};
use gt_pack::{Chain, Limits, Reel, ReelVfs, import, index};
use gt_vfs::{ContentId, Root, Vfs};

use crate::git::{Git, text};
use crate::reel::{Made, published};

fn spliced(bundles: &[&[u8]]) -> Result<(Spliced, Vec<u8>), Error> {
    let files: Vec<_> = bundles.iter().map(|b| crate::git::file(*b)).collect();
    let mut parts: Vec<Part<'_>> = Vec::new();
    for file in &files {
        let part = Part::read(&**file, &parts, &NoBases, &Limits::default(), &Silent)?;
        parts.push(part);
    }
    let mut out = Vec::new();
    let spliced = splice::write(&parts, &mut out)?;
    assert_eq!(spliced.length, out.len() as u64);
    assert_eq!(spliced.root, Root::of(&out));
    Ok((spliced, out))
}

fn whole(made: &[Made]) -> (Spliced, Vec<u8>) {
    let bundles: Vec<&[u8]> = made.iter().map(|made| &made.bytes[..]).collect();
    spliced(&bundles).unwrap()
}

fn pack_of(bundle: &[u8]) -> &[u8] {
    let (_, length) = Header::read(bundle).unwrap().unwrap();
    &bundle[length..]
}

#[test]
fn strict_git_takes_a_splice_and_its_index() {
    let (source, made) = published();
    let (spliced, bytes) = whole(&made);
    assert_eq!(
        spliced.header.tips,
        made[2].refs.clone().into_iter().collect::<Vec<_>>()
    );
    assert!(spliced.header.prerequisites.is_empty());
    let git = Git::bare();
    std::fs::write(git.path().join("x.pack"), pack_of(&bytes)).unwrap();
    git.run(["index-pack", "--strict", "--rev-index", "x.pack"]);
    let read = |name: &str| std::fs::read(git.path().join(name)).unwrap();
    assert!(index::write_idx(&spliced.pack) == read("x.idx"));
    assert!(index::write_rev(&spliced.pack) == read("x.rev"));
    std::fs::write(git.path().join("x.bundle"), &bytes).unwrap();
    git.run(["clone", "-q", "--mirror", "x.bundle", "copy.git"]);
    git.run(["-C", "copy.git", "fsck", "--full", "--strict"]);
    let listed = ["rev-list", "--objects", "--no-object-names", "main"];
    let copied = git.run([&["-C", "copy.git"][..], &listed[..]].concat());
    assert_eq!(copied, source.run(listed));
    assert_eq!(whole(&made).1, bytes);
}

#[test]
fn held_parts_are_spliced_where_they_lie() {
    let (_, made) = published();
    let (spliced, bytes) = whole(&made);
    let git = Git::bare();
    for n in 0..made.len() {
        let earlier: Vec<&Made> = made[..n].iter().collect();
        made[n].import(&git, &earlier).unwrap();
    }
    let parts: Vec<Reel> = made.iter().map(|made| made.reel.clone()).collect();
    let mut wanted = parts[0].clone();
    (wanted.last, wanted.length, wanted.root) = (2, spliced.length, spliced.root);
    // Somebody else's splice of the same numbers is not ours.
    let mut other = wanted.clone();
    other.root = Root([7; 32]);
    let mut chain = Chain::open(&git.dir()).unwrap();
    assert!(!chain.make_splice(&other).unwrap());
    assert!(
        chain.splice(&[parts[0].clone(), parts[2].clone()]).is_err(),
        "a gap"
    );

    // A statement that names it: nothing has to come.
    let partial = git.path().join("partial");
    let options = Options::new(
        vec![wanted.clone()],
        None,
        None,
        partial,
        Box::new(import::Open),
    );
    let vfs = ReelVfs::open(&git.dir(), options).unwrap();
    let listed = vfs.list().unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].id, Some(ContentId::Root(spliced.root)));
    let file = vfs.open(&listed[0].path).unwrap();
    let mut read = vec![0; file.size() as usize];
    file.read_exact_at(0, &mut read).unwrap();
    assert!(read == bytes);

    // And it still is when its parts are forgotten.
    let mut chain = Chain::open(&git.dir()).unwrap();
    for part in &parts {
        chain.forget(&part.root).unwrap();
    }
    git.run(["gc", "-q", "--prune=now"]);
    let mut chain = Chain::open(&git.dir()).unwrap();
    assert!(chain.holds(&wanted.root));
    assert!(chain.splice(&parts).is_err(), "the parts are not held");
    assert_eq!(
        chain.all().oids().unwrap().len(),
        spliced.pack.entries.len()
    );
}

/// A branch that was rewound: what it left is still named in the splice, so
/// that the splice is accepted by the rules of a reel.
#[test]
fn splice_keeps_dropped_tips() {
    let git = Git::init();
    let base = git.commit(&[("a", &text(1, 50))]);
    let dropped = git.commit(&[("a", &text(2, 50))]);
    git.run(["reset", "-q", "--hard", &base.to_string()]);
    let other = git.commit(&[("b", &text(3, 50))]);
    let name = "refs/heads/main";
    let ids = [base, dropped, other].map(|id| id.to_string());
    let not = |id: &str| format!("^{id}");
    let made = [
        Made::new(0, &[], &[(name, base)], &git.thin_pack(&[&ids[0]])),
        Made::new(
            1,
            &[base],
            &[(name, dropped)],
            &git.thin_pack(&[&ids[1], &not(&ids[0])]),
        ),
        Made::new(
            2,
            &[base],
            &[(name, other)],
            &git.thin_pack(&[&ids[2], &not(&ids[0])]),
        ),
    ];
    let (spliced, bytes) = whole(&made);
    let kept = format!("refs/dropped/{dropped}").into_bytes();
    assert_eq!(
        spliced.header.tips,
        [(name.as_bytes().to_vec(), other), (kept, dropped)]
    );
    let mut one = Made::of(0, bytes, made[2].refs.clone());
    one.reel.last = 2;
    one.import(&Git::bare(), &[]).unwrap();
    // The first part alone stays what the later ones stand on.
    let (tail, _) = {
        let files =
            [&made[0].bytes[..], &made[1].bytes[..], &made[2].bytes[..]].map(crate::git::file);
        let mut parts: Vec<Part<'_>> = Vec::new();
        for file in &files {
            let part = Part::read(&**file, &parts, &NoBases, &Limits::default(), &Silent);
            parts.push(part.unwrap());
        }
        let mut out = Vec::new();
        (splice::write(&parts[1..], &mut out).unwrap(), out)
    };
    assert_eq!(tail.header.prerequisites, [base]);
}

#[test]
fn an_object_in_two_parts_is_refused() {
    let (_, made) = published();
    let bundles = [&made[0].bytes[..], &made[0].bytes[..]];
    assert!(matches!(spliced(&bundles), Err(Error::Repeated(_))));
    assert!(matches!(spliced(&[]), Err(Error::Empty)));
    assert!(matches!(spliced(&[b"no bundle"]), Err(Error::Bundle(_))));
    let cut = &made[0].bytes[..made[0].bytes.len() - 1];
    assert!(matches!(spliced(&[cut]), Err(Error::Pack(_))));
}
