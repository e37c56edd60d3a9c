//! A small HTTP server with the habits of many.

use std::collections::BTreeMap;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use gt_vfs::{Memory, Vfs};

use super::super::contents;

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Kind {
    Ranges,
    /// Whole files only.
    NoRanges,
    Chunked,
    /// Each file lies elsewhere.
    Redirects,
    /// Every third request ends in the middle.
    Hiccups,
    ClosesEachTime,
    Slow,
    /// Nothing comes after the head.
    Stalls,
    WrongBytes,
    /// Its files are longer.
    WrongLength,
    /// It gives another range than was asked for.
    WrongRange,
    /// What it speaks is not HTTP.
    Gibberish,
}

pub(super) struct Server {
    addr: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    kind: Kind,
    files: BTreeMap<String, Vec<u8>>,
    requests: AtomicU64,
    sent: AtomicU64,
}

impl Server {
    /// Serves files below a folder of a name; at the root where that is empty.
    pub(super) fn start(kind: Kind, folder: &str, vfs: &Memory) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let vfs: &dyn Vfs = vfs;
        let prefix = if folder.is_empty() {
            String::new()
        } else {
            format!("/{folder}")
        };
        let files = contents(vfs).into_iter();
        let shared = Arc::new(Shared {
            kind,
            files: files
                .map(|(path, bytes)| (format!("{prefix}/{path}"), bytes))
                .collect(),
            requests: AtomicU64::new(0),
            sent: AtomicU64::new(0),
        });
        let serving = shared.clone();
        std::thread::spawn(move || {
            for socket in listener.incoming().flatten() {
                let serving = serving.clone();
                std::thread::spawn(move || while serving.answer(&socket).unwrap_or(false) {});
            }
        });
        Self { addr, shared }
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}/", self.addr)
    }

    pub(super) fn requests(&self) -> u64 {
        self.shared.requests.load(Ordering::SeqCst)
    }

    /// Returns the bytes of bodies so far.
    pub(super) fn sent(&self) -> u64 {
        self.shared.sent.load(Ordering::SeqCst)
    }
}

impl Shared {
    /// Answers one request; tells whether another may follow.
    fn answer(&self, mut socket: &TcpStream) -> io::Result<bool> {
        let mut lines = BufReader::new(socket).lines();
        let line = lines.next().ok_or(io::ErrorKind::UnexpectedEof)??;
        let mut range = None;
        for line in lines {
            let line = line?;
            if let Some(span) = line.strip_prefix("Range: bytes=") {
                let (first, last) = span.split_once('-').unwrap();
                range = Some((first.parse().unwrap(), last.parse::<usize>().unwrap()));
            }
            if line.is_empty() {
                break;
            }
        }
        let count = self.requests.fetch_add(1, Ordering::SeqCst);
        let target = line.split(' ').nth(1).unwrap();
        if self.kind == Kind::Redirects && !target.starts_with("/at") {
            let head =
                format!("HTTP/1.1 302 Found\r\nLocation: /at{target}\r\nContent-Length: 0\r\n\r\n");
            socket.write_all(head.as_bytes())?;
            return Ok(true);
        }
        let Some(file) = self.files.get(target.trim_start_matches("/at")) else {
            socket.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")?;
            return Ok(true);
        };
        let (first, last) = match self.kind {
            Kind::NoRanges => (0, file.len() - 1),
            _ => range.unwrap_or((0, file.len() - 1)),
        };
        let mut body = file[first..=last].to_vec();
        let (told, total) = match self.kind {
            Kind::WrongLength => (first, file.len() + 5),
            Kind::WrongRange => (first + 1, file.len()),
            _ => (first, file.len()),
        };
        let mut head = match self.kind {
            Kind::Gibberish => "SSH-2.0-OpenSSH\r\n\r\n".to_owned(),
            Kind::NoRanges => "HTTP/1.1 200 OK\r\n".to_owned(),
            _ => format!("HTTP/1.1 206 Partial\r\nContent-Range: bytes {told}-{last}/{total}\r\n"),
        };
        match self.kind {
            Kind::WrongBytes => body.iter_mut().for_each(|b| *b ^= 1),
            // Less often than one block may need requests, or it never comes.
            Kind::Hiccups if count % 7 == 1 => body.truncate(body.len() / 2),
            _ => {}
        }
        head += &match self.kind {
            Kind::Chunked => "Transfer-Encoding: chunked\r\n\r\n".to_owned(),
            Kind::ClosesEachTime => "Connection: close\r\n\r\n".to_owned(),
            _ => format!("Content-Length: {}\r\n\r\n", last + 1 - first),
        };
        socket.write_all(head.as_bytes())?;
        if self.kind == Kind::Stalls {
            std::thread::sleep(Duration::from_secs(30));
            return Ok(false);
        }
        let piece = if self.kind == Kind::Slow {
            4096
        } else {
            30_000
        };
        for chunk in body.chunks(piece) {
            if self.kind == Kind::Slow {
                std::thread::sleep(Duration::from_millis(25));
            }
            if self.kind == Kind::Chunked {
                socket.write_all(format!("{:X}\r\n", chunk.len()).as_bytes())?;
            }
            socket.write_all(chunk)?;
            if self.kind == Kind::Chunked {
                socket.write_all(b"\r\n")?;
            }
            self.sent.fetch_add(chunk.len() as u64, Ordering::SeqCst);
        }
        if self.kind == Kind::Chunked {
            socket.write_all(b"0\r\n\r\n")?;
        }
        let ends = matches!(self.kind, Kind::ClosesEachTime) || body.len() < last + 1 - first;
        Ok(!ends)
    }
}
