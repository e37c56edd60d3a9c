//! Git and ssh-keygen as oracles for SSH signatures on commits and tags.

use gt_trust::object::{Checker, Kind, Maker, Object, Rings, Verdict};
use gt_trust::ssh::{AllowedSigners, RevokedKeys};

use crate::gpg::now;
use crate::mutilated::{of_commit, of_tag};
use crate::objects::{Repo, compare};

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
