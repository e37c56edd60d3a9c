//! The distributed hash table (BEP 5) as a source of peers, by the `mainline`
//! crate, which speaks IPv4. What it says is a hint of strangers.

use std::future::poll_fn;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::pin;
use std::time::Duration;

use futures_core::Stream as _;
use mainline::Id;
use mainline::async_dht::AsyncDht;
use tokio::time::timeout;

use crate::PeerSource;
use crate::source::{Announce, Announced, Announcing, Event, SourceError};
use crate::swarm::Source;

/// How long peers are looked for; the first come within a second or so.
const LOOK: Duration = Duration::from_secs(10);

/// How long an announce may take.
const TELL: Duration = Duration::from_secs(10);

/// When to look again: nodes forget an announce after half an hour.
const AGAIN: Duration = Duration::from_secs(15 * 60);

/// When to look again where nobody was found.
const SOON: Duration = Duration::from_secs(60);

/// Addresses of one search.
const MOST: usize = 200;

/// How to take part.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Options {
    /// The UDP port; 0 picks a free one.
    pub port: u16,
    /// The address to bind to.
    pub bind: Ipv4Addr,
    /// Nodes to begin with, as `host:port`; empty for those that everybody
    /// begins with.
    pub bootstrap: Vec<String>,
    /// Whether we answer others from the start; else we only ask (BEP 43),
    /// until it is seen that others can reach us.
    pub server: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            port: 0,
            bind: Ipv4Addr::UNSPECIFIED,
            bootstrap: Vec::new(),
            server: false,
        }
    }
}

/// One node of the table, for all torrents of a process. It ends when it is
/// dropped.
#[derive(Clone, Debug)]
pub struct Dht {
    node: AsyncDht,
}

impl Dht {
    /// Binds and begins.
    ///
    /// # Errors
    /// Where the port cannot be bound.
    pub fn start(options: &Options) -> io::Result<Self> {
        let mut builder = mainline::Dht::builder();
        builder.port(options.port).bind_address(options.bind);
        if !options.bootstrap.is_empty() {
            builder.bootstrap(&options.bootstrap);
        }
        if options.server {
            builder.server_mode();
        }
        let node = builder.build()?.as_async();
        Ok(Self { node })
    }

    async fn look(&self, target: Id, want: usize) -> Vec<SocketAddr> {
        let mut found = Vec::new();
        let mut stream = pin!(self.node.get_peers(target));
        let search = async {
            while found.len() < want
                && let Some(some) = poll_fn(|context| stream.as_mut().poll_next(context)).await
            {
                for addr in some {
                    let addr = SocketAddr::V4(addr);
                    if !found.contains(&addr) && found.len() < want {
                        found.push(addr);
                    }
                }
            }
        };
        // What was found until then is as good.
        let _ = timeout(LOOK, search).await;
        found
    }
}

impl PeerSource for Dht {
    fn announce(&self, announce: Announce) -> Announcing<'_> {
        Box::pin(async move {
            if announce.event == Some(Event::Stopped) {
                // It has no word for that: nodes forget by themselves.
                return Ok(Announced {
                    interval: AGAIN,
                    ..Announced::default()
                });
            }
            let target = Id::from(announce.info_hash.0);
            let want = announce.want.map_or(MOST, |want| MOST.min(want as usize));
            let peers = self.look(target, want.max(1)).await;
            if announce.port != 0 {
                let told = self.node.announce_peer(target, Some(announce.port));
                let why = match timeout(TELL, told).await {
                    Ok(Ok(_)) => None,
                    Ok(Err(why)) => Some(why.to_string()),
                    Err(_) => Some(format!("no answer within {TELL:?}")),
                };
                if let (Some(why), true) = (why, peers.is_empty()) {
                    return Err(SourceError::Unreachable {
                        source_name: self.name(),
                        why,
                    });
                }
            }
            Ok(Announced {
                interval: if peers.is_empty() { SOON } else { AGAIN },
                peers,
                ..Announced::default()
            })
        })
    }

    fn name(&self) -> String {
        "distributed hash table".to_owned()
    }

    fn kind(&self) -> Source {
        Source::Dht
    }
}
