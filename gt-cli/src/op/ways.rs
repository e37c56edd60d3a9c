//! Other ways to peers than trackers and TCP, as the person turned them on.

use std::sync::Arc;

use gt_wire::PeerSource;
use gt_wire::net::{self, Node};
use tokio::task::JoinHandle;

use crate::args::ways::{Encryption, Ways};

/// Why a way cannot be gone.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// This program was built without it.
    #[error("this gt was built without {0}")]
    Absent(&'static str),
    /// The table's port cannot be bound.
    #[error("the distributed hash table cannot be joined: {0}")]
    Table(std::io::Error),
}

/// Changes a node's options as was asked.
///
/// # Errors
/// See [`Error`].
pub fn tune(ways: &Ways, options: &mut net::Options) -> Result<(), Error> {
    options.encryption = match ways.encryption.unwrap_or_default() {
        Encryption::Off => net::Encryption::Off,
        Encryption::Accept => net::Encryption::Accept,
        Encryption::Prefer => net::Encryption::Prefer,
        Encryption::Require => net::Encryption::Require,
    };
    #[cfg(feature = "utp")]
    {
        options.utp = ways.utp;
    }
    #[cfg(not(feature = "utp"))]
    if ways.utp {
        return Err(Error::Absent("uTP"));
    }
    if ways.map_port && !cfg!(feature = "portmap") {
        return Err(Error::Absent("asking routers"));
    }
    Ok(())
}

/// Joins the distributed hash table, if that was asked for.
///
/// # Errors
/// See [`Error`].
pub fn table(ways: &Ways) -> Result<Option<Arc<dyn PeerSource>>, Error> {
    if !ways.dht {
        return Ok(None);
    }
    #[cfg(feature = "dht")]
    {
        let mut options = net::dht::Options::default();
        options.bootstrap.clone_from(&ways.dht_nodes);
        let table = net::dht::Dht::start(&options).map_err(Error::Table)?;
        Ok(Some(Arc::new(table)))
    }
    #[cfg(not(feature = "dht"))]
    Err(Error::Absent("the distributed hash table"))
}

/// The router, while it is asked for a port and as long as it gives one.
#[derive(Debug, Default)]
pub struct Router {
    asked: Option<JoinHandle<(Given, String)>>,
    given: Given,
}

#[cfg(feature = "portmap")]
type Given = Vec<net::portmap::Mapped>;
#[cfg(not(feature = "portmap"))]
type Given = ();

impl Router {
    /// Asks, if that was wanted, for the port at which a node listens: for TCP
    /// and where that is spoken for uTP. The node is told where it is reached.
    pub fn ask(ways: &Ways, node: &Node) -> Self {
        let mut router = Self::default();
        if ways.map_port {
            router.asked = Some(tokio::spawn(ask(ways.utp, node.clone())));
        }
        router
    }

    /// Returns what came of it for a person to read, once. A router that
    /// refuses is no reason to stop.
    pub async fn said(&mut self) -> Option<String> {
        let asked = self.asked.take_if(|asked| asked.is_finished())?;
        let (given, said) = asked.await.ok()?;
        self.given = given;
        Some(said)
    }

    /// Takes back what the router gave, within a bounded time.
    pub async fn end(&mut self) {
        if let Some(asked) = self.asked.take() {
            asked.abort();
        }
        #[cfg(feature = "portmap")]
        for mapped in self.given.drain(..) {
            mapped.end().await;
        }
    }
}

#[cfg(feature = "portmap")]
async fn ask(utp: bool, node: Node) -> (Given, String) {
    use net::portmap::{Protocol, open};
    let Some(local) = node.local_addr() else {
        return (
            Given::new(),
            "warning: there is no port to ask for".to_owned(),
        );
    };
    let mut given = Given::new();
    let said = match open(local, Protocol::Tcp).await {
        Ok(mapped) => {
            node.reached_at(mapped.external);
            let (port, by) = (mapped.external, mapped.by);
            given.push(mapped);
            format!("The router lets peers in at port {port} (by {by})")
        }
        Err(why) => format!("warning: {why}"),
    };
    if utp && let Ok(mapped) = open(local, Protocol::Udp).await {
        given.push(mapped);
    }
    (given, said)
}

#[cfg(not(feature = "portmap"))]
async fn ask(_utp: bool, _node: Node) -> (Given, String) {
    ((), "warning: this gt cannot ask routers".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_on_by_itself() {
        let ways = Ways::default();
        let mut options = net::Options::new([1; 32]);
        tune(&ways, &mut options).unwrap();
        assert_eq!(options.encryption, net::Encryption::Accept);
        #[cfg(feature = "utp")]
        assert!(!options.utp);
        assert!(table(&ways).unwrap().is_none());
    }

    #[cfg(not(feature = "portmap"))]
    #[test]
    fn what_was_not_built_says_so() {
        let ways = Ways {
            map_port: true,
            ..Ways::default()
        };
        assert!(tune(&ways, &mut net::Options::new([1; 32])).is_err());
    }
}
