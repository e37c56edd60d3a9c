//! Asking those who know peers.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::TorrentId;
use super::driver::News;
use crate::PeerSource;
use crate::source::Announce;
use crate::swarm::Source;

/// How long one source may take, whatever it promises.
const PATIENCE: Duration = Duration::from_secs(30);
/// When a torrent without sources is asked again.
const NOBODY: Duration = Duration::from_secs(30 * 60);

/// What became of an announce. Sources are named by their number.
pub(super) enum Told {
    /// One source answered.
    Peers(usize, Source, Vec<SocketAddr>),
    /// One source did not.
    Failed(usize, String),
    /// All have answered or failed; when to ask again, if any answered.
    Through(Option<Duration>),
}

/// Asks every source at once, about each name of the torrent.
pub(super) fn announce(
    torrent: TorrentId,
    sources: &[Arc<dyn PeerSource>],
    announces: Vec<Announce>,
    news: mpsc::Sender<News>,
) {
    let mut asked = JoinSet::new();
    for (number, source) in sources.iter().enumerate() {
        for announce in &announces {
            let (source, announce) = (source.clone(), announce.clone());
            asked.spawn(async move {
                let kind = source.kind();
                let answer = tokio::time::timeout(PATIENCE, source.announce(announce)).await;
                let answer = match answer {
                    Ok(Ok(answer)) => Ok((kind, answer)),
                    Ok(Err(why)) => Err(why.to_string()),
                    Err(_) => Err(format!("{} took too long", source.name())),
                };
                (number, answer)
            });
        }
    }
    let mut again = sources.is_empty().then_some(NOBODY);
    tokio::spawn(async move {
        let tell = async |told| news.send(News::Told { torrent, told }).await;
        while let Some(answer) = asked.join_next().await {
            // A source that panicked is one that failed.
            let answer = answer.unwrap_or_else(|e| (usize::MAX, Err(e.to_string())));
            let told = match answer {
                (number, Ok((kind, answer))) => {
                    let interval = answer.interval.max(answer.min_interval.unwrap_or_default());
                    again = Some(again.map_or(interval, |other| other.min(interval)));
                    Told::Peers(number, kind, answer.peers)
                }
                (number, Err(why)) => Told::Failed(number, why),
            };
            if tell(told).await.is_err() {
                return;
            }
        }
        let _ = tell(Told::Through(again)).await;
    });
}
