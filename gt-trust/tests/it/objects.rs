//! Git, GnuPG and ssh-keygen as oracles for signatures on commits and tags:
//! each object is written into a repository as it is, and what
//! `git verify-commit` and `git verify-tag` say of it is what is said here.

use std::path::PathBuf;

use gt_trust::object::{Checker, Grade, Kind, Maker, Object, Place, Rings, Verdict};
use gt_trust::ssh::{AllowedSigners, RevokedKeys};

use crate::gpg::{Home, now};

/// A repository with one commit and a way to sign.
struct Repo {
    home: Home,
    args: Vec<String>,
}

impl Repo {
    fn new(format: &str) -> Self {
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

    fn git(&self, args: &[&str]) -> Vec<u8> {
        let mut all: Vec<&str> = self.args.iter().map(String::as_str).collect();
        all.extend(args);
        self.home.ok("git", &all, b"")
    }

    fn commit(&self, more: &[&str]) -> Vec<u8> {
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

    fn tag(&self, name: &str) -> Vec<u8> {
        self.git(&["tag", "-f", "-s", "-m", "a tag", name]);
        self.git(&["cat-file", "tag", name])
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// Tells whether git takes the object for well signed.
    fn git_says(&self, kind: Kind, bytes: &[u8]) -> bool {
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

fn replaced(bytes: &[u8], from: &str, to: &str) -> Vec<u8> {
    let at = bytes
        .windows(from.len())
        .position(|window| window == from.as_bytes())
        .unwrap_or_else(|| panic!("no {from:?} in {}", bytes.escape_ascii()));
    [&bytes[..at], to.as_bytes(), &bytes[at + from.len()..]].concat()
}

fn all_replaced(bytes: &[u8], from: &str, to: &str) -> Vec<u8> {
    let text = String::from_utf8(bytes.to_vec()).unwrap();
    text.replace(from, to).into_bytes()
}

/// What an attacker, or a careless tool, makes of a signed commit.
fn of_commit(good: &[u8], other: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let header = "gpgsig ";
    let value = |bytes: &[u8]| -> Vec<u8> {
        // The header with its continuation lines.
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        let start = text.find(header).unwrap();
        let tail = &text[start..];
        let mut end = tail.find('\n').unwrap() + 1;
        while tail[end..].starts_with(' ') {
            end += tail[end..].find('\n').unwrap() + 1;
        }
        tail.as_bytes()[..end].to_vec()
    };
    let ours = String::from_utf8(value(good)).unwrap();
    let theirs = String::from_utf8(value(other)).unwrap();
    vec![
        ("as it was made", good.to_vec()),
        ("message changed", replaced(good, "a message", "a massage")),
        ("message longer", [good, b"more\n"].concat()),
        ("a NUL in the message", [good, b"\0more\n"].concat()),
        (
            "a header added",
            replaced(good, "\ngpgsig ", "\nencoding latin1\ngpgsig "),
        ),
        ("author changed", replaced(good, "Ann", "Bob")),
        ("another's signature", replaced(good, &ours, &theirs)),
        (
            "signature twice",
            replaced(good, &ours, &format!("{ours}{ours}")),
        ),
        (
            "both signatures",
            replaced(good, &ours, &format!("{ours}{theirs}")),
        ),
        ("no signature", replaced(good, &ours, "")),
        ("an empty signature", replaced(good, &ours, "gpgsig \n")),
        (
            "a signature that is none",
            replaced(good, &ours, "gpgsig hello\n"),
        ),
        (
            "an unsigned header of another kind",
            replaced(good, "\ngpgsig ", "\ngpgsigx y\n z\ngpgsig "),
        ),
        (
            "a signature for the other format",
            replaced(good, "\ngpgsig ", "\ngpgsig-sha256 y\n z\ngpgsig "),
        ),
        (
            "only one for the other format",
            replaced(good, "\ngpgsig ", "\ngpgsig-sha256 "),
        ),
        (
            "a line after the signature",
            replaced(good, "SIGNATURE-----\n\n", "SIGNATURE-----\n more\n\n"),
        ),
        (
            "the signature in the message",
            [&replaced(good, &ours, "")[..], ours.as_bytes()].concat(),
        ),
        ("carriage returns", all_replaced(good, "\n", "\r\n")),
        (
            "carriage returns in the signature",
            replaced(good, &ours, &ours.replace('\n', "\r\n")),
        ),
        (
            "blanks at the ends of its lines",
            replaced(good, &ours, &ours.replace('\n', "  \n")),
        ),
        ("cut off in the midst", good[..good.len() / 2].to_vec()),
        ("no tree", replaced(good, "tree ", "tre ")),
        (
            "a parent that is none",
            replaced(good, "\nauthor", "\nparent 00\nauthor"),
        ),
        (
            "a signature that is not unfolded",
            replaced(good, &ours, &ours.replace("\n ", "\n")),
        ),
        (
            "the tree twice",
            replaced(
                good,
                "\nauthor",
                "\ntree 4b825dc642cb6eb9a060e54bf8d69288fbee4904\nauthor",
            ),
        ),
    ]
}

fn of_tag(good: &[u8], other: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let at = |bytes: &[u8]| -> usize {
        let begin = b"-----BEGIN ";
        bytes
            .windows(begin.len())
            .rposition(|w| w == begin)
            .unwrap()
    };
    let (text, ours) = good.split_at(at(good));
    let theirs = &other[at(other)..];
    vec![
        ("as it was made", good.to_vec()),
        ("message changed", replaced(good, "a tag", "a tug")),
        ("text after the signature", [good, b"more\n"].concat()),
        ("a NUL after the signature", [good, b"\0"].concat()),
        (
            "text before the signature",
            [text, b"more\n", ours].concat(),
        ),
        ("signature twice", [good, ours].concat()),
        ("another's after it", [good, theirs].concat()),
        ("another's before it", [text, theirs, ours].concat()),
        ("another's", [text, theirs].concat()),
        ("no signature", text.to_vec()),
        (
            "a signature that is none",
            [text, b"-----BEGIN PGP SIGNATURE-----\n"].concat(),
        ),
        ("an indented one", [text, b" ", ours].concat()),
        (
            "a header for the other format",
            replaced(good, "\ntagger", "\ngpgsig-sha256 a\n b\ntagger"),
        ),
        (
            "a header of ours",
            replaced(good, "\ntagger", "\ngpgsig a\n b\ntagger"),
        ),
        (
            "both headers",
            replaced(good, "\ntagger", "\ngpgsig a\n b\ngpgsig-sha256 c\ntagger"),
        ),
        (
            "a header of another kind",
            replaced(good, "\ntagger", "\ngpgsigx a\ntagger"),
        ),
        ("carriage returns", all_replaced(good, "\n", "\r\n")),
        (
            "carriage returns in the signature",
            [text, &all_replaced(ours, "\n", "\r\n")].concat(),
        ),
        (
            "the last line without its end",
            good[..good.len() - 1].to_vec(),
        ),
        ("cut off in the signature", good[..good.len() - 40].to_vec()),
        ("blanks before the block", [text, b"\n\n", ours].concat()),
    ]
}

/// Judges every case both ways, and returns how many both took for good.
fn compare(
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

/// Makes an SSH key and returns the path of its public half and its text.
fn ssh_key(repo: &Repo, name: &str, kind: &[&str]) -> (String, String) {
    let path = repo.path(name);
    let path = path.to_str().unwrap();
    let args = [&["-q", "-N", "", "-C", name, "-f", path, "-t"][..], kind].concat();
    repo.home.ok("ssh-keygen", &args, b"");
    let public = std::fs::read_to_string(format!("{path}.pub")).unwrap();
    (format!("{path}.pub"), public.trim().to_owned())
}

fn by_ssh(repo: &Repo, key: &str) {
    for (name, value) in [("gpg.format", "ssh"), ("user.signingkey", key)] {
        repo.git(&["config", name, value]);
    }
    let file = repo.path("allowed");
    repo.git(&[
        "config",
        "gpg.ssh.allowedSignersFile",
        file.to_str().unwrap(),
    ]);
}

#[test]
#[ignore = "needs ssh-keygen"]
fn ssh_as_git_says() {
    let repo = Repo::new("sha1");
    let (other_path, other_key) = ssh_key(&repo, "other", &["ed25519"]);
    for (n, kind) in [
        &["ed25519"][..],
        &["rsa", "-b", "2048"],
        &["ecdsa", "-b", "256"],
        &["ecdsa", "-b", "384"],
        &["ecdsa", "-b", "521"],
    ]
    .iter()
    .enumerate()
    {
        let (path, key) = ssh_key(&repo, &format!("key{n}"), kind);
        let file =
            format!("ann@example.org {key}\nbob@example.org namespaces=\"git\" {other_key}\n");
        std::fs::write(repo.path("allowed"), &file).unwrap();
        by_ssh(&repo, &other_path);
        let (other, other_tag) = (repo.commit(&["-S"]), repo.tag("two"));
        by_ssh(&repo, &path);
        let (commit, tag) = (repo.commit(&["-S"]), repo.tag("one"));
        let signers = AllowedSigners::parse(file.as_bytes(), 0).unwrap();
        let rings = Rings::default();
        let checker = Checker::new(&rings, now()).allowed(Some(&signers));
        let good = compare(&repo, Kind::Commit, of_commit(&commit, &other), &checker);
        assert!(good >= 4, "{kind:?}: {good}");
        let good = compare(&repo, Kind::Tag, of_tag(&tag, &other_tag), &checker);
        assert!(good >= 4, "{kind:?}: {good}");
    }
}

#[test]
#[ignore = "needs ssh-keygen"]
fn allowed_signers_as_git_says() {
    let repo = Repo::new("sha1");
    let (path, key) = ssh_key(&repo, "key", &["ed25519"]);
    let (_, other) = ssh_key(&repo, "other", &["ed25519"]);
    std::fs::write(repo.path("allowed"), "").unwrap();
    by_ssh(&repo, &path);
    let commit = repo.commit(&["-S"]);
    let object = Object::parse(&commit, None).unwrap();
    let Some(Maker::Ssh { key: made_by, .. }) =
        checked(&object, &format!("a {key}"), None).maker().cloned()
    else {
        panic!("expected a key");
    };
    let shown = repo.home.ok("ssh-keygen", &["-l", "-f", &path], b"");
    assert!(
        String::from_utf8(shown)
            .unwrap()
            .contains(&made_by.to_string())
    );
    for (file, word) in [
        (String::new(), "no-such-key"),
        (format!("a@b {other}"), "no-such-key"),
        (format!("a@b {key}"), "good"),
        (format!("a@b,c@d {key} x y"), "good"),
        (format!("*@b {key}"), "good"),
        (format!("\"a@b\" {key}"), "good"),
        (format!("!a@b {key}"), "no-such-key"),
        (format!("a@b namespaces=\"git\" {key}"), "good"),
        (format!("a@b namespaces=\"g?t,file\" {key}"), "good"),
        (format!("a@b namespaces=\"file\" {key}"), "untrusted"),
        (format!("a@b NAMESPACES=\"git\" {key}"), "good"),
        (format!("a@b valid-after=\"20200101Z\" {key}"), "good"),
        (
            format!("a@b valid-after=\"20990101Z\" {key}"),
            "key-expired",
        ),
        (
            format!("a@b valid-before=\"20200101Z\" {key}"),
            "key-expired",
        ),
        (
            format!("a@b valid-before=\"20990101Z\",namespaces=\"git\" {key}"),
            "good",
        ),
        (
            format!("a@b valid-before=\"tomorrow\" {key}"),
            "no-such-key",
        ),
        (format!("a@b cert-authority {key}"), "no-such-key"),
        (format!("a@b nonsense {key}\na@b {key}"), "good"),
        (
            format!("x@y namespaces=\"file\" {key}\na@b {key}"),
            "untrusted",
        ),
        (format!("# a@b {key}"), "no-such-key"),
    ] {
        std::fs::write(repo.path("allowed"), format!("{file}\n")).unwrap();
        let ours = checked(&object, &file, None);
        assert_eq!(ours.word(), word, "{file}: {ours}");
        assert_eq!(
            repo.git_says(Kind::Commit, &commit),
            word == "good",
            "{file}"
        );
    }
    // Revoked, as a list and as KRLs of each kind.
    let file = format!("a@b {key}\n");
    std::fs::write(repo.path("allowed"), &file).unwrap();
    let list = repo.path("revoked");
    repo.git(&["config", "gpg.ssh.revocationFile", list.to_str().unwrap()]);
    for (spec, revokes) in [
        (None, true),
        (Some(key.clone()), true),
        (Some(other.clone()), false),
        (Some(format!("sha1: {key}")), true),
        (Some(format!("sha256: {key}")), true),
        (Some(format!("sha256: {other}")), false),
        (Some(format!("serial: 1-5\nkey: {key}")), true),
    ] {
        match &spec {
            None => std::fs::write(&list, format!("{other}\n{key}\n")).unwrap(),
            Some(spec) => {
                let path = repo.path("spec");
                std::fs::write(&path, format!("{spec}\n")).unwrap();
                let authority = repo.path("other.pub");
                let args = [
                    "-k",
                    "-q",
                    "-s",
                    authority.to_str().unwrap(),
                    "-f",
                    list.to_str().unwrap(),
                    path.to_str().unwrap(),
                ];
                repo.home.ok("ssh-keygen", &args, b"");
            }
        }
        let revoked = RevokedKeys::parse(&std::fs::read(&list).unwrap()).unwrap();
        let ours = checked(&object, &file, Some(&revoked));
        assert_eq!(
            ours.word(),
            if revokes { "key-revoked" } else { "good" },
            "{spec:?}"
        );
        assert_eq!(repo.git_says(Kind::Commit, &commit), !revokes, "{spec:?}");
    }
}

fn checked(object: &Object, allowed: &str, revoked: Option<&RevokedKeys>) -> Verdict {
    let signers = AllowedSigners::parse(allowed.as_bytes(), 0).unwrap();
    let rings = Rings::default();
    let checker = Checker::new(&rings, now())
        .allowed(Some(&signers))
        .revoked(revoked);
    checker.check(object).swap_remove(0).verdict
}
