//! A repository with a history of its own, for a demonstration outside of any.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::path::Path;
use std::process::Stdio;

use crate::git::{Error, Git};

/// How many commits the main branch gets.
const COMMITS: u32 = 240;
/// How many files the tree ends up with.
const FILES: u32 = 60;

/// Makes a bare repository at `path`: a few hundred commits over some dozens
/// of files, with branches, merges, lightweight and annotated tags, renames
/// and removals.
///
/// The same content each time, so that two demonstrations can be compared.
///
/// # Errors
/// Where git cannot make it.
pub fn make(git: &Git, path: &Path) -> Result<(), Error> {
    std::fs::create_dir_all(path).map_err(Error::Run)?;
    let git = git.elsewhere(path);
    git.ask(["init", "-q", "--bare", "-b", "main", "."])?;
    let mut child = git
        .command(["fast-import", "--quiet"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(Error::Run)?;
    let told = child
        .stdin
        .take()
        .map_or(Ok(()), |mut stdin| stdin.write_all(&history()));
    let output = child.wait_with_output().map_err(Error::Run)?;
    if let (Err(e), true) = (told, output.status.success()) {
        return Err(Error::Run(e));
    }
    if !output.status.success() {
        return Err(Error::Failed {
            what: "fast-import".into(),
            why: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        });
    }
    Ok(())
}

/// Adds one commit on the branch that HEAD names, with a file that is new.
/// Returns the commit's id.
///
/// # Errors
/// Where git cannot make it.
pub fn add_commit(git: &Git, dir: &Path, text: &str) -> Result<String, Error> {
    let git = git.elsewhere(dir);
    let head = git.ask(["symbolic-ref", "HEAD"])?;
    let blob = {
        let mut child = git
            .command(["hash-object", "-w", "--stdin"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(Error::Run)?;
        if let Some(mut stdin) = child.stdin.take() {
            stdin.write_all(text.as_bytes()).map_err(Error::Run)?;
        }
        let output = child.wait_with_output().map_err(Error::Run)?;
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    };
    let listed = git.ask(["ls-tree", "-z", "HEAD"])?;
    let name = format!("pushed-{}.txt", &blob[..blob.len().min(10)]);
    let mut entries = listed.into_bytes();
    if !entries.is_empty() && !entries.ends_with(b"\0") {
        entries.push(0);
    }
    entries.extend_from_slice(format!("100644 blob {blob}\t{name}\0").as_bytes());
    let tree = {
        let mut child = git
            .command(["mktree", "-z"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(Error::Run)?;
        if let Some(mut stdin) = child.stdin.take() {
            stdin.write_all(&entries).map_err(Error::Run)?;
        }
        let output = child.wait_with_output().map_err(Error::Run)?;
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    };
    let mut command = git.command(["commit-tree", &tree, "-p", "HEAD", "-m", text]);
    command
        .env("GIT_AUTHOR_NAME", "gt demo")
        .env("GIT_AUTHOR_EMAIL", "demo@localhost")
        .env("GIT_COMMITTER_NAME", "gt demo")
        .env("GIT_COMMITTER_EMAIL", "demo@localhost");
    let output = command.output().map_err(Error::Run)?;
    if !output.status.success() {
        return Err(Error::Failed {
            what: "commit-tree".into(),
            why: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        });
    }
    let commit = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    git.ask(["update-ref", &head, &commit])?;
    Ok(commit)
}

/// Numbers that look random and are the same everywhere (xorshift).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: u32) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        u32::try_from(self.0 >> 33).unwrap_or(0) % end
    }

    /// A line that does not compress well, so that the reel has many pieces.
    fn line(&mut self) -> String {
        let mut line = String::with_capacity(64);
        for _ in 0..8 {
            let _ = write!(line, "{:07x} ", self.below(1 << 28));
        }
        line.push('\n');
        line
    }
}

/// The history as a stream for `git fast-import`.
fn history() -> Vec<u8> {
    let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
    let mut out = Vec::new();
    let mut files: Vec<Vec<String>> = Vec::new();
    for n in 1..=COMMITS {
        // Writing to a vector does not fail.
        let _ = commit(&mut out, &mut numbers, &mut files, n);
    }
    out.extend_from_slice(b"done\n");
    out
}

fn commit(
    out: &mut Vec<u8>,
    numbers: &mut Numbers,
    files: &mut Vec<Vec<String>>,
    n: u32,
) -> io::Result<()> {
    let time = 1_300_000_000 + u64::from(n) * 3600;
    let message = format!("step {n}: {}", numbers.line());
    writeln!(out, "commit refs/heads/main\nmark :{n}")?;
    writeln!(out, "committer Sample <sample@localhost> {time} +0000")?;
    write!(out, "data {}\n{message}\n", message.len())?;
    if n > 1 {
        writeln!(out, "from :{}", n - 1)?;
    }
    if n.is_multiple_of(20) {
        writeln!(out, "merge :{}", n - 10)?;
    }
    if files.len() < FILES as usize && !n.is_multiple_of(3) {
        let lines = 700 + numbers.below(600);
        files.push((0..lines).map(|_| numbers.line()).collect());
        put(out, files.len() - 1, files)?;
    }
    for _ in 0..1 + numbers.below(3) {
        let file = numbers.below(u32::try_from(files.len()).unwrap_or(1)) as usize;
        let at = numbers.below(u32::try_from(files[file].len()).unwrap_or(1)) as usize;
        files[file][at] = numbers.line();
        put(out, file, files)?;
    }
    if n == 100 {
        writeln!(out, "R area-0/part-0.txt area-0/first.txt")?;
    }
    if n.is_multiple_of(30) {
        writeln!(out, "reset refs/tags/light-{n}\nfrom :{n}\n")?;
        writeln!(out, "reset refs/heads/topic-{n}\nfrom :{n}\n")?;
        let word = format!("release {n}\n");
        writeln!(out, "tag v{n}\nfrom :{n}")?;
        writeln!(out, "tagger Sample <sample@localhost> {time} +0000")?;
        write!(out, "data {}\n{word}\n", word.len())?;
    }
    Ok(())
}

fn put(out: &mut Vec<u8>, file: usize, files: &[Vec<String>]) -> io::Result<()> {
    let text = files[file].concat();
    writeln!(out, "M 100644 inline area-{}/part-{file}.txt", file % 7)?;
    write!(out, "data {}\n{text}\n", text.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Env;

    #[test]
    fn is_sound_and_the_same_each_time() {
        let dir = tempfile::tempdir().unwrap();
        let env = Env::of_process();
        let git = Git::at(&env, dir.path()).elsewhere(dir.path());
        let [one, two] = ["one", "two"].map(|name| dir.path().join(name));
        for path in [&one, &two] {
            make(&git, path).unwrap();
        }
        let refs = |path: &Path| git.elsewhere(path).ask(["for-each-ref"]).unwrap();
        assert_eq!(refs(&one), refs(&two));
        assert!(refs(&one).lines().count() > 20);
        git.elsewhere(&one)
            .ask(["fsck", "--full", "--strict"])
            .unwrap();
        let before = git.elsewhere(&one).ask(["rev-parse", "HEAD"]).unwrap();
        let commit = add_commit(&git, &one, "one more\n").unwrap();
        assert_eq!(
            git.elsewhere(&one).ask(["rev-parse", "HEAD"]).unwrap(),
            commit
        );
        assert_eq!(
            git.elsewhere(&one).ask(["rev-parse", "HEAD^"]).unwrap(),
            before
        );
        git.elsewhere(&one).ask(["repack", "-adfq"]).unwrap();
        let size = std::fs::read_dir(one.join("objects/pack"))
            .unwrap()
            .map(|e| e.unwrap().metadata().unwrap().len())
            .max()
            .unwrap();
        assert!(size > 100 * 16 * 1024, "{size} bytes are too few pieces");
    }
}
