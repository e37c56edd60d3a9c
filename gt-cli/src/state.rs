//! What gt remembers of a repository: plain files in `gt/` of its common
//! directory, each written whole or not at all.
//!
//! ```text
//! gt/charters/<epoch>                     a charter, byte for byte
//! gt/charters/<epoch>.<n>.seal            its seals
//! gt/statements/<identity>                a statement, byte for byte
//! gt/statements/<identity>.<n>.seal       its seals
//! gt/mark                                 the highest statement accepted
//! gt/keyring                              certificates of the delegates
//! gt/evidence/<identity>-<identity>       two statements that one key sealed
//! gt/address                              the address that was cloned
//! gt/patterns                             refs published beside branches and tags
//! gt/mirror                               there: the refs follow the statement
//! gt/applied                              the statement whose refs a mirror has
//! gt/reels/, gt/partial/, gt/resume/      reels and pieces (gt-pack, gt-wire)
//! ```

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use gt_trust::{Charter, Identity, Mark, Rid, Statement, Watermark, limits};
use rustix::fs::{FlockOperation, flock};

use crate::files;

/// How many statements are kept behind the newest, for peers that lag.
const KEPT: usize = 16;
/// How many seals of one text are read; a charter has at most 64 delegates.
const SEALS: usize = 64;
/// How long another gt may hold the lock.
const PATIENCE: Duration = Duration::from_secs(30);

/// The folder `gt/` of one repository.
#[derive(Clone, Debug)]
pub struct State {
    common_dir: PathBuf,
    dir: PathBuf,
}

/// A text that was sealed, and its seals.
#[derive(Clone, Debug)]
pub struct Sealed<T> {
    /// The text.
    pub text: T,
    /// The tag objects.
    pub seals: Vec<Vec<u8>>,
}

/// Holds the repository's gt state for one writer; dropping it lets go.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl State {
    /// Returns the state of a repository by its common directory; nothing is
    /// read or made yet.
    pub fn of(common_dir: &Path) -> Self {
        Self {
            common_dir: common_dir.to_path_buf(),
            dir: common_dir.join("gt"),
        }
    }

    /// Returns the repository's common directory.
    pub fn common_dir(&self) -> &Path {
        &self.common_dir
    }

    /// Returns the folder for partial reels.
    pub fn partial(&self) -> PathBuf {
        self.dir.join("partial")
    }

    /// Returns the folder for resume data.
    pub fn resume(&self) -> PathBuf {
        self.dir.join("resume")
    }

    /// Returns the file that changes whenever a statement is accepted.
    pub fn mark_file(&self) -> PathBuf {
        self.dir.join("mark")
    }

    /// Waits until no other gt writes, for a bounded time.
    ///
    /// # Errors
    /// [`Error::Busy`] where another one goes on writing.
    pub fn lock(&self) -> Result<Lock, Error> {
        fs::create_dir_all(&self.dir)?;
        let path = self.dir.join("lock");
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)?;
        let until = Instant::now() + PATIENCE;
        loop {
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Ok(Lock { _file: file }),
                Err(rustix::io::Errno::WOULDBLOCK) if Instant::now() < until => {
                    std::thread::sleep(Duration::from_millis(50));
                }
                Err(rustix::io::Errno::WOULDBLOCK) => return Err(Error::Busy(path)),
                Err(e) => return Err(io::Error::from(e).into()),
            }
        }
    }

    /// Waits for the right to move refs, and tells whether whoever had it last
    /// was killed while doing so. [`Moving::done`] gives it back.
    ///
    /// # Errors
    /// What the disk says.
    pub fn begin_moving(&self) -> Result<Moving, Error> {
        fs::create_dir_all(&self.dir)?;
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(self.dir.join("moving"))?;
        flock(&file, FlockOperation::LockExclusive).map_err(io::Error::from)?;
        let killed = file.metadata()?.len() > 0;
        (&file).write_all(b"moving\n")?;
        Ok(Moving { file, killed })
    }

    /// Returns the first charter; `None` where the repository was neither
    /// published nor cloned with gt.
    ///
    /// # Errors
    /// [`Error::Damaged`] where the file is no charter any more.
    pub fn charter(&self) -> Result<Option<Sealed<Charter>>, Error> {
        let path = self.dir.join("charters/0");
        let Some(bytes) = files::read(&path, limits::CHARTER as u64)? else {
            return Ok(None);
        };
        let text = Charter::parse(&bytes).map_err(|e| Error::damaged(&path, e))?;
        let seals = read_seals(&path)?;
        Ok(Some(Sealed { text, seals }))
    }

    /// Returns what the repository is called, if it was published or cloned
    /// with gt.
    ///
    /// # Errors
    /// As [`charter`](Self::charter).
    pub fn rid(&self) -> Result<Option<Rid>, Error> {
        Ok(self.charter()?.map(|c| Rid::of_charter(c.text.as_bytes())))
    }

    /// Keeps a charter of epoch 0 and its seals.
    ///
    /// # Errors
    /// What the disk says.
    pub fn keep_charter(&self, text: &[u8], seals: &[Vec<u8>]) -> Result<(), Error> {
        let path = self.dir.join("charters/0");
        write_seals(&path, seals)?;
        Ok(files::write(&path, text)?)
    }

    /// Returns the mark, which never goes back by itself.
    ///
    /// # Errors
    /// [`Error::Damaged`] where the file is no mark any more: it is never
    /// taken for absent.
    pub fn watermark(&self) -> Result<Option<Watermark>, Error> {
        let path = self.mark_file();
        match files::read(&path, 4096)? {
            Some(bytes) => Watermark::parse(&bytes)
                .map(Some)
                .map_err(|e| Error::damaged(&path, e)),
            None => Ok(None),
        }
    }

    /// Returns the statement of the mark.
    ///
    /// # Errors
    /// [`Error::Damaged`] where there is a mark and no such statement.
    pub fn accepted(&self) -> Result<Option<Sealed<Statement>>, Error> {
        let Some(watermark) = self.watermark()? else {
            return Ok(None);
        };
        match self.statement(&watermark.mark.identity)? {
            Some(sealed) => Ok(Some(sealed)),
            None => Err(Error::damaged(
                &self.mark_file(),
                format!("no statement {}", watermark.mark.identity),
            )),
        }
    }

    /// Returns a statement that is kept.
    ///
    /// # Errors
    /// [`Error::Damaged`] where the file holds another text.
    pub fn statement(&self, identity: &Identity) -> Result<Option<Sealed<Statement>>, Error> {
        let path = self.dir.join("statements").join(identity.to_string());
        let Some(bytes) = files::read(&path, limits::STATEMENT as u64)? else {
            return Ok(None);
        };
        if Identity::of(&bytes) != *identity {
            return Err(Error::damaged(&path, "its bytes have another identity"));
        }
        let text = Statement::parse(&bytes).map_err(|e| Error::damaged(&path, e))?;
        let seals = read_seals(&path)?;
        Ok(Some(Sealed { text, seals }))
    }

    /// Keeps a statement, its seals and the certificates, and then moves the
    /// mark: after this returns, a loss of power does not bring the older one
    /// back.
    ///
    /// # Errors
    /// What the disk says; the mark is as it was then.
    pub fn accept(
        &self,
        statement: &[u8],
        seals: &[Vec<u8>],
        keyring: &[u8],
        watermark: &Watermark,
    ) -> Result<(), Error> {
        let path = self
            .dir
            .join("statements")
            .join(watermark.mark.identity.to_string());
        write_seals(&path, seals)?;
        files::write(&path, statement)?;
        if !keyring.is_empty() && self.keyring()?.as_deref() != Some(keyring) {
            files::write(&self.dir.join("keyring"), keyring)?;
        }
        files::write(&self.mark_file(), &watermark.to_bytes())?;
        self.forget_old(&watermark.mark)
    }

    /// Removes statements that nobody is likely to ask for any more.
    fn forget_old(&self, newest: &Mark) -> Result<(), Error> {
        let folder = self.dir.join("statements");
        let mut texts = Vec::new();
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.len() == 64 && name != newest.identity.to_string() {
                texts.push((entry.metadata()?.modified()?, name));
            }
        }
        texts.sort();
        for (_, name) in texts.iter().rev().skip(KEPT) {
            let path = folder.join(name);
            for n in 0..SEALS {
                if fs::remove_file(seal_path(&path, n)).is_err() {
                    break;
                }
            }
            fs::remove_file(&path)?;
        }
        Ok(())
    }

    /// Returns the certificates of the delegates.
    ///
    /// # Errors
    /// What the disk says.
    pub fn keyring(&self) -> Result<Option<Vec<u8>>, Error> {
        Ok(files::read(
            &self.dir.join("keyring"),
            limits::CERTIFICATES as u64,
        )?)
    }

    /// Keeps the certificates of the delegates.
    ///
    /// # Errors
    /// What the disk says.
    pub fn keep_keyring(&self, keyring: &[u8]) -> Result<(), Error> {
        Ok(files::write(&self.dir.join("keyring"), keyring)?)
    }

    /// Keeps the proof that a delegate sealed two statements of one sequence.
    ///
    /// # Errors
    /// What the disk says.
    pub fn keep_evidence(&self, name: &str, bytes: &[u8]) -> Result<(), Error> {
        Ok(files::write(&self.dir.join("evidence").join(name), bytes)?)
    }

    /// Lists the evidence that is kept, by file name.
    ///
    /// # Errors
    /// What the disk says.
    pub fn evidence(&self) -> Result<Vec<String>, Error> {
        let mut names = Vec::new();
        match fs::read_dir(self.dir.join("evidence")) {
            Ok(entries) => {
                for entry in entries {
                    names.push(entry?.file_name().to_string_lossy().into_owned());
                }
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            Err(e) => return Err(e.into()),
        }
        names.sort();
        Ok(names)
    }

    /// Returns the address that was cloned, as it was typed.
    ///
    /// # Errors
    /// What the disk says.
    pub fn address(&self) -> Result<Option<String>, Error> {
        self.line("address")
    }

    /// Keeps the address that was cloned.
    ///
    /// # Errors
    /// What the disk says.
    pub fn keep_address(&self, address: &str) -> Result<(), Error> {
        Ok(files::write(
            &self.dir.join("address"),
            format!("{address}\n").as_bytes(),
        )?)
    }

    /// Returns the ref patterns that the person added to the published set.
    ///
    /// # Errors
    /// What the disk says.
    pub fn patterns(&self) -> Result<Vec<String>, Error> {
        Ok(self
            .line("patterns")?
            .map(|text| text.lines().map(str::to_owned).collect())
            .unwrap_or_default())
    }

    /// Keeps the ref patterns of the published set.
    ///
    /// # Errors
    /// What the disk says.
    pub fn keep_patterns(&self, patterns: &[String]) -> Result<(), Error> {
        Ok(files::write(
            &self.dir.join("patterns"),
            format!("{}\n", patterns.join("\n")).as_bytes(),
        )?)
    }

    /// Tells whether the refs of the repository are the statement's.
    pub fn is_mirror(&self) -> bool {
        self.dir.join("mirror").exists()
    }

    /// Makes the refs of the repository follow the statement.
    ///
    /// # Errors
    /// What the disk says.
    pub fn make_mirror(&self) -> Result<(), Error> {
        Ok(files::write(&self.dir.join("mirror"), b"")?)
    }

    /// Returns the statement whose refs a mirror has.
    ///
    /// # Errors
    /// [`Error::Damaged`] where the file holds no identity.
    pub fn applied(&self) -> Result<Option<Identity>, Error> {
        match self.line("applied")? {
            Some(text) => text
                .parse()
                .map(Some)
                .map_err(|e| Error::damaged(&self.dir.join("applied"), e)),
            None => Ok(None),
        }
    }

    /// Keeps which statement's refs a mirror has.
    ///
    /// # Errors
    /// What the disk says.
    pub fn keep_applied(&self, identity: &Identity) -> Result<(), Error> {
        Ok(files::write(
            &self.dir.join("applied"),
            format!("{identity}\n").as_bytes(),
        )?)
    }

    fn line(&self, name: &str) -> Result<Option<String>, Error> {
        let path = self.dir.join(name);
        let Some(bytes) = files::read(&path, 64 * 1024)? else {
            return Ok(None);
        };
        let text = String::from_utf8(bytes).map_err(|e| Error::damaged(&path, e))?;
        Ok(Some(text.trim_end().to_owned()).filter(|t| !t.is_empty()))
    }
}

/// The right to move the refs of a mirror, held by one gt at a time.
#[derive(Debug)]
pub struct Moving {
    file: File,
    killed: bool,
}

impl Moving {
    /// Tells whether whoever moved refs last was killed while doing so.
    pub fn was_killed(&self) -> bool {
        self.killed
    }

    /// Says that no ref is left half moved.
    ///
    /// # Errors
    /// What the disk says.
    pub fn done(self) -> Result<(), Error> {
        Ok(self.file.set_len(0)?)
    }
}

fn seal_path(text: &Path, n: usize) -> PathBuf {
    let mut name = text.file_name().unwrap_or_default().to_os_string();
    name.push(format!(".{n}.seal"));
    text.with_file_name(name)
}

fn read_seals(text: &Path) -> Result<Vec<Vec<u8>>, Error> {
    let mut seals = Vec::new();
    while seals.len() < SEALS {
        match files::read(&seal_path(text, seals.len()), limits::SEAL as u64)? {
            Some(seal) => seals.push(seal),
            None => break,
        }
    }
    Ok(seals)
}

fn write_seals(text: &Path, seals: &[Vec<u8>]) -> Result<(), Error> {
    for (n, seal) in seals.iter().enumerate() {
        files::write(&seal_path(text, n), seal)?;
    }
    Ok(())
}

/// Why the state cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The disk.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// A file does not hold what gt wrote.
    #[error("{path}: damaged: {why}", path = .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// Another gt is writing.
    #[error("{} is held by another gt; it still was after 30 s", .0.display())]
    Busy(PathBuf),
}

impl Error {
    fn damaged(path: &Path, why: impl ToString) -> Self {
        Self::Damaged {
            path: path.to_path_buf(),
            why: why.to_string(),
        }
    }
}
