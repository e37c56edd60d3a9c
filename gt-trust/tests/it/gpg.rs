//! GnuPG and git as oracles: what they make verifies here, and what is made
//! here they accept.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use gt_trust::charter::Delegate;
use gt_trust::judge::{Refusal, SealFault};
use gt_trust::key::OwnKey;
use gt_trust::seal::Error;
use gt_trust::signature::Fault;
use gt_trust::{Fingerprint, Keyring, Seal, Statement, Time, signer};
use tempfile::TempDir;

use crate::publisher::{Publisher, accepted, refused, seal_with};

/// A home of its own for gpg and git. Its path is short: the agent's socket
/// lies in it.
pub(crate) struct Home(TempDir);

impl Home {
    pub(crate) fn new() -> Self {
        let folder = tempfile::Builder::new()
            .prefix("gt")
            .rand_bytes(4)
            .tempdir_in("/tmp");
        Self(folder.unwrap())
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn run(&self, program: &str, args: &[&str], input: &[u8]) -> Output {
        let mut child = Command::new(program)
            .args(args)
            .current_dir(self.path())
            .env("GNUPGHOME", self.path())
            .env("HOME", self.path())
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("LC_ALL", "C")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(input).unwrap();
        child.wait_with_output().unwrap()
    }

    #[track_caller]
    pub(crate) fn ok(&self, program: &str, args: &[&str], input: &[u8]) -> Vec<u8> {
        let output = self.run(program, args, input);
        let words = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{program} {args:?}: {words}");
        output.stdout
    }

    pub(crate) fn gpg(&self, args: &[&str], input: &[u8]) -> Vec<u8> {
        self.ok("gpg", &[&["--batch", "--quiet"], args].concat(), input)
    }

    pub(crate) fn make_key(&self, kind: &str, usage: &str) -> String {
        let id = format!("{kind} <{kind}@example.org>");
        let passphrase = ["--passphrase", "", "--quick-gen-key"];
        self.gpg(
            &[&passphrase[..], &[&id, kind, usage, "never"]].concat(),
            b"",
        );
        id
    }

    pub(crate) fn export(&self, key: &str) -> Vec<u8> {
        let args = signer::export_args(key);
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        self.ok("gpg", &args, b"")
    }

    /// Seals as gt does with the person's own set-up.
    fn seal(&self, key: &str, statement: &Statement) -> Vec<u8> {
        let args = signer::sign_args(key);
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        seal_with(statement, now(), |payload| {
            String::from_utf8(self.ok("gpg", &args, payload)).unwrap()
        })
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        // The agent would outlive its home.
        let _ = self.run("gpgconf", &["--kill", "gpg-agent"], b"");
    }
}

pub(crate) fn now() -> Time {
    Time(
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap()
            .as_secs(),
    )
}

/// A repository whose delegate is the first key of this certificate, and its
/// first statement, made now.
fn founded(certificate: Vec<u8>) -> (Publisher, Statement) {
    let print = Keyring::parse(&certificate, None).unwrap().fingerprints()[0];
    let delegates = vec![Delegate::OpenPgp(print)];
    let publisher = Publisher::with(delegates, 1, certificate, Vec::new());
    let mut contents = (*publisher.first()).clone();
    contents.created = now();
    contents.expires = Time(now().0 + 1000);
    (publisher, Statement::new(contents).unwrap())
}

#[test]
#[ignore = "needs gpg"]
fn seals_made_by_gpg_verify_here() {
    let home = Home::new();
    for (kind, usage) in [
        ("ed25519", "sign"),
        ("rsa2048", "sign"),
        ("nistp256", "sign"),
        ("rsa3072", "default"),
    ] {
        let key = home.make_key(kind, usage);
        let (publisher, first) = founded(home.export(&key));
        let seal = home.seal(&key, &first);
        let offer = publisher.offer_sealed(&first, vec![seal]);
        accepted(publisher.judge(None, &offer, now()));
    }
}

#[test]
#[ignore = "needs gpg"]
fn a_signing_subkey_of_gpg_verifies_here() {
    let home = Home::new();
    let key = home.make_key("ed25519", "cert");
    let listing = String::from_utf8(home.gpg(&["--list-keys", "--with-colons"], b"")).unwrap();
    let print = listing
        .lines()
        .find(|l| l.starts_with("fpr:"))
        .unwrap()
        .split(':')
        .nth(9)
        .unwrap();
    home.gpg(
        &[
            "--passphrase",
            "",
            "--quick-add-key",
            print,
            "rsa2048",
            "sign",
            "never",
        ],
        b"",
    );
    let (publisher, first) = founded(home.export(&key));
    let seal = home.seal(&key, &first);
    let offer = publisher.offer_sealed(&first, vec![seal]);
    let accepted = accepted(publisher.judge(None, &offer, now()));
    let signer = &accepted.sealed_by[0];
    let primary: Fingerprint = print.to_lowercase().parse().unwrap();
    assert_ne!(signer.key, Some(primary));
    assert_eq!(signer.delegate, Delegate::OpenPgp(primary));
}

#[test]
#[ignore = "needs gpg"]
fn text_mode_and_weak_digests_of_gpg_are_refused() {
    let home = Home::new();
    let key = home.make_key("rsa2048", "sign");
    let (publisher, first) = founded(home.export(&key));
    let fault = |args: &[&str]| {
        let args = [args, &["--status-fd=2", "-bsau", &key]].concat();
        let seal = seal_with(&first, now(), |payload| {
            String::from_utf8(home.gpg(&args, payload)).unwrap()
        });
        match refused(publisher.judge(None, &publisher.offer_sealed(&first, vec![seal]), now())) {
            Refusal::NoSeal { mut faults } => faults.remove(0),
            other => panic!("{other:?}"),
        }
    };
    let form = |fault| SealFault::Form(Error::Signature(fault));
    assert_eq!(fault(&["--textmode"]), form(Fault::TextMode));
    assert_eq!(
        fault(&["--digest-algo", "SHA1"]),
        form(Fault::WeakDigest("SHA1".to_owned()))
    );
    assert_eq!(
        fault(&["--digest-algo", "SHA224"]),
        form(Fault::WeakDigest("SHA224".to_owned()))
    );
    let ahead = format!("{}!", now().0 + 3 * 86_400);
    let future = fault(&["--faked-system-time", &ahead]);
    assert!(
        matches!(future, SealFault::Signature(Fault::Future(_))),
        "{future:?}"
    );
}

#[test]
#[ignore = "needs gpg"]
fn keys_that_gpg_expired_or_revoked_are_refused() {
    let home = Home::new();
    let id = "short <short@example.org>";
    home.gpg(
        &[
            "--passphrase",
            "",
            "--quick-gen-key",
            id,
            "ed25519",
            "sign",
            "seconds=2",
        ],
        b"",
    );
    let (publisher, first) = founded(home.export(id));
    let seal = home.seal(id, &first);
    let offer = publisher.offer_sealed(&first, vec![seal]);
    let late = Time(now().0 + 100);
    let expired = refused(publisher.judge(None, &offer, late));
    let faults = vec![SealFault::Signature(Fault::KeyExpired)];
    assert_eq!(expired, Refusal::NoSeal { faults });

    let key = home.make_key("rsa2048", "sign");
    let clean = home.export(&key);
    let (publisher, first) = founded(clean.clone());
    let seal = home.seal(&key, &first);
    let offer = publisher.offer_sealed(&first, vec![seal]);
    accepted(publisher.judge(None, &offer, now()));
    // gpg writes a revocation beside each key it makes, spoilt by a colon.
    let print = Keyring::parse(&clean, None).unwrap().fingerprints()[0];
    let file = home.path().join(format!(
        "openpgp-revocs.d/{}.rev",
        print.to_string().to_uppercase()
    ));
    let text = std::fs::read_to_string(file)
        .unwrap()
        .replace(":-----BEGIN", "-----BEGIN");
    home.gpg(&["--import"], text.as_bytes());
    let revoked = home.export(&key);
    assert_ne!(revoked, clean);
    let receiver = publisher.receiver().keyring(&revoked);
    let refusal = refused(gt_trust::judge(&receiver, &offer, now()));
    let faults = vec![SealFault::Signature(Fault::KeyRevoked)];
    assert_eq!(refusal, Refusal::NoSeal { faults });
}

/// With a key that gt made: gpg 2.2 imports it, and signs with it; git accepts
/// the seal.
#[test]
#[ignore = "needs gpg"]
fn git_verify_tag_accepts_our_seal() {
    let home = Home::new();
    let key = OwnKey::generate("Ann <ann@example.org>", now(), [42; 32]).unwrap();
    home.gpg(&["--import"], key.armored_certificate().unwrap().as_bytes());
    let (_, first) = founded(key.certificate().unwrap());
    let seal = seal_with(&first, now(), |payload| key.sign(payload, now()).unwrap());

    home.ok("git", &["init", "--quiet", "--bare", "r"], b"");
    let git = |args: &[&str], input: &[u8]| {
        let out = home.ok("git", &[&["-C", "r"], args].concat(), input);
        String::from_utf8(out).unwrap().trim().to_owned()
    };
    let blob = git(&["hash-object", "-w", "--stdin"], first.as_bytes());
    let parsed = Seal::parse(&seal).unwrap();
    assert_eq!(parsed.blob().to_string(), blob);
    let tag = git(&["mktag"], &seal);
    assert_eq!(parsed.oid(first.object_format).to_string(), tag);
    let good = home.run("git", &["-C", "r", "verify-tag", "--raw", &tag], b"");
    let words = String::from_utf8_lossy(&good.stderr);
    assert!(
        good.status.success() && words.contains("GOODSIG"),
        "{words}"
    );
    git(&["fsck", "--strict"], b"");
    // It can tell: one byte of the statement's identity.
    let at = seal.windows(7).position(|w| w == b"sha256:").unwrap() + 8;
    let mut bad = seal.clone();
    bad[at] = if bad[at] == b'0' { b'1' } else { b'0' };
    let tag = git(&["mktag"], &bad);
    assert!(
        !home
            .run("git", &["-C", "r", "verify-tag", &tag], b"")
            .status
            .success()
    );

    // The secret key goes in as well, and gpg's own seal with it verifies.
    home.gpg(&["--import"], key.export().unwrap().as_bytes());
    let (publisher, first) = founded(key.certificate().unwrap());
    let seal = home.seal("ann@example.org", &first);
    let accepted =
        accepted(publisher.judge(None, &publisher.offer_sealed(&first, vec![seal]), now()));
    assert_eq!(accepted.sealed_by[0].key, Some(key.fingerprint()));
}

/// A tag that git itself signed, with our message, is a seal.
#[test]
#[ignore = "needs gpg"]
fn git_tag_makes_a_seal() {
    let home = Home::new();
    let key = home.make_key("ed25519", "sign");
    let (publisher, first) = founded(home.export(&key));
    home.ok("git", &["init", "--quiet", "--bare", "r"], b"");
    let blob = String::from_utf8(home.ok(
        "git",
        &["-C", "r", "hash-object", "-w", "--stdin"],
        first.as_bytes(),
    ))
    .unwrap();
    let unsigned = seal_with(&first, now(), |_| String::new());
    let message = &unsigned[unsigned.windows(2).position(|w| w == b"\n\n").unwrap() + 2..];
    let args = [
        "-C",
        "r",
        "-c",
        "user.name=Ann",
        "-c",
        "user.email=ann@example.org",
        "tag",
        "-s",
        "-u",
        &key,
        "--cleanup=verbatim",
        "-F",
        "-",
        "gt-references",
        blob.trim(),
    ];
    home.ok("git", &args, message);
    let seal = home.ok("git", &["-C", "r", "cat-file", "tag", "gt-references"], b"");
    accepted(publisher.judge(None, &publisher.offer_sealed(&first, vec![seal]), now()));
}
