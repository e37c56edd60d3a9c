//! The suite that every [`Vfs`] must pass.
//!
//! Call [`run`] from a test of the backend. A failure panics with the rule
//! that was broken.
// The suite is a test: its panics are its verdict.
#![allow(clippy::unwrap_used)]

use std::io::ErrorKind;

use crate::{ReadAt, VPath, Verdict, Vfs};

/// A backend under test.
pub trait Subject {
    /// Returns an empty store, another one at each call.
    fn fresh(&self) -> Box<dyn Vfs>;

    /// Returns the `n`th of at least three files that the backend accepts:
    /// different names, at least two bytes each. They are written in the order
    /// of `n`.
    fn sample(&self, n: u8) -> (VPath, Vec<u8>);
}

/// A sample for backends that take any bytes.
///
/// # Panics
/// Never for plain numbers: the name is a fixed one.
pub fn plain_sample(n: u8) -> (VPath, Vec<u8>) {
    let path = VPath::parse(format!("folder-{}/file {n}", n % 2).as_bytes()).unwrap();
    let bytes = (0..40_000 + 1000 * usize::from(n))
        .map(|i| (i % 253) as u8 ^ n)
        .collect();
    (path, bytes)
}

/// Runs every rule on `subject`.
///
/// # Panics
/// Where a rule is broken.
pub fn run(subject: &dyn Subject) {
    nothing_in_a_fresh_store(subject);
    a_written_file_reads_back(subject);
    a_file_is_hidden_until_closed(subject);
    a_dropped_writer_leaves_its_bytes(subject);
    a_whole_file_is_not_written_again(subject);
    no_write_passes_the_end(subject);
    removal_takes_whole_and_partial(subject);
    the_list_is_sorted(subject);
    threads_write_side_by_side(subject);
    parts_are_verified_in_any_order(subject);
    a_reader_outlives_its_writer(subject);
    refuses_dotgit(subject);
}

/// Tries to write a tree of files into `.git` and what file systems take for
/// it, as somebody who plants hooks would. Part of [`run`].
///
/// # Panics
/// Where a name reaches the backend.
pub fn refuses_dotgit(subject: &dyn Subject) {
    let vfs = subject.fresh();
    for name in [
        ".git",
        ".GIT",
        ".Git ",
        ".git.",
        "git~1",
        "GIT~1",
        ".git::$INDEX_ALLOCATION",
        ".git\\x",
        ".g\u{200c}it",
        "..",
    ] {
        for path in [
            name.to_owned(),
            format!("{name}/hooks/post-checkout"),
            format!("folder/{name}/config"),
        ] {
            // The only names that a backend takes are those that parse.
            if let Ok(path) = VPath::parse(path.as_bytes()) {
                put(&*vfs, &path, b"#!/bin/sh");
                panic!("wrote {path}");
            }
        }
    }
    assert!(vfs.list().unwrap().is_empty(), "something was written");
}

fn nothing_in_a_fresh_store(subject: &dyn Subject) {
    let vfs = subject.fresh();
    let (path, _) = subject.sample(0);
    assert!(vfs.list().unwrap().is_empty(), "a fresh store lists files");
    assert_not_found(&*vfs, &path);
    vfs.remove(&path).expect("removing nothing is no error");
}

fn a_written_file_reads_back(subject: &dyn Subject) {
    let vfs = subject.fresh();
    let (path, bytes) = subject.sample(0);
    put(&*vfs, &path, &bytes);
    let entries = vfs.list().unwrap();
    assert_eq!(entries.len(), 1);
    assert_eq!(
        (&entries[0].path, entries[0].size),
        (&path, bytes.len() as u64)
    );
    let file = vfs.open(&path).unwrap();
    assert_eq!(file.size(), bytes.len() as u64);
    assert_eq!(all(&*file), bytes);
    let mut one = [0];
    let middle = bytes.len() / 2;
    file.read_exact_at(middle as u64, &mut one).unwrap();
    assert_eq!(one[0], bytes[middle], "reads at an offset");
    assert_eq!(file.read_at(bytes.len() as u64, &mut one).unwrap(), 0);
    assert_eq!(file.read_at(u64::MAX, &mut one).unwrap(), 0);
    let eof = file.read_exact_at(bytes.len() as u64, &mut one);
    assert_eq!(eof.unwrap_err().kind(), ErrorKind::UnexpectedEof);
    assert_eq!(
        file.modified().unwrap(),
        entries[0].modified,
        "a file was written when the list says so"
    );
    if let Some(lent) = file.lend(1, 1) {
        assert_eq!(lent[..], bytes[1..2], "what is lent is what is read");
    }
    assert!(
        file.lend(bytes.len() as u64, 1).is_none(),
        "nothing is lent beyond the end"
    );
}

fn a_file_is_hidden_until_closed(subject: &dyn Subject) {
    let vfs = subject.fresh();
    let (path, bytes) = subject.sample(0);
    let writer = vfs.create(&path, bytes.len() as u64).unwrap();
    assert_eq!(writer.size(), bytes.len() as u64);
    writer.write_at(0, &bytes).unwrap();
    assert!(vfs.list().unwrap().is_empty(), "a partial file is listed");
    assert_not_found(&*vfs, &path);
    let mut back = vec![0; bytes.len()];
    let reader: &dyn ReadAt = &*writer;
    reader.read_exact_at(0, &mut back).unwrap();
    assert_eq!(back, bytes, "a writer reads what it wrote");
    assert_eq!(writer.close().unwrap(), Verdict::Accept);
    assert!(vfs.open(&path).is_ok());
}

fn a_dropped_writer_leaves_its_bytes(subject: &dyn Subject) {
    let vfs = subject.fresh();
    let (path, bytes) = subject.sample(0);
    let half = bytes.len() / 2;
    let writer = vfs.create(&path, bytes.len() as u64).unwrap();
    writer.write_at(0, &bytes[..half]).unwrap();
    writer.sync().unwrap();
    drop(writer);
    assert_not_found(&*vfs, &path);
    let writer = vfs.create(&path, bytes.len() as u64).unwrap();
    let mut back = vec![0; half];
    let reader: &dyn ReadAt = &*writer;
    reader.read_exact_at(0, &mut back).unwrap();
    assert_eq!(back, bytes[..half], "partial data is kept");
    writer.write_at(half as u64, &bytes[half..]).unwrap();
    assert_eq!(writer.close().unwrap(), Verdict::Accept);
    assert_eq!(all(&*vfs.open(&path).unwrap()), bytes);
}

fn a_whole_file_is_not_written_again(subject: &dyn Subject) {
    let vfs = subject.fresh();
    let (path, bytes) = subject.sample(0);
    put(&*vfs, &path, &bytes);
    let Err(error) = vfs.create(&path, bytes.len() as u64) else {
        panic!("a whole file was opened for writing");
    };
    assert_eq!(error.kind(), ErrorKind::AlreadyExists);
}

fn no_write_passes_the_end(subject: &dyn Subject) {
    let vfs = subject.fresh();
    let (path, bytes) = subject.sample(0);
    let size = bytes.len() as u64;
    let writer = vfs.create(&path, size).unwrap();
    for offset in [size, size - 1, u64::MAX] {
        let error = writer.write_at(offset, &[1, 2]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "write at {offset}");
    }
    assert_eq!(writer.size(), size);
}

fn removal_takes_whole_and_partial(subject: &dyn Subject) {
    let vfs = subject.fresh();
    let (path, bytes) = subject.sample(0);
    let writer = vfs.create(&path, bytes.len() as u64).unwrap();
    writer.write_at(0, &bytes).unwrap();
    drop(writer);
    vfs.remove(&path).unwrap();
    let writer = vfs.create(&path, bytes.len() as u64).unwrap();
    assert!(
        all(&*writer).iter().all(|b| *b == 0),
        "removed bytes came back"
    );
    writer.write_at(0, &bytes).unwrap();
    assert_eq!(writer.close().unwrap(), Verdict::Accept);
    vfs.remove(&path).unwrap();
    assert_not_found(&*vfs, &path);
    assert!(vfs.list().unwrap().is_empty());
}

fn the_list_is_sorted(subject: &dyn Subject) {
    let vfs = subject.fresh();
    let mut paths = Vec::new();
    for n in 0..3 {
        let (path, bytes) = subject.sample(n);
        put(&*vfs, &path, &bytes);
        paths.push(path);
    }
    paths.sort();
    let listed: Vec<_> = vfs.list().unwrap().into_iter().map(|e| e.path).collect();
    assert_eq!(listed, paths);
}

fn threads_write_side_by_side(subject: &dyn Subject) {
    let vfs = subject.fresh();
    let (path, bytes) = subject.sample(0);
    let writer = vfs.create(&path, bytes.len() as u64).unwrap();
    let part = bytes.len().div_ceil(4);
    std::thread::scope(|scope| {
        for (n, chunk) in bytes.chunks(part).enumerate() {
            let writer = &writer;
            scope.spawn(move || writer.write_at((n * part) as u64, chunk).unwrap());
        }
    });
    assert_eq!(writer.close().unwrap(), Verdict::Accept);
    assert_eq!(all(&*vfs.open(&path).unwrap()), bytes);
}

fn parts_are_verified_in_any_order(subject: &dyn Subject) {
    let vfs = subject.fresh();
    let (path, bytes) = subject.sample(0);
    let size = bytes.len() as u64;
    let half = bytes.len() / 2;
    let writer = vfs.create(&path, size).unwrap();
    writer.write_at(half as u64, &bytes[half..]).unwrap();
    writer.verified(half as u64, size - half as u64);
    drop(writer);
    // The next writer is told of what an earlier one left.
    let writer = vfs.create(&path, size).unwrap();
    writer.verified(half as u64, size - half as u64);
    writer.write_at(0, &bytes[..half]).unwrap();
    writer.verified(1, half as u64);
    writer.verified(0, 2);
    writer.verified(0, 0);
    writer.verified(size - 1, u64::MAX);
    writer.verified(u64::MAX, u64::MAX);
    assert!(
        vfs.list().unwrap().is_empty(),
        "a verified file is listed before it is closed"
    );
    assert_eq!(writer.close().unwrap(), Verdict::Accept);
    assert_eq!(all(&*vfs.open(&path).unwrap()), bytes);
}

fn a_reader_outlives_its_writer(subject: &dyn Subject) {
    let vfs = subject.fresh();
    let (path, bytes) = subject.sample(0);
    let writer = vfs.create(&path, bytes.len() as u64).unwrap();
    let reader = writer.reader().unwrap();
    assert_eq!(reader.size(), bytes.len() as u64);
    writer.write_at(0, &bytes).unwrap();
    assert_eq!(all(&*reader), bytes, "a reader sees what is written");
    assert_eq!(writer.close().unwrap(), Verdict::Accept);
    assert_eq!(all(&*reader), bytes, "a reader sees what was closed");
    if let Some(lent) = reader.lend(1, 1) {
        assert_eq!(lent[..], bytes[1..2], "what is lent is what is read");
    }
    assert_eq!(reader.read_at(u64::MAX, &mut [0]).unwrap(), 0);
    if let Some(modified) = reader.modified().unwrap() {
        let listed = vfs.list().unwrap()[0].modified;
        assert_eq!(Some(modified), listed, "closing a file does not change it");
    }
}

fn put(vfs: &dyn Vfs, path: &VPath, bytes: &[u8]) {
    let writer = vfs.create(path, bytes.len() as u64).unwrap();
    // Not in order, as pieces come.
    let half = bytes.len() / 2;
    writer.write_at(half as u64, &bytes[half..]).unwrap();
    writer.write_at(0, &bytes[..half]).unwrap();
    assert_eq!(writer.close().unwrap(), Verdict::Accept);
}

fn all(file: &dyn ReadAt) -> Vec<u8> {
    let mut bytes = vec![0; usize::try_from(file.size()).unwrap()];
    file.read_exact_at(0, &mut bytes).unwrap();
    bytes
}

fn assert_not_found(vfs: &dyn Vfs, path: &VPath) {
    match vfs.open(path) {
        Ok(_) => panic!("{path} was opened though it is not whole"),
        Err(e) => assert_eq!(e.kind(), ErrorKind::NotFound),
    }
}
