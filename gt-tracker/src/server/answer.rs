//! What is answered to a request.

use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{ALLOW, CONTENT_TYPE};
use hyper::{Method, Response, StatusCode, Uri};
use tokio::time::Instant;

use crate::announce::{self, Form};
use crate::registry::Registry;
use crate::server::Options;
use crate::{chance, scrape};

/// Where requests are answered: the registry, a clock and a source of chance.
#[derive(Debug)]
pub(super) struct Desk {
    state: Mutex<State>,
    began: Instant,
    ip_from_private: bool,
}

#[derive(Debug)]
struct State {
    registry: Registry,
    chance: u64,
}

impl Desk {
    pub(super) fn new(options: &Options, seed: u64) -> Self {
        Self {
            state: Mutex::new(State {
                registry: Registry::new(options.registry.clone()),
                chance: seed,
            }),
            began: Instant::now(),
            ip_from_private: options.ip_from_private,
        }
    }

    pub(super) fn answer(&self, from: IpAddr, method: &Method, uri: &Uri) -> Response<Full<Bytes>> {
        if method != Method::GET {
            let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "only GET is answered\n");
            response
                .headers_mut()
                .insert(ALLOW, "GET".parse().expect("a header value"));
            return response;
        }
        let query = uri.query().unwrap_or_default();
        match uri.path() {
            "/announce" => bencoded(self.announce(from, query)),
            "/scrape" => bencoded(self.scrape(query)),
            "/" => text(StatusCode::OK, &self.page()),
            _ => text(StatusCode::NOT_FOUND, "there is /announce, /scrape and /\n"),
        }
    }

    /// Failures are answers of status 200, as BEP 3 has them: clients show
    /// the reason only then.
    fn announce(&self, from: IpAddr, query: &str) -> Vec<u8> {
        let request = match announce::Request::parse(query) {
            Ok(request) => request,
            Err(error) => {
                return announce::Answer::Failure(error.to_string()).write(Form::Compact);
            }
        };
        let told = request
            .ip
            .filter(|_| self.ip_from_private && !gt_wire::reach::is_public(from));
        let now = self.began.elapsed();
        let answer = self.with(|state| {
            let seed = chance::next(&mut state.chance);
            state
                .registry
                .announce(now, told.unwrap_or(from), &request, seed)
        });
        // Compact unless refused: BEP 23 asks trackers to prefer it.
        answer.write(match request.compact {
            Some(false) => Form::Dictionaries {
                ids: !request.no_peer_id,
            },
            _ => Form::Compact,
        })
    }

    fn scrape(&self, query: &str) -> Vec<u8> {
        let answer = match scrape::Request::parse(query) {
            Ok(request) if request.0.is_empty() => {
                scrape::Answer::Failure("expected info_hash, got none".into())
            }
            Ok(request) => {
                let now = self.began.elapsed();
                self.with(|state| state.registry.scrape(now, &request))
            }
            Err(error) => scrape::Answer::Failure(error.to_string()),
        };
        answer.write()
    }

    fn page(&self) -> String {
        let now = self.began.elapsed();
        let (torrents, peers) = self.with(|state| {
            state.registry.expire(now);
            (state.registry.torrents(), state.registry.peers())
        });
        format!(
            "This is a BitTorrent tracker (gt-tracker {}).\n\
             torrents: {torrents}\npeers: {peers}\n",
            env!("CARGO_PKG_VERSION"),
        )
    }

    /// The lock is held for one call of the registry, which waits for nothing.
    fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn bencoded(body: Vec<u8>) -> Response<Full<Bytes>> {
    // Stock trackers call it plain text, and no client looks.
    respond(StatusCode::OK, body)
}

fn text(status: StatusCode, body: &str) -> Response<Full<Bytes>> {
    respond(status, body.as_bytes().to_vec())
}

fn respond(status: StatusCode, body: Vec<u8>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    let plain = "text/plain; charset=utf-8".parse().expect("a header value");
    response.headers_mut().insert(CONTENT_TYPE, plain);
    response
}
