//! Git and GnuPG as oracles for signatures on commits and tags: each object is
//! written into a repository as it is, and what `git verify-commit` and
//! `git verify-tag` say of it is what is said here.

use std::path::PathBuf;

use gt_trust::object::{Checker, Grade, Kind, Object, Place, Rings, Verdict};

use crate::gpg::{Home, now};
use crate::mutilated::{of_commit, of_tag, replaced};

/// A repository with one commit and a way to sign.
pub(crate) struct Repo {
    pub(crate) home: Home,
    args: Vec<String>,
}

impl Repo {
    pub(crate) fn new(format: &str) -> Self {
        let home = Home::new();
        let object_format = format!("--object-format={format}");
        home.ok("git", &["init", "-q", "-b", "main", &object_format], b"");
        for (key, value) in [("user.name", "Ann"), ("user.email", "ann@example.org")] {
            home.ok("git", &["config", key, value], b"");
        }
        Self {
            home,
            args: Vec::new(),
        }
    }

    pub(crate) fn git(&self, args: &[&str]) -> Vec<u8> {
        let mut all: Vec<&str> = self.args.iter().map(String::as_str).collect();
        all.extend(args);
        self.home.ok("git", &all, b"")
    }

    pub(crate) fn commit(&self, more: &[&str]) -> Vec<u8> {
        let args = [
            "commit",
            "-q",
            "--allow-empty",
            "-m",
            "a message\n\nand more",
        ];
        self.git(&[&args[..], more].concat());
        self.git(&["cat-file", "commit", "HEAD"])
    }

    pub(crate) fn tag(&self, name: &str) -> Vec<u8> {
        self.git(&["tag", "-f", "-s", "-m", "a tag", name]);
        self.git(&["cat-file", "tag", name])
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// Tells whether git takes the object for well signed.
    pub(crate) fn git_says(&self, kind: Kind, bytes: &[u8]) -> bool {
        let (name, verb) = match kind {
            Kind::Commit => ("commit", "verify-commit"),
            Kind::Tag => ("tag", "verify-tag"),
        };
        let args = ["hash-object", "-t", name, "-w", "--literally", "--stdin"];
        let oid = self.home.ok("git", &args, bytes);
        let oid = String::from_utf8(oid).unwrap();
        let mut all: Vec<&str> = self.args.iter().map(String::as_str).collect();
        all.extend([verb, oid.trim()]);
        self.home.run("git", &all, b"").status.success()
    }
}

/// Judges every case both ways, and returns how many both took for good.
pub(crate) fn compare(
    repo: &Repo,
    kind: Kind,
    cases: Vec<(&'static str, Vec<u8>)>,
    checker: &Checker<'_>,
) -> usize {
    let mut good = 0;
    for (name, bytes) in cases {
        let git = repo.git_says(kind, &bytes);
        let ours = match Object::parse(&bytes, Some(kind)) {
            Ok(object) => checker.check(&object).swap_remove(0).verdict,
            Err(why) => Verdict::Bad(why.to_string()),
        };
        assert_eq!(ours.grade() == Grade::Good, git, "{kind:?}, {name}: {ours}");
        good += usize::from(git);
    }
    good
}

#[test]
#[ignore = "needs gpg"]
fn openpgp_as_git_says() {
    for format in ["sha1", "sha256"] {
        let repo = Repo::new(format);
        for kind in ["ed25519", "rsa2048"] {
            repo.home.make_key(kind, "sign");
        }
        let mut rings = Rings::default();
        rings.add(&repo.home.gpg(&["--export"], b"")).unwrap();
        let checker = Checker::new(&rings, now());
        let sign = |key: &str| repo.git(&["config", "user.signingkey", key]);
        sign("ed25519@example.org");
        let (commit, tag) = (repo.commit(&["-S"]), repo.tag("one"));
        sign("rsa2048@example.org");
        let (other, other_tag) = (repo.commit(&["-S"]), repo.tag("two"));
        if format == "sha1" {
            let good = compare(&repo, Kind::Commit, of_commit(&commit, &other), &checker);
            assert!(good >= 5, "{good}");
        }
        let good = compare(&repo, Kind::Tag, of_tag(&tag, &other_tag), &checker);
        assert!(good >= 5, "{good}");
        for bytes in [&commit, &other] {
            assert!(repo.git_says(Kind::Commit, bytes));
            let object = Object::parse(bytes, None).unwrap();
            let finding = checker.check(&object).swap_remove(0);
            assert_eq!(finding.verdict.grade(), Grade::Good, "{}", finding.verdict);
        }
        // Every single bit, of the payload and of the base64.
        let object = |bytes: &[u8]| Object::parse(bytes, Some(Kind::Tag));
        for at in (0..tag.len()).step_by(11) {
            if tag[at] == b'=' && tag[at - 1] != b'\n' {
                // Whatever stands in the place of padding, gpg reads over it;
                // we do not. A signature of 139 bytes, whose first number
                // begins with a zero, has such a place.
                continue;
            }
            let mut flipped = tag.clone();
            flipped[at] ^= 1;
            let ours = object(&flipped)
                .is_ok_and(|object| checker.check(&object)[0].verdict.grade() == Grade::Good);
            assert_eq!(
                ours,
                repo.git_says(Kind::Tag, &flipped),
                "byte {at}: {}",
                flipped.escape_ascii()
            );
        }
    }
}

/// A merge of a signed tag: git log shows each; verify-commit knows the
/// commit's own alone.
#[test]
#[ignore = "needs gpg"]
fn merged_tags_are_verified_each() {
    let repo = Repo::new("sha1");
    repo.home.make_key("ed25519", "sign");
    repo.git(&["config", "user.signingkey", "ed25519@example.org"]);
    repo.commit(&[]);
    repo.git(&["checkout", "-q", "-b", "side"]);
    repo.git(&["commit", "-q", "--allow-empty", "-m", "on the side"]);
    let tag = repo.tag("v1");
    repo.git(&["checkout", "-q", "main"]);
    repo.git(&["commit", "-q", "--allow-empty", "-m", "on main"]);
    repo.git(&["merge", "-q", "-S", "--no-ff", "-m", "merge", "v1"]);
    let merge = repo.git(&["cat-file", "commit", "HEAD"]);
    let mut rings = Rings::default();
    rings
        .add(&repo.home.gpg(&["--armor", "--export"], b""))
        .unwrap();
    let checker = Checker::new(&rings, now());
    let object = Object::parse(&merge, None).unwrap();
    assert_eq!(object.merged(), [tag]);
    let found = checker.check(&object);
    let places: Vec<_> = found.iter().map(|f| (f.place, f.verdict.grade())).collect();
    assert_eq!(
        places,
        [(Place::Own, Grade::Good), (Place::Merged(0), Grade::Good)]
    );
    // The commit's signature covers the merged tag's bytes.
    let changed = replaced(&merge, " a tag", " a tug");
    let found = checker.check(&Object::parse(&changed, None).unwrap());
    assert!(found.iter().all(|f| matches!(f.verdict, Verdict::Bad(_))));
}

#[test]
#[ignore = "needs gpg"]
fn each_answer_has_its_name() {
    let repo = Repo::new("sha1");
    for (kind, usage) in [
        ("ed25519", "sign"),
        ("rsa2048", "sign"),
        ("dsa2048", "sign"),
    ] {
        repo.home.make_key(kind, usage);
    }
    let sign = |key: &str| repo.git(&["config", "user.signingkey", key]);
    sign("ed25519@example.org");
    let (good, tag) = (repo.commit(&["-S"]), repo.tag("one"));
    sign("rsa2048@example.org");
    let other = repo.commit(&["-S"]);
    let verdict = |rings: &Rings, bytes: &[u8], days: u64| {
        let at = gt_trust::Time(now().0 + days * 86_400);
        let object = Object::parse(bytes, None).unwrap();
        Checker::new(rings, at)
            .check(&object)
            .swap_remove(0)
            .verdict
    };
    let ring = |key: &str| {
        let mut rings = Rings::default();
        rings.add(&repo.home.gpg(&["--export", key], b"")).unwrap();
        rings
    };
    let ed25519 = ring("ed25519@example.org");
    assert_eq!(verdict(&ed25519, &good, 0).word(), "good");
    assert_eq!(verdict(&ed25519, &tag, 0).word(), "good");
    assert_eq!(verdict(&ed25519, &other, 0).word(), "no-such-key");
    assert_eq!(verdict(&Rings::default(), &good, 0).word(), "no-such-key");
    assert_eq!(
        verdict(&ed25519, &replaced(&good, "a message", "another"), 0).word(),
        "bad"
    );
    let unsigned = repo.commit(&[]);
    assert_eq!(verdict(&ed25519, &unsigned, 0).word(), "unsigned");
    // Trusted are only those that are named.
    let object = Object::parse(&good, None).unwrap();
    let nobody: [gt_trust::Fingerprint; 0] = [];
    let nobody: &[gt_trust::Fingerprint] = &nobody;
    let strict = Checker::new(&ed25519, now());
    let found = strict.believes(Some(&Named(nobody))).check(&object);
    assert_eq!(found[0].verdict.word(), "untrusted");
    // A weak digest, with the numbers right and wrong.
    let program = repo.path("sha1-gpg");
    std::fs::write(&program, "#!/bin/sh\nexec gpg --digest-algo SHA1 \"$@\"\n").unwrap();
    repo.home
        .ok("chmod", &["+x", program.to_str().unwrap()], b"");
    let config = format!("gpg.program={}", program.display());
    repo.git(&[
        "-c",
        &config,
        "commit",
        "-q",
        "--allow-empty",
        "-S",
        "-m",
        "weak one",
    ]);
    let weak = repo.git(&["cat-file", "commit", "HEAD"]);
    let rsa = ring("rsa2048@example.org");
    assert!(repo.git_says(Kind::Commit, &weak));
    assert_eq!(verdict(&rsa, &weak, 0).word(), "weak-digest");
    assert_eq!(
        verdict(&rsa, &replaced(&weak, "weak", "week"), 0).word(),
        "bad"
    );
    let object = Object::parse(&weak, None).unwrap();
    let lenient = Checker::new(&rsa, now()).weak_digests(true);
    assert_eq!(lenient.check(&object)[0].verdict.word(), "good");
    // Expired by the time for which is asked.
    let print = fingerprint(&repo, "rsa2048@example.org");
    repo.home.gpg(&["--quick-set-expire", &print, "10d"], b"");
    let dated = ring("rsa2048@example.org");
    assert_eq!(verdict(&dated, &other, 0).word(), "good");
    assert_eq!(verdict(&dated, &other, 11).word(), "key-expired");
    // Revoked, in a ring of its own that comes first or last.
    let revocation = repo.path(".gnupg-revocation");
    let made = repo.path(&format!("openpgp-revocs.d/{print}.rev"));
    let text = std::fs::read_to_string(made)
        .unwrap()
        .replace(":-----BEGIN", "-----BEGIN");
    std::fs::write(&revocation, text).unwrap();
    repo.home
        .gpg(&["--import", revocation.to_str().unwrap()], b"");
    let revoked = repo.home.gpg(&["--export", "rsa2048@example.org"], b"");
    let mut both = ring("rsa2048@example.org");
    both.add(&revoked).unwrap();
    assert_eq!(verdict(&both, &other, 0).word(), "key-revoked");
    let mut both = dated.clone();
    both.add(&revoked).unwrap();
    assert_eq!(verdict(&both, &other, 0).word(), "key-revoked");
    assert!(!repo.git_says(Kind::Commit, &other));
}

struct Named<'a>(&'a [gt_trust::Fingerprint]);

impl gt_trust::belief::Believes for Named<'_> {
    fn belief(
        &self,
        primary: &gt_trust::Fingerprint,
        now: gt_trust::Time,
    ) -> gt_trust::belief::Belief {
        self.0.belief(primary, now)
    }
}

fn fingerprint(repo: &Repo, key: &str) -> String {
    let listing = repo.home.gpg(&["--with-colons", "--list-keys", key], b"");
    let listing = String::from_utf8(listing).unwrap();
    let line = listing
        .lines()
        .find(|line| line.starts_with("fpr:"))
        .unwrap();
    line.split(':').nth(9).unwrap().to_owned()
}

/// A key of a curve that cannot be used here is no bad signature.
#[test]
#[ignore = "needs gpg"]
fn brainpool_is_unsupported_and_not_bad() {
    let repo = Repo::new("sha1");
    repo.home.make_key("brainpoolP256r1", "sign");
    repo.git(&["config", "user.signingkey", "brainpoolP256r1@example.org"]);
    let commit = repo.commit(&["-S"]);
    let mut rings = Rings::default();
    rings.add(&repo.home.gpg(&["--export"], b"")).unwrap();
    let object = Object::parse(&commit, None).unwrap();
    let found = Checker::new(&rings, now()).check(&object);
    assert_eq!(
        found[0].verdict.grade(),
        Grade::Unsupported,
        "{}",
        found[0].verdict
    );
}
