//! HTTP sources (BEP 19, `url-list`): where a file lies on a server, how a
//! part of it is asked for, and whether an answer is that part.
//!
//! No socket is here: bytes go in, and what they mean comes out. The reader
//! knows what a server of files may say to a `Range` request (RFC 9110,
//! RFC 9112) and nothing else; an answer that is encoded, of another length or
//! of another place is refused.

mod answer;
mod body;

use gt_vfs::VPath;

use crate::reach::Reach;
use crate::url::{Url, UrlError};

pub use answer::{AnswerError, Framing, Head, Part};
pub use body::{Body, BodyError};

/// A server that has a torrent's files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mirror {
    base: Url,
    /// What its name, and where it redirects to, may lead to.
    pub reach: Reach,
    /// The torrent's name.
    name: Vec<u8>,
    single: bool,
}

impl Mirror {
    /// Takes a URL of a torrent's `url-list` or of a magnet link's `ws`.
    /// `name` and `single` are those of the info dictionary
    /// ([`Info::name`](crate::Info::name), [`Info::is_single`](crate::Info::is_single)).
    ///
    /// # Errors
    /// Where the URL is none, or not http: encrypted HTTP is not spoken, and
    /// is not needed for bytes that are checked.
    pub fn new(url: &str, reach: Reach, name: &[u8], single: bool) -> Result<Self, UrlError> {
        Ok(Self {
            base: Url::parse(url)?,
            reach,
            name: name.to_vec(),
            single,
        })
    }

    /// Returns where a file lies: below the URL and the torrent's name, or for
    /// a torrent of one file at the URL itself, unless that is a folder.
    pub fn url_of(&self, path: &VPath) -> Url {
        if !self.single {
            let parts = path.components();
            return self
                .base
                .below(std::iter::once(&self.name[..]).chain(parts));
        }
        if self.base.is_folder() {
            self.base.below(std::iter::once(&self.name[..]))
        } else {
            self.base.clone()
        }
    }

    /// Returns the URL as it was given.
    pub fn url(&self) -> &Url {
        &self.base
    }
}

/// Returns a request for `part` of what lies at `url`.
pub fn request(url: &Url, part: Part) -> String {
    // Everything in a URL may stand in a request line as it is.
    format!(
        "GET {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: {}\r\nAccept-Encoding: identity\r\n\
         Range: bytes={}-{}\r\n\r\n",
        url.target(""),
        url.authority(),
        concat!("gittorrent/", env!("CARGO_PKG_VERSION")),
        part.offset,
        part.offset + part.length.saturating_sub(1),
    )
}

/// Reads a whole answer as a source would, for those who try it with bytes of
/// any kind: what came of the file, or nothing where the answer was refused.
pub fn read_answer(raw: &[u8], part: Part) -> Option<Vec<u8>> {
    let (head, length) = Head::read(raw).ok()??;
    let start = head.starts_at(part).ok()?;
    let mut body = Body::new(head.framing().ok()?);
    let mut rest = bytes::BytesMut::from(&raw[length..]);
    let mut skip = part.offset - start;
    let mut taken = Vec::new();
    while let Ok(Some(chunk)) = body.take(&mut rest, 1 << 14) {
        let from = skip.min(chunk.len() as u64) as usize;
        skip -= from as u64;
        let room = (part.length as usize).saturating_sub(taken.len());
        let chunk = &chunk[from..];
        taken.extend_from_slice(&chunk[..chunk.len().min(room)]);
    }
    (taken.len() as u64 == part.length).then_some(taken)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn path(text: &str) -> VPath {
        VPath::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn files_lie_where_bep_19_says() {
        for (url, single, expected) in [
            ("http://h/x/", false, "http://h/x/the%20name/a/b%23.bin"),
            ("http://h/x", false, "http://h/x/the%20name/a/b%23.bin"),
            (
                "http://h/x/?k=1",
                false,
                "http://h/x/the%20name/a/b%23.bin?k=1",
            ),
            ("http://h/x/", true, "http://h/x/the%20name"),
            ("http://h/x/y.bin", true, "http://h/x/y.bin"),
        ] {
            let mirror = Mirror::new(url, Reach::Any, b"the name", single).unwrap();
            assert_eq!(mirror.url_of(&path("a/b#.bin")).to_string(), expected);
        }
        assert!(Mirror::new("https://h/", Reach::Any, b"n", true).is_err());
        assert!(Mirror::new("ftp://h/", Reach::Any, b"n", true).is_err());
    }

    #[test]
    fn nothing_of_a_name_enters_the_request_line() {
        let mirror = Mirror::new("http://h/", Reach::Any, b"n\r\nX: y", false).unwrap();
        let part = Part {
            offset: 5,
            length: 3,
            total: 9,
        };
        let asked = request(&mirror.url_of(&path("a b")), part);
        assert!(asked.starts_with("GET /n%0D%0AX%3A%20y/a%20b HTTP/1.1\r\nHost: h\r\n"));
        assert!(asked.contains("\r\nRange: bytes=5-7\r\n"));
    }

    proptest! {
        /// The body of the fuzz target of HTTP answers.
        #[test]
        fn answers_of_any_bytes(
            raw in prop::collection::vec(any::<u8>(), 0..300),
            offset in 0u64..50,
            length in 1u64..50,
        ) {
            let part = Part { offset, length, total: 100 };
            if let Some(taken) = read_answer(&raw, part) {
                prop_assert_eq!(taken.len() as u64, length);
            }
        }

        #[test]
        fn what_servers_say_is_taken(
            file in prop::collection::vec(any::<u8>(), 1..500),
            from in 0usize..500,
            length in 1usize..500,
            kind in 0..3,
            cuts in prop::collection::vec(1usize..40, 1..30),
        ) {
            let from = from % file.len();
            let length = length.min(file.len() - from);
            let part = Part { offset: from as u64, length: length as u64, total: file.len() as u64 };
            let wanted = &file[from..from + length];
            let mut raw = match kind {
                // No ranges: the whole file.
                0 => format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", file.len()),
                1 => format!(
                    "HTTP/1.1 206 Partial Content\r\nContent-Length: {length}\r\nContent-Range: bytes {from}-{}/{}\r\n\r\n",
                    from + length - 1,
                    file.len()
                ),
                _ => format!(
                    "HTTP/1.1 206 x\r\ncontent-range:bytes {from}-{}/*\r\nTransfer-Encoding: chunked\r\n\r\n",
                    from + length - 1
                ),
            }.into_bytes();
            match kind {
                0 => raw.extend_from_slice(&file),
                1 => raw.extend_from_slice(wanted),
                _ => {
                    let mut rest = wanted;
                    for cut in cuts.iter().cycle() {
                        let (chunk, more) = rest.split_at((*cut).min(rest.len()));
                        raw.extend_from_slice(format!("{:x};a=b\r\n", chunk.len()).as_bytes());
                        raw.extend_from_slice(chunk);
                        raw.extend_from_slice(b"\r\n");
                        rest = more;
                        if chunk.is_empty() {
                            break;
                        }
                    }
                }
            }
            let taken = read_answer(&raw, part);
            prop_assert_eq!(taken.as_deref(), Some(wanted));
        }
    }
}
