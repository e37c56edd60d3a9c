//! What a node does, told to whoever listens by the `tracing` crate: a span
//! for each torrent, inside it one for each connection, and what happens there
//! as events. The core knows nothing of it.

use std::net::SocketAddr;

use tracing::{Span, debug, debug_span, info, info_span, trace, warn};

use super::Event;
use crate::InfoHash;
use crate::swarm::ConnId;

/// Returns the span of a torrent.
pub(super) fn torrent(hash: Option<&InfoHash>) -> Span {
    match hash {
        Some(hash) => info_span!(parent: None, "torrent", %hash),
        None => Span::none(),
    }
}

/// Returns the span of a connection.
pub(super) fn peer(torrent: &Span, conn: ConnId, addr: SocketAddr, outgoing: bool) -> Span {
    let conn = conn.0;
    debug_span!(parent: torrent, "peer", conn, %addr, outgoing)
}

/// Tells of an event in the span of its connection, or else of its torrent.
pub(super) fn event(span: &Span, event: &Event) {
    span.in_scope(|| match event {
        Event::PeerConnected { peer_id, .. } => debug!(%peer_id, "connected"),
        Event::PeerDisconnected {
            conn, addr, why, ..
        } => debug!(conn = conn.0, %addr, why, "disconnected"),
        Event::Banned { addr, why, .. } => info!(%addr, why, "banned"),
        Event::Progress { have, pieces, .. } => trace!(have, pieces, "progress"),
        Event::FileClosed { path, verdict, .. } => debug!(%path, %verdict, "file closed"),
        Event::Complete { .. } => info!("complete"),
        Event::Failed { why, .. } => warn!(why, "failed"),
        Event::Stalled { why, .. } => warn!(why, "stalled"),
        Event::SourceFailed { why, .. } => info!(why, "source failed"),
        Event::Metadata { info, .. } => debug!(bytes = info.len(), "info dictionary"),
        Event::References(_) => {}
    });
}
