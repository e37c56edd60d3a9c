//! `gt verify`: who signed, and is it believed?

use std::io::{Read as _, Write as _};
use std::path::Path;

use gt_trust::belief::{Belief, Believes};
use gt_trust::charter::Delegate;
use gt_trust::object::{Checker, Finding, Grade, Kind, Maker, Object, Place, Rings, Verdict};
use gt_trust::ssh::{AllowedSigners, RevokedKeys};
use gt_trust::{Charter, Fingerprint, Time, limits};
use serde_json::{Value, json};

use super::{Code, Failure, git_at, unusable};
use crate::Env;
use crate::args::Verify;
use crate::git::Git;
use crate::state::State;
use crate::zone::Zone;
use crate::{files, signing, when};

/// Verifies and prints what was found; the worst answer is the exit code.
///
/// # Errors
/// [`Failure::Verdict`] where it is not good, or could not be looked at.
pub fn run(env: &mut Env, words: &Verify) -> Result<(), Failure> {
    let now = match &words.at {
        Some(text) => when::read(text)
            .ok_or_else(|| unusable(format!("--at: expected a moment, got {text:?}")))?,
        None => Time((env.now)()),
    };
    let mut sources = Sources::of_words(env, words)?;
    let mut judged = Vec::new();
    let mut against = None;
    match &words.object {
        Some(path) => {
            let bytes = read_object(env, path)?;
            let kind = words.kind.as_deref().map(|kind| match kind {
                "tag" => Kind::Tag,
                _ => Kind::Commit,
            });
            let name = path.display().to_string();
            judged.push((name, sources.check(&bytes, kind, now)));
        }
        None => {
            let git = git_at(env, words.repository.as_deref());
            let state = State::of(&git.common_dir().map_err(unusable)?);
            sources.of_repository(env, &git, &state)?;
            for what in &words.what {
                let (kind, bytes) = object_of(&git, what)?;
                judged.push((what.clone(), sources.check(&bytes, Some(kind), now)));
            }
            if words.policy {
                against = super::policy::check(env, &git, &state, &words.what, now)?;
            }
        }
    }
    let code = judged
        .iter()
        .flat_map(|(_, found)| found.iter().filter(|f| f.place == Place::Own))
        .filter_map(|finding| code_of(finding.verdict.grade()))
        .min();
    show(env, words.json, &judged, code, against.as_ref()).map_err(unusable)?;
    match code {
        None => against.map_or(Ok(()), Err),
        Some(code) => {
            let (name, finding) = worst(&judged, code);
            Err(Failure::Verdict(code, format!("{name}: {finding}")))
        }
    }
}

/// Returns the words of the first finding with this code.
fn worst(judged: &[(String, Vec<Finding>)], code: Code) -> (&str, &Verdict) {
    judged
        .iter()
        .flat_map(|(name, found)| found.iter().map(move |f| (name.as_str(), &f.verdict)))
        .find(|(_, verdict)| code_of(verdict.grade()) == Some(code))
        .unwrap_or(("", &Verdict::Unsigned))
}

fn code_of(grade: Grade) -> Option<Code> {
    match grade {
        Grade::Good => None,
        Grade::Unsupported => Some(Code::Unsupported),
        Grade::NotTrusted => Some(Code::NotTrusted),
        Grade::Policy => Some(Code::Policy),
        Grade::Bad => Some(Code::Bad),
    }
}

/// Keys, and who is trusted among their holders.
pub(super) struct Sources {
    rings: Rings,
    allowed: Option<AllowedSigners>,
    revoked: Option<RevokedKeys>,
    trusted: Trusted,
    weak_digests: bool,
}

/// Whose keys are trusted.
enum Trusted {
    /// Every key of the keyrings that were named.
    All,
    /// These alone, as the person said, or the charter.
    These(Vec<Fingerprint>, &'static str),
}

impl Believes for Trusted {
    fn belief(&self, primary: &Fingerprint, _: Time) -> Belief {
        match self {
            Self::All => Belief::Trusted,
            Self::These(keys, _) if keys.contains(primary) => Belief::Trusted,
            Self::These(_, why) => Belief::Unknown((*why).to_owned()),
        }
    }
}

impl Sources {
    fn of_words(env: &Env, words: &Verify) -> Result<Self, Failure> {
        let mut rings = Rings::default();
        for path in &words.keyrings {
            let bytes = read_file(env, path, limits::RINGS)?;
            rings
                .add(&bytes)
                .map_err(|e| unusable(format!("{}: {e}", path.display())))?;
        }
        let mut named = Vec::new();
        for signer in &words.signers {
            let plain = signer.replace(' ', "").to_ascii_lowercase();
            named.push(plain.parse().map_err(unusable)?);
        }
        let trusted = match named.is_empty() {
            true => Trusted::All,
            false => Trusted::These(named, "it is not one of those named by --signer"),
        };
        let mut sources = Self {
            rings,
            allowed: None,
            revoked: None,
            trusted,
            weak_digests: !words.refuse_weak_digests,
        };
        if let Some(path) = &words.allowed_signers {
            sources.allow(env, path)?;
        }
        if let Some(path) = &words.revoked_keys {
            sources.revoke(env, path)?;
        }
        Ok(sources)
    }

    fn allow(&mut self, env: &Env, path: &Path) -> Result<(), Failure> {
        let bytes = read_file(env, path, limits::SIGNERS)?;
        let zone = Zone::of(env);
        let to_utc = |local| zone.to_utc(local);
        self.allowed = Some(AllowedSigners::parse_in(&bytes, &to_utc).map_err(unusable)?);
        Ok(())
    }

    fn revoke(&mut self, env: &Env, path: &Path) -> Result<(), Failure> {
        let bytes = read_file(env, path, limits::SIGNERS)?;
        let revoked =
            RevokedKeys::parse(&bytes).map_err(|e| unusable(format!("{}: {e}", path.display())))?;
        self.revoked = Some(revoked);
        Ok(())
    }

    /// Adds what is at hand in a repository: the certificates of its
    /// delegates, the person's own key, the files that git's configuration
    /// names. Where no keyring was named, delegates and the person alone are
    /// trusted.
    fn of_repository(&mut self, env: &Env, git: &Git, state: &State) -> Result<(), Failure> {
        let mut trusted = Vec::new();
        let mut held = state.remembered_keyrings().map_err(unusable)?;
        held.extend(state.keyring().map_err(unusable)?);
        for keyring in held {
            self.rings.add(&keyring).map_err(unusable)?;
        }
        if let Some(charter) = state.charter().map_err(unusable)? {
            trusted.extend(delegates(&charter.text));
        }
        trusted.extend(super::trust::believed(env, &mut self.rings)?);
        if let Some(keys) = env.data_folder().map(|folder| folder.join("keys"))
            && let Some(own) = signing::own_certificate(&keys).map_err(unusable)?
        {
            self.rings.add(&own.0).map_err(unusable)?;
            trusted.push(own.1);
        }
        for (key, is_revocation) in [
            ("gpg.ssh.allowedSignersFile", false),
            ("gpg.ssh.revocationFile", true),
        ] {
            let given = match is_revocation {
                false => self.allowed.is_some(),
                true => self.revoked.is_some(),
            };
            let path = git.config_path(key).map_err(unusable)?;
            match path {
                Some(path) if !given && is_revocation => self.revoke(env, &path)?,
                Some(path) if !given => self.allow(env, &path)?,
                _ => {}
            }
        }
        if matches!(self.trusted, Trusted::All) && !trusted.is_empty() {
            let why =
                "it is no delegate, not your own key, and your web of trust does not vouch for it";
            self.trusted = Trusted::These(trusted, why);
        }
        Ok(())
    }

    /// Verifies every signature of an object.
    pub(super) fn check(&self, bytes: &[u8], kind: Option<Kind>, now: Time) -> Vec<Finding> {
        let object = match Object::parse(bytes, kind) {
            Ok(object) => object,
            Err(why) => return vec![Finding::new(Place::Own, Verdict::Bad(why.to_string()))],
        };
        Checker::new(&self.rings, now)
            .allowed(self.allowed.as_ref())
            .revoked(self.revoked.as_ref())
            .believes(Some(&self.trusted))
            .weak_digests(self.weak_digests)
            .check(&object)
    }
}

fn delegates(charter: &Charter) -> impl Iterator<Item = Fingerprint> + '_ {
    charter.delegates.iter().filter_map(Delegate::openpgp)
}

fn read_object(env: &mut Env, path: &Path) -> Result<Vec<u8>, Failure> {
    if path != Path::new("-") {
        return read_file(env, path, limits::OBJECT);
    }
    let mut bytes = Vec::new();
    let mut input = (&mut env.stdin).take(limits::OBJECT as u64 + 1);
    input.read_to_end(&mut bytes).map_err(unusable)?;
    Ok(bytes)
}

fn read_file(env: &Env, path: &Path, limit: usize) -> Result<Vec<u8>, Failure> {
    let path = env.cwd.join(path);
    let shown = path.display();
    match files::read(&path, limit as u64) {
        Ok(Some(bytes)) => Ok(bytes),
        Ok(None) => Err(unusable(format!("{shown}: no such file"))),
        Err(e) => Err(unusable(format!("{shown}: {e}"))),
    }
}

/// Returns the commit or tag that a person names.
fn object_of(git: &Git, what: &str) -> Result<(Kind, Vec<u8>), Failure> {
    // What begins with a dash is no revision.
    let oid = git
        .ask(["rev-parse", "--verify", "--quiet", "--end-of-options", what])
        .map_err(|_| unusable(format!("{what}: expected a commit, tag or ref, got none")))?;
    let kind = git.ask(["cat-file", "-t", &oid]).map_err(unusable)?;
    let bytes = git.bytes(["cat-file", &kind, &oid]).map_err(unusable)?;
    match kind.as_str() {
        "commit" => Ok((Kind::Commit, bytes)),
        "tag" => Ok((Kind::Tag, bytes)),
        other => Err(unusable(format!(
            "{what}: expected a commit or tag, got a {other}"
        ))),
    }
}

fn show(
    env: &mut Env,
    as_json: bool,
    judged: &[(String, Vec<Finding>)],
    code: Option<Code>,
    against: Option<&Failure>,
) -> std::io::Result<()> {
    let out = &mut env.stdout;
    if as_json {
        let objects: Vec<Value> = judged.iter().map(|(name, found)| {
            json!({"name": name, "signatures": found.iter().map(to_json).collect::<Vec<_>>()})
        }).collect();
        let policy = against.map(Failure::words);
        let code = match code {
            Some(code) => code as u8,
            None => against.map_or(0, Failure::code),
        };
        let value = json!({"code": code, "objects": objects, "policy": policy});
        return writeln!(out, "{value}");
    }
    for (name, found) in judged {
        for finding in found {
            let place = match finding.place {
                Place::Merged(n) => format!(" (merged tag {})", n + 1),
                _ => String::new(),
            };
            writeln!(out, "{name}{place}: {}", finding.verdict)?;
            if finding.trailing > 0 {
                writeln!(
                    out,
                    "{name}{place}: {} bytes after the signature are not signed",
                    finding.trailing
                )?;
            }
        }
    }
    Ok(())
}

fn to_json(finding: &Finding) -> Value {
    let mut value = json!({
        "place": match finding.place {
            Place::Merged(n) => format!("mergetag {n}"),
            _ => "own".to_owned(),
        },
        "verdict": finding.verdict.word(),
        "words": finding.verdict.to_string(),
        "unsigned-bytes": finding.trailing,
    });
    match finding.verdict.maker() {
        Some(Maker::OpenPgp {
            primary,
            key,
            created,
            ..
        }) => {
            value["primary"] = json!(primary.to_string());
            value["key"] = json!(key.to_string());
            value["created"] = json!(created.0);
        }
        Some(Maker::Ssh { key, principal, .. }) => {
            value["key"] = json!(key.to_string());
            value["principal"] = json!(principal);
        }
        _ => {}
    }
    value
}
