//! Who seals here: the person's own git set-up, or a key that gt keeps.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use gt_trust::charter::Delegate;
use gt_trust::key::OwnKey;
use gt_trust::seal::{Seal, Subject, Tagger, Unsigned};
use gt_trust::signer::Format;
use gt_trust::ssh::PublicKey;
use gt_trust::{Fingerprint, Keyring, ObjectFormat, Time, seal, signer};

use crate::files;
use crate::git::{self, Git};

/// Somebody who can seal.
#[derive(Debug)]
pub struct Sealer {
    hand: Hand,
    certificate: Vec<u8>,
    delegate: Delegate,
    tagger: (String, String),
}

#[derive(Debug)]
enum Hand {
    /// The program that the person's git signs with.
    Program {
        git: Git,
        program: String,
        args: Vec<String>,
        /// A file that must be there while it runs.
        _file: Option<tempfile::NamedTempFile>,
    },
    /// A key that gt made.
    Own(Box<OwnKey>),
}

impl Sealer {
    /// Finds who seals in a repository: the key that `user.signingkey` names,
    /// through the program of `gpg.format`; where there is none, the key of
    /// gt's own in `keys`, which is made at the first time.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn find(git: &Git, keys: Option<&Path>, now: Time) -> Result<Self, Error> {
        let name = git.config("user.name")?;
        let email = git.config("user.email")?;
        let tagger = (
            name.unwrap_or_else(|| "gt".to_owned()),
            email.unwrap_or_else(|| "gt@localhost".to_owned()),
        );
        let Some(key) = git.config("user.signingkey")? else {
            let keys = keys.ok_or(Error::NoPlace)?;
            let own = own_key(keys, &tagger, now)?;
            return Ok(Self {
                certificate: own
                    .certificate()
                    .map_err(|e| Error::OwnKey(keys.to_path_buf(), e.to_string()))?,
                delegate: Delegate::OpenPgp(own.fingerprint()),
                hand: Hand::Own(Box::new(own)),
                tagger,
            });
        };
        let format = Format::of_config(git.config("gpg.format")?.as_deref())
            .map_err(|e| Error::Format(e.to_string()))?;
        let program = match format {
            Format::Ssh => git.config("gpg.ssh.program")?,
            _ => match git.config("gpg.openpgp.program")? {
                Some(program) => Some(program),
                None => git.config("gpg.program")?,
            },
        };
        let program = program.unwrap_or_else(|| format.default_program().to_owned());
        match format {
            Format::Ssh => Self::by_ssh(git, program, key, tagger),
            _ => Self::by_gpg(git, program, key, tagger),
        }
    }

    fn by_gpg(
        git: &Git,
        program: String,
        key: String,
        tagger: (String, String),
    ) -> Result<Self, Error> {
        let certificate = run(git, &program, &signer::export_args(&key), b"")?;
        let keyring = Keyring::parse(&certificate, None)
            .map_err(|e| Error::Certificate(key.clone(), e.to_string()))?;
        let [fingerprint] = keyring.fingerprints()[..] else {
            return Err(Error::Certificate(
                key,
                format!(
                    "expected one certificate, got {} that can be read",
                    keyring.fingerprints().len()
                ),
            ));
        };
        Ok(Self {
            hand: Hand::Program {
                git: git.clone(),
                program,
                args: signer::sign_args(&key),
                _file: None,
            },
            certificate,
            delegate: Delegate::OpenPgp(fingerprint),
            tagger,
        })
    }

    /// As git reads `user.signingkey` for SSH: `key::` and a public key, or
    /// just one, whose secret half an agent has; else the path of a file.
    fn by_ssh(
        git: &Git,
        program: String,
        key: String,
        tagger: (String, String),
    ) -> Result<Self, Error> {
        let literal = key
            .strip_prefix("key::")
            .or_else(|| Some(key.as_str()).filter(|key| key.starts_with("ssh-")));
        let (text, file, args) = match literal {
            Some(text) => {
                let mut file = tempfile::NamedTempFile::new()?;
                writeln!(file, "{text}")?;
                let args = signer::ssh_sign_args(&file.path().to_string_lossy(), true);
                (text.to_owned(), Some(file), args)
            }
            None => {
                let path = git.config_path("user.signingkey")?.unwrap_or_default();
                let path = git.dir().join(path);
                let mut public = path.clone();
                if public.extension().is_none_or(|e| e != "pub") {
                    public.as_mut_os_string().push(".pub");
                }
                let text = match files::read(&public, 64 * 1024)? {
                    Some(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
                    None => {
                        let why = format!("{}: no such file", public.display());
                        return Err(Error::SshKey(key, why));
                    }
                };
                let args = signer::ssh_sign_args(&path.to_string_lossy(), false);
                (text, None, args)
            }
        };
        let public = PublicKey::from_words(text.trim())
            .ok_or_else(|| Error::SshKey(key, "expected an SSH public key".to_owned()))?;
        Ok(Self {
            hand: Hand::Program {
                git: git.clone(),
                program,
                args,
                _file: file,
            },
            certificate: Vec::new(),
            delegate: Delegate::Ssh(public.fingerprint()),
            tagger,
        })
    }

    /// Returns whom a charter may name as delegate.
    pub fn delegate(&self) -> &Delegate {
        &self.delegate
    }

    /// Returns the certificate, as receivers need it; nothing for an SSH key.
    pub fn certificate(&self) -> &[u8] {
        &self.certificate
    }

    /// Tells whether the key is one that gt made.
    pub fn is_own_key(&self) -> bool {
        matches!(self.hand, Hand::Own(_))
    }

    /// Seals a text, and checks the seal as a receiver would.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn seal(
        &self,
        subject: &Subject,
        format: ObjectFormat,
        text: &[u8],
        now: Time,
    ) -> Result<Seal, Error> {
        let tagger = Tagger::new(&self.tagger.0, &self.tagger.1, now)
            .map_err(|e| Error::Sign(e.to_string()))?;
        let unsigned = Unsigned::new(subject.clone(), seal::blob_oid(format, text), tagger);
        let armored = match &self.hand {
            Hand::Own(key) => key
                .sign(unsigned.payload(), now)
                .map_err(|e| Error::Sign(e.to_string()))?
                .into_bytes(),
            Hand::Program {
                git, program, args, ..
            } => run(git, program, args, unsigned.payload())?,
        };
        let keyring = Keyring::parse(&self.certificate, None)
            .map_err(|e| Error::Certificate(self.delegate.to_string(), e.to_string()))?;
        let seal = unsigned
            .with_signature(&armored)
            .map_err(|e| Error::Sign(e.to_string()))?;
        let by = seal
            .verify(&keyring, now)
            .map_err(|e| Error::Sign(e.to_string()))?;
        if by.delegate != self.delegate {
            let why = format!(
                "expected a seal by {}, got one by {}",
                self.delegate, by.delegate
            );
            return Err(Error::Sign(why));
        }
        Ok(seal)
    }
}

/// Runs the signing program with `input` and returns what it printed.
fn run(git: &Git, program: &str, args: &[String], input: &[u8]) -> Result<Vec<u8>, Error> {
    let failed = |why: String| Error::Program {
        program: program.to_owned(),
        why,
    };
    let mut child = git
        .program(program)
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|e| failed(e.to_string()))?;
    // The payload is shorter than a pipe holds, or the program reads it first.
    let told = child.stdin.take().map(|mut stdin| stdin.write_all(input));
    let output = child
        .wait_with_output()
        .map_err(|e| failed(e.to_string()))?;
    if !output.status.success() {
        let words = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(failed(if words.is_empty() {
            output.status.to_string()
        } else {
            words
        }));
    }
    match told {
        Some(Err(e)) => Err(failed(e.to_string())),
        _ => Ok(output.stdout),
    }
}

/// Returns the certificate of the key that gt keeps in a folder, if there is
/// one, and its fingerprint.
///
/// # Errors
/// [`Error::OwnKey`] where the key cannot be read.
pub fn own_certificate(keys: &Path) -> Result<Option<(Vec<u8>, Fingerprint)>, Error> {
    let path = keys.join("own.asc");
    let Some(bytes) = files::read(&path, 64 * 1024)? else {
        return Ok(None);
    };
    let key = OwnKey::import(&bytes);
    let read = key.and_then(|key| Ok((key.certificate()?, key.fingerprint())));
    read.map(Some)
        .map_err(|e| Error::OwnKey(path, e.to_string()))
}

/// Returns the key that gt keeps, which is made where there is none.
fn own_key(keys: &Path, tagger: &(String, String), now: Time) -> Result<OwnKey, Error> {
    let path = keys.join("own.asc");
    if let Some(bytes) = files::read(&path, 64 * 1024)? {
        return OwnKey::import(&bytes).map_err(|e| Error::OwnKey(path, e.to_string()));
    }
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(|e| io::Error::other(e.to_string()))?;
    let user_id = format!("{} <{}>", tagger.0, tagger.1);
    let key = OwnKey::generate(&user_id, now, seed)
        .map_err(|e| Error::OwnKey(path.clone(), e.to_string()))?;
    let armored = key
        .export()
        .map_err(|e| Error::OwnKey(path.clone(), e.to_string()))?;
    files::write_secret(&path, armored.as_bytes())?;
    Ok(key)
}

/// Why nothing can be sealed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Git's configuration cannot be asked.
    #[error(transparent)]
    Git(#[from] git::Error),
    /// The disk.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The signature format has no support yet.
    #[error("{0}")]
    Format(String),
    /// The program failed.
    #[error("signing program {program} failed: {why}")]
    Program {
        /// Its name.
        program: String,
        /// What it said.
        why: String,
    },
    /// The SSH key that `user.signingkey` names cannot be used.
    #[error("user.signingkey {0} (gpg.format ssh): {1}")]
    SshKey(String, String),
    /// What the program exported cannot be used.
    #[error("certificate of {0}: {1}")]
    Certificate(String, String),
    /// The signature is none that a receiver would take.
    #[error("seal: {0}")]
    Sign(String),
    /// The key that gt keeps cannot be used.
    #[error("{place}: {1}", place = .0.display())]
    OwnKey(PathBuf, String),
    /// There is no folder for a key.
    #[error("expected user.signingkey, or HOME or XDG_DATA_HOME for a key of gt's own, got none")]
    NoPlace,
}
