//! One connection to a mirror, and where in which file it stands.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::{Buf as _, Bytes, BytesMut};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

use super::Site;
use crate::geometry::{FileIndex, FileSpan};
use crate::limits;
use crate::mirror::{AnswerError, Body, Framing, Head, Part, request};
use crate::reach::{Reach, is_public};
use crate::swarm::Failure;
use crate::url::Url;

/// How long a connection may take to stand.
const CONNECT: Duration = Duration::from_secs(10);

/// How long nothing may come.
const SILENCE: Duration = Duration::from_secs(15);

/// Room for the next bytes of the socket.
const READ: usize = 64 << 10;

pub(super) struct Stream {
    site: Arc<Site>,
    open: Option<Open>,
    /// Where the last file was found after redirects.
    found: Option<(FileIndex, Url, Reach)>,
}

struct Open {
    socket: TcpStream,
    ip: IpAddr,
    authority: String,
    buffer: BytesMut,
    answer: Option<Answer>,
}

/// An answer whose body comes.
struct Answer {
    file: FileIndex,
    at: u64,
    body: Body,
    keeps: bool,
}

impl Stream {
    pub(super) fn new(site: Arc<Site>) -> Self {
        Self {
            site,
            open: None,
            found: None,
        }
    }

    pub(super) fn close(&mut self) {
        self.open = None;
    }

    /// Stands before a part of a file: by reading on where the server gives
    /// whole files only, else by a request.
    pub(super) async fn seek(&mut self, span: FileSpan) -> Result<(), Failure> {
        let ahead = self
            .open
            .as_ref()
            .and_then(|open| open.answer.as_ref())
            .filter(|answer| answer.file == span.file && answer.at <= span.offset)
            .is_some();
        if !(ahead && self.site.no_ranges.load(Ordering::Relaxed)) {
            self.ask(span).await?;
        }
        let at = self.answer()?.at;
        self.site.skip(span.offset - at)?;
        let mut skip = span.offset - at;
        while skip > 0 {
            skip -= self.next(skip).await?.len() as u64;
        }
        Ok(())
    }

    fn answer(&mut self) -> Result<&mut Answer, Failure> {
        let answer = self.open.as_mut().and_then(|open| open.answer.as_mut());
        answer.ok_or_else(|| Failure::passing("the connection ended"))
    }

    /// Returns the next bytes of the body, at most `most`.
    pub(super) async fn next(&mut self, most: u64) -> Result<Bytes, Failure> {
        let ended = || Failure::passing("the connection ended");
        let open = self.open.as_mut().ok_or_else(ended)?;
        loop {
            let answer = open.answer.as_mut().ok_or_else(ended)?;
            let taken = answer.body.take(&mut open.buffer, most as usize);
            match taken.map_err(|e| Failure::lasting(e.to_string()))? {
                Some(bytes) => {
                    answer.at += bytes.len() as u64;
                    return Ok(bytes);
                }
                None if answer.body.is_over() => {
                    return Err(Failure::passing("the body is shorter than the file"));
                }
                None => open.read().await?,
            }
        }
    }

    /// Ends a part. The connection is kept for the next one where that can
    /// follow.
    pub(super) fn finish(&mut self) {
        let Some(open) = &mut self.open else { return };
        let Some(answer) = &mut open.answer else {
            return;
        };
        // The end of the last chunk may stand in the buffer.
        if let Ok(None) = answer.body.take(&mut open.buffer, 0)
            && answer.body.is_over()
        {
            let keeps = answer.keeps;
            open.answer = None;
            if !keeps {
                self.open = None;
            }
        } else if !self.site.no_ranges.load(Ordering::Relaxed) {
            self.open = None;
        }
    }

    async fn ask(&mut self, span: FileSpan) -> Result<(), Failure> {
        let file = self.site.geometry.file(span.file);
        let file = file.ok_or_else(|| Failure::lasting("no such file"))?;
        let part = Part {
            offset: span.offset,
            length: span.length,
            total: file.length,
        };
        let (mut url, mut reach) = match &self.found {
            Some((found, url, reach)) if *found == span.file => (url.clone(), *reach),
            _ => (self.site.mirror.url_of(&file.path), self.site.mirror.reach),
        };
        for _ in 0..=limits::HTTP_REDIRECTS {
            let (head, ip) = self.request(&url, reach, part).await?;
            if !head.is_redirect() {
                let at = head.starts_at(part).map_err(refused)?;
                let framing = head.framing().map_err(refused)?;
                if at < part.offset || head.status == 200 && part.length < part.total {
                    self.site.no_ranges.store(true, Ordering::Relaxed);
                }
                self.found = Some((span.file, url, reach));
                if let Some(open) = &mut self.open {
                    open.answer = Some(Answer {
                        file: span.file,
                        at,
                        body: Body::new(framing),
                        keeps: head.keeps && framing != Framing::Close,
                    });
                }
                return Ok(());
            }
            self.close();
            let location = head.location.unwrap_or_default();
            url = url
                .join(&location)
                .map_err(|e| Failure::passing(format!("a redirect to {location:?}: {e}")))?;
            // A machine on the Internet may not send us to our own network,
            // even where the person chose it.
            if is_public(ip) {
                reach = Reach::Public;
            }
        }
        let most = limits::HTTP_REDIRECTS;
        Err(Failure::passing(format!(
            "expected at most {most} redirects, got more"
        )))
    }

    /// Asks, on the connection that is there or on a new one.
    async fn request(
        &mut self,
        url: &Url,
        reach: Reach,
        part: Part,
    ) -> Result<(Head, IpAddr), Failure> {
        let authority = url.authority();
        let used = self
            .open
            .take_if(|open| open.answer.is_none() && open.authority == authority);
        if let Some(mut open) = used {
            // The server may have ended it meanwhile, which says nothing.
            if let Ok(head) = open.talk(url, part).await {
                let ip = open.ip;
                self.open = Some(open);
                return Ok((head, ip));
            }
        }
        self.open = None;
        let (socket, ip) = connect(url, reach).await?;
        let mut open = Open {
            socket,
            ip,
            authority,
            buffer: BytesMut::new(),
            answer: None,
        };
        let head = open.talk(url, part).await?;
        self.open = Some(open);
        Ok((head, ip))
    }
}

impl Open {
    async fn read(&mut self) -> Result<(), Failure> {
        self.buffer.reserve(READ);
        let read = timeout(SILENCE, self.socket.read_buf(&mut self.buffer));
        match read.await {
            Ok(Ok(0)) => Err(Failure::passing("the server ended the connection")),
            Ok(Ok(_)) => Ok(()),
            Ok(Err(e)) => Err(Failure::passing(e.to_string())),
            Err(_) => Err(Failure::passing(format!("nothing came within {SILENCE:?}"))),
        }
    }

    async fn talk(&mut self, url: &Url, part: Part) -> Result<Head, Failure> {
        let asked = request(url, part);
        let sent = timeout(SILENCE, self.socket.write_all(asked.as_bytes()));
        match sent.await {
            Ok(sent) => sent.map_err(|e| Failure::passing(e.to_string()))?,
            Err(_) => return Err(Failure::passing("the server takes no request")),
        }
        loop {
            let head = Head::read(&self.buffer).map_err(|e| Failure::passing(e.to_string()))?;
            match head {
                // Something before the answer itself.
                Some((head, length)) if (100..200).contains(&head.status) => {
                    self.buffer.advance(length);
                }
                Some((head, length)) => {
                    self.buffer.advance(length);
                    return Ok(head);
                }
                None => self.read().await?,
            }
        }
    }
}

/// Connects to the first address of a host that answers. The addresses are
/// looked up once and judged here, so that a name cannot mean one address when
/// it is judged and another when it is used.
async fn connect(url: &Url, reach: Reach) -> Result<(TcpStream, IpAddr), Failure> {
    let found = timeout(CONNECT, lookup_host((url.host.as_str(), url.port))).await;
    let found = found.map_err(|_| Failure::passing(format!("{} is not found", url.host)))?;
    let found = found.map_err(|e| Failure::passing(format!("{}: {e}", url.host)))?;
    let mut why = format!("{} has no address", url.host);
    for addr in found.take(limits::HTTP_ADDRESSES) {
        if !reach.allows(addr.ip()) {
            why = format!("{}: not an address of the public Internet", addr.ip());
            continue;
        }
        match timeout(CONNECT, TcpStream::connect(addr)).await {
            Ok(Ok(socket)) => return Ok((socket, addr.ip())),
            Ok(Err(e)) => why = format!("{addr}: {e}"),
            Err(_) => why = format!("{addr}: no connection within {CONNECT:?}"),
        }
    }
    Err(Failure::passing(why))
}

fn refused(why: AnswerError) -> Failure {
    match why.may_pass() {
        true => Failure::passing(why.to_string()),
        false => Failure::lasting(why.to_string()),
    }
}
