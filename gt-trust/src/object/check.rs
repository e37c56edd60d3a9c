//! Verifying the signatures of an object.

use data_encoding::HEXLOWER;

use super::ring::Candidate;
use super::{Kind, Maker, Object, Rings, Signed, Verdict};
use crate::belief::{Belief, Believes};
use crate::charter::SshKey;
use crate::key::Keyring;
use crate::number::Time;
use crate::signature::Detached;
use crate::ssh::{self, AllowedSigners, RevokedKeys};

/// Whom to believe, and when: what is needed to verify objects.
///
/// Every key of the keyrings is trusted unless [`believes`](Self::believes)
/// says who is.
#[derive(Clone, Copy)]
pub struct Checker<'a> {
    rings: &'a Rings,
    now: Time,
    allowed: Option<&'a AllowedSigners>,
    revoked: Option<&'a RevokedKeys>,
    believes: Option<&'a dyn Believes>,
    ssh_keys: &'a [SshKey],
    weak_digests: bool,
}

/// Where in an object a signature stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Place {
    /// It is that of the object.
    Own,
    /// It is that of the so-manieth tag that the commit merged, from 0.
    Merged(usize),
}

/// What was found out about one signature.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finding {
    /// Where it stands.
    pub place: Place,
    /// What it is worth.
    pub verdict: Verdict,
    /// Bytes that follow on the signature, which nobody has signed.
    pub trailing: usize,
}

impl Finding {
    /// Returns a finding about a signature with nothing after it.
    pub fn new(place: Place, verdict: Verdict) -> Self {
        Self {
            place,
            verdict,
            trailing: 0,
        }
    }
}

impl std::fmt::Debug for Checker<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Checker")
            .field("now", &self.now)
            .finish_non_exhaustive()
    }
}

impl<'a> Checker<'a> {
    /// Begins with certificates and the time for which is asked.
    pub fn new(rings: &'a Rings, now: Time) -> Self {
        Self {
            rings,
            now,
            allowed: None,
            revoked: None,
            believes: None,
            ssh_keys: &[],
            weak_digests: false,
        }
    }

    /// Says who may sign with SSH keys.
    #[must_use]
    pub fn allowed(mut self, signers: Option<&'a AllowedSigners>) -> Self {
        self.allowed = signers;
        self
    }

    /// Says which SSH keys were revoked.
    #[must_use]
    pub fn revoked(mut self, keys: Option<&'a RevokedKeys>) -> Self {
        self.revoked = keys;
        self
    }

    /// Says whose OpenPGP keys are trusted.
    #[must_use]
    pub fn believes(mut self, believes: Option<&'a dyn Believes>) -> Self {
        self.believes = believes;
        self
    }

    /// Says which SSH keys are trusted whatever the allowed signers say.
    #[must_use]
    pub fn ssh_keys(mut self, keys: &'a [SshKey]) -> Self {
        self.ssh_keys = keys;
        self
    }

    /// Takes SHA-1 and what is as weak for good, as GnuPG 2.2 does with all
    /// but MD5.
    #[must_use]
    pub fn weak_digests(mut self, allow: bool) -> Self {
        self.weak_digests = allow;
        self
    }

    /// Verifies every signature of an object: its own first, then those of the
    /// tags that it merged.
    pub fn check(&self, object: &Object) -> Vec<Finding> {
        let mut findings = vec![self.finding(Place::Own, object.signed())];
        for (n, tag) in object.merged().iter().enumerate() {
            let place = Place::Merged(n);
            findings.push(match Object::parse(tag, Some(Kind::Tag)) {
                Ok(tag) => self.finding(place, tag.signed()),
                Err(why) => Finding::new(place, Verdict::Bad(why.to_string())),
            });
        }
        findings
    }

    fn finding(&self, place: Place, signed: Option<&Signed>) -> Finding {
        let (verdict, trailing) = match signed {
            None => (Verdict::Unsigned, 0),
            Some(signed) if signed.signature.starts_with(ssh::BEGIN.as_bytes()) => self.ssh(signed),
            Some(signed)
                if signed
                    .signature
                    .starts_with(b"-----BEGIN SIGNED MESSAGE-----") =>
            {
                let what = "signatures by X.509 certificates".to_owned();
                (Verdict::Unsupported(what), 0)
            }
            Some(signed) => self.openpgp(signed),
        };
        Finding {
            place,
            verdict,
            trailing,
        }
    }

    fn openpgp(&self, signed: &Signed) -> (Verdict, usize) {
        let detached = match Detached::parse(&signed.signature) {
            Ok(detached) => detached,
            Err(fault) => return (Verdict::of_fault(fault, Vec::new()), 0),
        };
        let ids = detached.issuers();
        let named: Vec<String> = ids.iter().map(|id| HEXLOWER.encode(id)).collect();
        let mut rings = Keyring::default();
        let (mut any, mut unusable) = (false, None);
        for candidate in self.rings.holding(&ids) {
            match candidate {
                Candidate::Ring(ring) => {
                    rings = rings.with(*ring);
                    any = true;
                }
                Candidate::Unsupported(number) => {
                    let what = format!("public-key algorithm {number}");
                    unusable = Some(Verdict::Unsupported(what));
                }
                Candidate::Unusable(why) => unusable = Some(Verdict::Policy(why)),
            }
        }
        if let (false, Some(verdict)) = (any, unusable) {
            return (verdict, detached.trailing());
        }
        let verdict = match rings.verify(detached.signature(), &signed.payload, self.now) {
            Err(fault) => Verdict::of_fault(fault, named),
            Ok(signer) => {
                let maker = Maker::OpenPgp {
                    primary: signer.primary,
                    key: signer.key,
                    created: signer.created,
                };
                match detached.weak_digest() {
                    Some(digest) if !self.weak_digests || digest.eq_ignore_ascii_case("md5") => {
                        Verdict::WeakDigest(maker, digest.to_owned())
                    }
                    _ => self.believed(maker, signer.primary),
                }
            }
        };
        (verdict, detached.trailing())
    }

    fn believed(&self, maker: Maker, primary: crate::Fingerprint) -> Verdict {
        match self.believes.map(|b| b.belief(&primary, self.now)) {
            None | Some(Belief::Trusted) => Verdict::Good(maker),
            Some(Belief::Unknown(why) | Belief::Refused(why)) => Verdict::Untrusted(maker, why),
        }
    }

    /// Git verifies SSH signatures in the name space `git`, at the date that
    /// the commit or tag bears, for whatever principal has the key.
    fn ssh(&self, signed: &Signed) -> (Verdict, usize) {
        let signature = match ssh::Signature::parse(&signed.signature) {
            Ok(signature) => signature,
            Err(fault) => return (Verdict::of_ssh(fault), 0),
        };
        let trailing = signature.trailing();
        let key = match signature.verify(ssh::NAMESPACE, &signed.payload) {
            Ok(key) => key,
            Err(fault) => return (Verdict::of_ssh(fault), trailing),
        };
        let maker = |principal: Option<String>| Maker::Ssh {
            key: key.fingerprint(),
            principal,
        };
        if self.revoked.is_some_and(|revoked| revoked.holds(&key)) {
            return (Verdict::KeyRevoked, trailing);
        }
        if self.ssh_keys.contains(&key.fingerprint()) {
            return (Verdict::Good(maker(None)), trailing);
        }
        let at = signed.dated.unwrap_or(self.now);
        let verdict = match self
            .allowed
            .map(|allowed| allowed.find(&key, ssh::NAMESPACE, at))
        {
            Some(ssh::Standing::Allowed(principal)) => Verdict::Good(maker(Some(principal))),
            Some(ssh::Standing::OutOfTime) => Verdict::KeyExpired,
            Some(ssh::Standing::OtherNamespace) => Verdict::Untrusted(
                maker(None),
                "it is allowed for other name spaces than git".to_owned(),
            ),
            Some(ssh::Standing::Authority) | Some(ssh::Standing::Unknown) | None => {
                Verdict::NoSuchKey(vec![key.fingerprint().to_string()])
            }
        };
        (verdict, trailing)
    }
}
