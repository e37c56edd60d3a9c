//! Standard input that may say nothing for only so long.

use std::io::{self, BufRead, ErrorKind, Read};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use gt_pack::Limits;
use gt_pack::idle::Patient;

/// What a thread of its own reads, so that the one that verifies can go away
/// from a reader that blocks.
struct Piped {
    pieces: Receiver<io::Result<Vec<u8>>>,
    piece: io::Cursor<Vec<u8>>,
}

/// How long one look for bytes takes.
const LOOK: Duration = Duration::from_millis(100);

/// Bytes read at a time.
const PIECE: usize = 256 << 10;

/// Returns a reader of `input` that gives up by [`Limits::idle`].
///
/// The thread that reads stays behind when it does, until something comes or
/// the process ends.
pub(super) fn patient(
    mut input: Box<dyn BufRead + Send>,
    limits: &Limits,
) -> io::Result<impl Read + Send + use<>> {
    let (give, pieces) = sync_channel(1);
    std::thread::Builder::new().spawn(move || feed(&mut *input, &give))?;
    let piece = io::Cursor::default();
    let began = Instant::now();
    let piped = Piped { pieces, piece };
    Ok(Patient::new(piped, limits, move || began.elapsed()))
}

fn feed(input: &mut dyn BufRead, give: &SyncSender<io::Result<Vec<u8>>>) {
    let mut buffer = vec![0; PIECE];
    loop {
        let piece = match input.read(&mut buffer) {
            Ok(0) => return,
            Ok(read) => Ok(buffer[..read].to_vec()),
            Err(e) if e.kind() == ErrorKind::Interrupted => continue,
            Err(e) => Err(e),
        };
        let broke = piece.is_err();
        if give.send(piece).is_err() || broke {
            return;
        }
    }
}

impl Read for Piped {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.piece.fill_buf()?.is_empty() {
            self.piece = match self.pieces.recv_timeout(LOOK) {
                Ok(piece) => io::Cursor::new(piece?),
                Err(RecvTimeoutError::Timeout) => return Err(ErrorKind::TimedOut.into()),
                Err(RecvTimeoutError::Disconnected) => return Ok(0),
            };
        }
        self.piece.read(buffer)
    }
}
