//! What gt remembers of a repository: plain files in `gt/` of its common
//! directory, each written whole or not at all.
//!
//! ```text
//! gt/charters/<epoch>                     a charter, byte for byte
//! gt/charters/<epoch>.<n>.seal            its seals
//! gt/charters.lock                        held while seals are added to one
//! gt/statements/<identity>                a statement, byte for byte
//! gt/statements/<identity>.<n>.seal       its seals
//! gt/rivals/<identity>                    a charter as valid as the one of its epoch
//! gt/pin                                  the charter that the person said holds
//! gt/proposals/<identity>                 statements and charters that want more seals
//! gt/sealed                               what was sealed here, one line for each place
//! gt/ruled                                whose objects were held against the rules
//! gt/mark                                 the highest statement accepted
//! gt/mark.lock                            held while the mark is compared and moved
//! gt/keyring                              certificates of the delegates
//! gt/keyrings/<sha256>                    earlier ones that revoke what it does not
//! gt/evidence/<who>-<identity>-<identity> two statements that one key sealed; who:
//!                                         16 digits of the SHA-256 of the delegate
//! gt/address                              the address that was cloned
//! gt/patterns                             refs published beside branches and tags
//! gt/mirror                               there: the refs follow the statement
//! gt/applied                              the statement whose refs a mirror has
//! gt/reels/, gt/partial/, gt/resume/      reels and pieces (gt-pack, gt-wire)
//! ```

mod charters;
mod keys;
mod proposals;

pub use proposals::Stamp;

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use gt_trust::{Identity, Mark, Statement, Watermark, limits};
use rustix::fs::{FlockOperation, flock};

use crate::files;

/// How many statements are kept behind the newest at least, for peers that lag.
const KEPT: usize = 16;
/// How many bytes of statements are kept beyond these, so that `gt log` can tell
/// more: of a small repository some thousands of them.
const KEPT_BYTES: u64 = 8 << 20;
/// How many are kept in any case: the folder is listed at each push.
const KEPT_MOST: usize = 4096;
/// How many seals of one text are read; a charter has at most 64 delegates,
/// and those of the one before seal it too.
const SEALS: usize = 128;
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
        self.lock_file("lock")
    }

    /// Holds one lock file of several.
    fn lock_file(&self, name: &str) -> Result<Lock, Error> {
        fs::create_dir_all(&self.dir)?;
        let path = self.dir.join(name);
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

    /// Returns the statement whose objects were last held against the rules
    /// for refs.
    ///
    /// # Errors
    /// [`Error::Damaged`] where the file holds no identity.
    pub fn ruled(&self) -> Result<Option<Identity>, Error> {
        match self.line("ruled")? {
            Some(text) => text
                .parse()
                .map(Some)
                .map_err(|e| Error::damaged(&self.dir.join("ruled"), e)),
            None => Ok(None),
        }
    }

    /// Keeps which statement's objects were held against the rules.
    ///
    /// # Errors
    /// What the disk says.
    pub fn keep_ruled(&self, identity: &Identity) -> Result<(), Error> {
        Ok(files::write(
            &self.dir.join("ruled"),
            format!("{identity}\n").as_bytes(),
        )?)
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
    /// Another gt may have accepted one since this one was judged: the mark
    /// never goes back, and its clock neither. Returns whether the mark is
    /// that of this statement now; where not, nothing was kept.
    ///
    /// # Errors
    /// What the disk says; the mark is as it was then.
    pub fn accept(
        &self,
        statement: &[u8],
        seals: &[Vec<u8>],
        keyring: &[u8],
        watermark: &Watermark,
    ) -> Result<bool, Error> {
        // Not the lock of transfers, which lasts as long as they do.
        let _lock = self.lock_file("mark.lock")?;
        let mut watermark = *watermark;
        if let Some(there) = self.watermark()? {
            if there.mark >= watermark.mark {
                return Ok(there.mark == watermark.mark);
            }
            watermark.clock = watermark.clock.max(there.clock);
        }
        let path = self
            .dir
            .join("statements")
            .join(watermark.mark.identity.to_string());
        write_seals(&path, seals)?;
        files::write(&path, statement)?;
        if !keyring.is_empty() {
            self.replace_keyring(keyring)?;
        }
        files::write(&self.mark_file(), &watermark.to_bytes())?;
        self.forget_old(&watermark.mark)?;
        Ok(true)
    }

    /// Removes statements that nobody is likely to ask for any more.
    fn forget_old(&self, newest: &Mark) -> Result<(), Error> {
        let folder = self.dir.join("statements");
        let mut texts = Vec::new();
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.len() == 64 && name != newest.identity.to_string() {
                let met = entry.metadata()?;
                texts.push((met.modified()?, name, met.len()));
            }
        }
        texts.sort();
        let mut bytes: u64 = 0;
        let beyond = texts.iter().rev().enumerate().filter(|(n, (_, _, len))| {
            bytes += len;
            *n >= KEPT && (bytes > KEPT_BYTES || *n >= KEPT_MOST)
        });
        for (_, (_, name, _)) in beyond {
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

/// Returns the sorted names in a folder; none where there is no folder.
fn names(folder: &Path) -> Result<Vec<String>, Error> {
    let mut names = Vec::new();
    match fs::read_dir(folder) {
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

#[cfg(test)]
mod tests {
    use gt_trust::{Charter, Epoch, Sequence, Time};

    use super::*;

    fn accept(state: &State, text: &[u8], sequence: u64, clock: u64) -> bool {
        let mark = Mark::new(Epoch(0), Sequence(sequence), Identity::of(text));
        let watermark = Watermark::new(mark, Time(clock));
        state.accept(text, &[], text, &watermark).unwrap()
    }

    /// Two processes judged against the same mark; the slower one must not
    /// bring the older statement back.
    #[test]
    fn the_mark_never_goes_back() {
        let dir = tempfile::tempdir().unwrap();
        let state = State::of(dir.path());
        assert!(accept(&state, b"two", 2, 20));
        assert!(!accept(&state, b"one", 1, 30));
        assert!(accept(&state, b"two", 2, 20), "it is there already");
        let held = state.watermark().unwrap().unwrap();
        assert_eq!(held.mark.sequence, Sequence(2));
        assert_eq!(state.keyring().unwrap().unwrap(), b"two");
        // Its clock does not go back either.
        assert!(accept(&state, b"three", 3, 10));
        assert_eq!(state.watermark().unwrap().unwrap().clock, Time(20));
    }

    #[test]
    fn many_writers_end_at_the_highest() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path();
        std::thread::scope(|scope| {
            for n in 0..4_u64 {
                scope.spawn(move || {
                    let state = State::of(path);
                    for m in 0..8 {
                        let sequence = (m * 7 + n * 5) % 32;
                        accept(&state, &sequence.to_be_bytes(), sequence, 1);
                    }
                });
            }
        });
        let highest = (0..4_u64).flat_map(|n| (0..8).map(move |m| (m * 7 + n * 5) % 32));
        let held = State::of(path).watermark().unwrap().unwrap();
        assert_eq!(held.mark.sequence.0, highest.max().unwrap());
    }

    /// A key revoked once stays revoked when a later keyring says nothing of
    /// it; what is served is what the statement names.
    #[test]
    fn a_revocation_left_out_later_stays() {
        let dir = tempfile::tempdir().unwrap();
        let state = State::of(dir.path());
        let key = gt_trust::key::OwnKey::generate("a", Time(1), [7; 32]).unwrap();
        let delegate = gt_trust::charter::Delegate::OpenPgp(key.fingerprint());
        let format = gt_trust::ObjectFormat::Sha1;
        let charter = Charter::found("a", [1; 32], format, delegate).unwrap();
        state.keep_charter(&charter, &[]).unwrap();
        let silent = key.certificate().unwrap();
        // A signature packet of version 4 and the type of key revocations.
        let revoked = [&silent[..], &[0xc2, 3, 4, 0x20, 9]].concat();
        let take = |sequence: u64, keyring: &[u8]| {
            let text = sequence.to_be_bytes();
            let mark = Mark::new(Epoch(0), Sequence(sequence), Identity::of(&text));
            let watermark = Watermark::new(mark, Time(1));
            assert!(state.accept(&text, &[], keyring, &watermark).unwrap());
            assert_eq!(state.keyring().unwrap().unwrap(), keyring);
        };
        take(1, &silent);
        take(2, &revoked);
        assert!(state.remembered_keyrings().unwrap().is_empty());
        take(3, &silent);
        assert_eq!(state.remembered_keyrings().unwrap(), [&revoked[..]]);
        // Once is enough.
        take(4, &revoked);
        take(5, &silent);
        assert_eq!(state.remembered_keyrings().unwrap(), [&revoked[..]]);
    }

    /// A transfer holds the other lock for as long as it lasts.
    #[test]
    fn a_transfer_does_not_hold_the_mark_up() {
        let dir = tempfile::tempdir().unwrap();
        let state = State::of(dir.path());
        let _transfer = state.lock().unwrap();
        assert!(accept(&state, b"one", 1, 1));
    }
}
