//! What the person named: a pack, or a bundle with one behind its header.

use std::io::{BufRead, Read as _};
use std::path::Path;

use gt_pack::bundle::{FromError, Header};
use gt_pack::span::Span;
use gt_pack::spool::Spool;
use gt_pack::verify::Error;
use gt_vfs::ReadAt as _;

use super::{Failure, broken};
use crate::Env;
use crate::verb::refused;

/// A pack to be read.
pub(super) struct Opened {
    spool: Spool,
    begin: u64,
    /// The header, where it is a bundle.
    pub(super) bundle: Option<Header>,
}

impl Opened {
    /// Opens a file.
    pub(super) fn file(env: &Env, file: &Path) -> Result<Self, Failure> {
        let said = |e: std::io::Error| Failure::Broken(format!("{}: {e}", file.display()));
        let spool = Spool::open(&env.cwd.join(file)).map_err(said)?;
        let mut first = [0; 1];
        let read = spool.read_at(0, &mut first).map_err(said)?;
        if read == 0 || first[0] != SIGN {
            return Ok(Self {
                spool,
                begin: 0,
                bundle: None,
            });
        }
        let (header, begin) = Header::read_from(&spool).map_err(|e| match e {
            FromError::Io(e) => said(e),
            fault => refused(fault),
        })?;
        Ok(Self {
            spool,
            begin,
            bundle: Some(header),
        })
    }

    /// Opens standard input, which is kept in a file without a name as it
    /// comes; a bundle's header has come already.
    pub(super) fn input(stdin: &mut dyn BufRead) -> Result<Self, Failure> {
        let spool = tempfile::tempfile().and_then(Spool::new).map_err(broken)?;
        let bundle = match stdin.fill_buf().map_err(fault)?.first() {
            Some(&SIGN) => Some(header(stdin)?),
            _ => None,
        };
        Ok(Self {
            spool,
            begin: 0,
            bundle,
        })
    }

    /// Returns the pack alone.
    pub(super) fn pack(&self) -> Span<'_> {
        Span::behind(&self.spool, self.begin)
    }

    pub(super) fn spool(&self) -> &Spool {
        &self.spool
    }
}

/// Who gives nothing is refused; all else is the machine's fault.
fn fault(e: std::io::Error) -> Failure {
    match Error::from(e) {
        Error::Io(e) => broken(e),
        fault => refused(fault),
    }
}

/// How a bundle begins, and no pack does.
const SIGN: u8 = b'#';

/// The longest part of a header that is read at once, in bytes.
const PART: u64 = 1 << 16;

/// Reads a header line by line, and not a byte of what stands behind it.
fn header(stdin: &mut dyn BufRead) -> Result<Header, Failure> {
    let mut bytes = Vec::new();
    let mut next = 1 << 12;
    loop {
        let before = bytes.len();
        let mut part = (&mut *stdin).take(PART);
        part.read_until(b'\n', &mut bytes).map_err(fault)?;
        let ended = matches!(&bytes[before..], [] | [b'\n']);
        // Looked at each time that it is twice as long: it may be endless.
        if ended || bytes.len() > next {
            next = 2 * bytes.len();
            match Header::read(&bytes).map_err(refused)? {
                Some((header, _)) => return Ok(header),
                None if bytes.len() == before => {
                    return Err(refused("expected a bundle, got only a part of its header"));
                }
                None => {}
            }
        }
    }
}
