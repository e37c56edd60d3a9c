//! Plain git, shut off from the settings of whoever runs the tests.

use std::ffi::OsStr;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;

use gt_pack::ObjectId;
use gt_vfs::{Memory, ReadAt, VPath, Vfs};

/// A folder in which git runs; gone when it is dropped.
pub(crate) struct Git {
    folder: tempfile::TempDir,
    clock: std::sync::atomic::AtomicU64,
}

impl Git {
    /// Makes a repository with a work tree.
    pub(crate) fn init() -> Self {
        let git = Self::empty();
        git.run(["init", "-q", "-b", "main"]);
        git
    }

    /// Makes a bare repository.
    pub(crate) fn bare() -> Self {
        let git = Self::empty();
        git.run(["init", "-q", "--bare", "-b", "main"]);
        git
    }

    /// Makes an empty folder.
    pub(crate) fn empty() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            clock: 1_700_000_000.into(),
        }
    }

    /// Returns a pack of everything that refs lead to, with deltas by offset.
    pub(crate) fn pack_all(&self) -> Vec<u8> {
        let words = "pack-objects -q --stdout --all --revs --delta-base-offset";
        self.with(words.split(' '), b"")
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// `.git`, or the bare repository itself.
    pub(crate) fn dir(&self) -> PathBuf {
        let inside = self.path().join(".git");
        if inside.exists() {
            inside
        } else {
            self.path().to_path_buf()
        }
    }

    pub(crate) fn try_with(
        &self,
        args: impl IntoIterator<Item = impl AsRef<OsStr>>,
        input: &[u8],
    ) -> Output {
        let now = self
            .clock
            .fetch_add(60, std::sync::atomic::Ordering::Relaxed);
        let date = format!("{now} +0000");
        let mut child = Command::new("git")
            .current_dir(self.path())
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_AUTHOR_NAME", "A")
            .env("GIT_AUTHOR_EMAIL", "a@example.org")
            .env("GIT_COMMITTER_NAME", "A")
            .env("GIT_COMMITTER_EMAIL", "a@example.org")
            .env("GIT_AUTHOR_DATE", &date)
            .env("GIT_COMMITTER_DATE", &date)
            .args(["-c", "gc.auto=0", "-c", "maintenance.auto=false"])
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        std::thread::scope(|scope| {
            scope.spawn(move || {
                let _ = stdin.write_all(input);
            });
            child.wait_with_output().unwrap()
        })
    }

    /// Runs git with an input and returns what it says.
    pub(crate) fn with(
        &self,
        args: impl IntoIterator<Item = impl AsRef<OsStr>>,
        input: &[u8],
    ) -> Vec<u8> {
        let output = self.try_with(args, input);
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        output.stdout
    }

    /// Runs git and returns its first line.
    pub(crate) fn run(&self, args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> String {
        let out = String::from_utf8(self.with(args, b"")).unwrap();
        out.trim_end().to_owned()
    }

    pub(crate) fn oid(&self, name: &str) -> ObjectId {
        self.run(["rev-parse", name]).parse().unwrap()
    }

    /// Writes files and commits all.
    pub(crate) fn commit(&self, files: &[(&str, &str)]) -> ObjectId {
        for (name, text) in files {
            let path = self.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        self.run(["add", "-A"]);
        self.run(["commit", "-q", "--allow-empty", "-m", "change"]);
        self.oid("HEAD")
    }

    /// Writes an object that git need not like.
    pub(crate) fn object(&self, kind: &str, content: &[u8]) -> ObjectId {
        let out = self.with(
            ["hash-object", "-w", "--literally", "-t", kind, "--stdin"],
            content,
        );
        String::from_utf8(out).unwrap().trim().parse().unwrap()
    }

    /// Packs exactly these objects.
    pub(crate) fn pack(&self, oids: &[ObjectId]) -> Vec<u8> {
        let list: String = oids.iter().map(|oid| format!("{oid}\n")).collect();
        self.with(["pack-objects", "-q", "--stdout"], list.as_bytes())
    }

    /// Packs what `revs` reach (`^` excludes), thin.
    pub(crate) fn thin_pack(&self, revs: &[&str]) -> Vec<u8> {
        let list: String = revs.iter().map(|rev| format!("{rev}\n")).collect();
        self.with(
            [
                "pack-objects",
                "-q",
                "--stdout",
                "--revs",
                "--thin",
                "--delta-base-offset",
            ],
            list.as_bytes(),
        )
    }
}

/// Text that is long enough for git to make deltas of.
pub(crate) fn text(seed: u32, lines: u32) -> String {
    let mut state = seed;
    (0..lines)
        .map(|n| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            format!("line {n} of {seed} says {state:08x}\n")
        })
        .collect()
}

/// Bytes as a file.
pub(crate) fn file(bytes: impl Into<Vec<u8>>) -> Arc<dyn ReadAt> {
    let memory = Memory::new();
    let path = VPath::parse(b"file").unwrap();
    memory.insert(path.clone(), bytes.into());
    Arc::from(memory.open(&path).unwrap())
}
