//! One HTTP question, with bounds on everything that a stranger decides.

use std::future::poll_fn;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::task::Poll;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper::body::{Body as _, Incoming};
use hyper::header::{ACCEPT_ENCODING, CONNECTION, CONTENT_ENCODING, HOST, LOCATION, USER_AGENT};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

use crate::client::{Options, Reach};
use crate::limits;
use gt_wire::url::Url;

/// How a question is asked.
pub(super) struct Fetch<'a> {
    pub(super) reach: Reach,
    pub(super) options: &'a Options,
}

/// Why there is no answer.
pub(super) enum FetchError {
    Unreachable(String),
    Malformed(String),
}

impl Fetch<'_> {
    /// Asks for a URL with more behind its query, and follows redirects.
    pub(super) async fn get(
        &self,
        url: &Url,
        query: &str,
    ) -> Result<(StatusCode, Vec<u8>), FetchError> {
        let whole = self.options.whole;
        let get = self.follow(url.clone(), query);
        timeout(whole, get).await.unwrap_or_else(|_| {
            let why = format!("no whole answer within {whole:?}");
            Err(FetchError::Unreachable(why))
        })
    }

    async fn follow(&self, mut url: Url, query: &str) -> Result<(StatusCode, Vec<u8>), FetchError> {
        let mut target = url.target(query);
        let mut reach = self.reach;
        for _ in 0..=limits::REDIRECTS {
            let (stream, ip) = self.connect(&url, reach).await?;
            let answer = self.ask(stream, &url.authority(), &target).await?;
            let location = match answer {
                Said::Here(status, body) => return Ok((status, body)),
                Said::There(location) => location,
            };
            url = url.join(&location).map_err(|error| {
                FetchError::Malformed(format!("a redirect to {location:?}: {error}"))
            })?;
            target = url.target("");
            // A machine on the Internet may not send us to our own network,
            // even where the person chose it.
            if gt_wire::reach::is_public(ip) {
                reach = Reach::Public;
            }
        }
        let why = format!("expected at most {} redirects, got more", limits::REDIRECTS);
        Err(FetchError::Malformed(why))
    }

    /// Connects to the first address of a host that answers. The addresses
    /// are looked up once and judged here, so that a name cannot mean one
    /// address when it is judged and another when it is used.
    async fn connect(&self, url: &Url, reach: Reach) -> Result<(TcpStream, IpAddr), FetchError> {
        let found = lookup_host((url.host.as_str(), url.port)).await;
        let found = found.map_err(|error| unreachable(&url.host, &error))?;
        let mut tried = Vec::new();
        for address in found.take(limits::ADDRESSES) {
            let why = if reach.allows(address.ip()) {
                match self.dial(address).await {
                    Ok(stream) => return Ok((stream, address.ip())),
                    Err(why) => why,
                }
            } else {
                "not an address of the public Internet, and nobody here chose it".into()
            };
            tried.push(format!("{}: {why}", address.ip()));
        }
        if tried.is_empty() {
            tried.push(format!("{} has no address", url.host));
        }
        Err(FetchError::Unreachable(tried.join("; ")))
    }

    async fn dial(&self, address: SocketAddr) -> Result<TcpStream, String> {
        let limit = self.options.connect;
        match timeout(limit, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => Ok(stream),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err(format!("no connection within {limit:?}")),
        }
    }

    async fn ask(&self, stream: TcpStream, host: &str, target: &str) -> Result<Said, FetchError> {
        let agent = concat!("gt-tracker/", env!("CARGO_PKG_VERSION"));
        let request = Request::get(target)
            .header(HOST, host)
            .header(USER_AGENT, agent)
            .header(ACCEPT_ENCODING, "identity")
            .header(CONNECTION, "close")
            .body(Empty::<Bytes>::new())
            .map_err(|error| FetchError::Malformed(error.to_string()))?;
        let (mut sender, connection) = hyper::client::conn::http1::Builder::new()
            .max_buf_size(limits::ANSWER_HEAD)
            .max_headers(limits::HEADERS)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(broken)?;
        let mut talk = pin!(async {
            let response = sender.send_request(request).await.map_err(broken)?;
            self.take(response).await
        });
        // Both in this task: when it is dropped, nothing of it lives on.
        let mut connection = pin!(connection);
        let mut closed = false;
        poll_fn(|context| {
            if let Poll::Ready(said) = talk.as_mut().poll(context) {
                return Poll::Ready(said);
            }
            if !closed && connection.as_mut().poll(context).is_ready() {
                closed = true;
                // What was received before the end is still to be taken.
                return talk.as_mut().poll(context);
            }
            // Bytes may have arrived while the connection was driven.
            talk.as_mut().poll(context)
        })
        .await
    }

    async fn take(&self, response: Response<Incoming>) -> Result<Said, FetchError> {
        let status = response.status();
        let headers = response.headers();
        if status.is_redirection() {
            let location = headers.get(LOCATION).and_then(|value| value.to_str().ok());
            if let Some(location) = location {
                return Ok(Said::There(location.to_owned()));
            }
        }
        let coding = headers
            .get(CONTENT_ENCODING)
            .filter(|coding| *coding != "identity");
        if let Some(coding) = coding {
            let why = format!("expected an answer as it is, got it encoded as {coding:?}");
            return Err(FetchError::Malformed(why));
        }
        let most = self.options.answer;
        let long = || FetchError::Malformed(format!("expected at most {most} bytes, got more"));
        let mut body = response.into_body();
        // A length that is only claimed costs nothing yet, and is enough to
        // go by.
        if body.size_hint().lower() > most as u64 {
            return Err(long());
        }
        let mut taken = Vec::new();
        while let Some(frame) = body.frame().await {
            let Ok(bytes) = frame.map_err(broken)?.into_data() else {
                continue;
            };
            if bytes.len() > most - taken.len() {
                return Err(long());
            }
            taken.extend_from_slice(&bytes);
        }
        Ok(Said::Here(status, taken))
    }
}

/// What a server said.
enum Said {
    Here(StatusCode, Vec<u8>),
    There(String),
}

fn unreachable(host: &str, error: &std::io::Error) -> FetchError {
    FetchError::Unreachable(format!("{host}: {error}"))
}

/// A connection that broke is unreachable, bytes that are no HTTP are
/// nonsense.
fn broken(error: hyper::Error) -> FetchError {
    let mut why = error.to_string();
    let mut source = std::error::Error::source(&error);
    while let Some(cause) = source {
        why = format!("{why}: {cause}");
        source = cause.source();
    }
    if error.is_parse() {
        FetchError::Malformed(why)
    } else {
        FetchError::Unreachable(why)
    }
}
