//! Bringing a repository here once: who has it, what is newest, all of it;
//! each wait bounded and ended with a reason.

use std::time::{Duration, Instant};

use crate::op::follow::{self, Follow, Tried};
use crate::told::Told;

/// How long others may still tell of something newer, after the first answer.
const GRACE: Duration = Duration::from_millis(300);
/// How long a transfer may stand still.
const STALL: Duration = Duration::from_secs(60);
/// How long what stands in the way here, such as a full disk, may last. Others
/// cannot help with it, so that it is shorter.
const HINDERED: Duration = Duration::from_secs(20);

/// How many refusals are remembered for the message.
const REFUSED: usize = 8;

/// Waits until somebody has told what the newest statement is.
///
/// # Errors
/// [`Error::Nobody`] with what was tried, when `patience` is over.
pub async fn learn(
    follow: &mut Follow,
    patience: Duration,
    tell: &mut dyn FnMut(&Told),
) -> Result<(), Error> {
    let end = Instant::now() + patience;
    let mut until = end;
    let mut answered = false;
    let mut refused = Vec::new();
    loop {
        if let Some(told) = follow.next().await? {
            tell(&told);
            match told {
                Told::Statement { from: Some(_), .. } | Told::Confirmed(_) => {
                    answered = true;
                    until = end.min(Instant::now() + GRACE);
                }
                Told::Refused { from, why } if refused.len() < REFUSED => {
                    refused.push(format!("{from}: {why}"));
                }
                Told::Failed(why) => return Err(Error::Failed(why)),
                _ => {}
            }
        }
        if Instant::now() < until {
            continue;
        }
        if answered {
            return Ok(());
        }
        return Err(Error::Nobody {
            seconds: patience.as_secs(),
            tried: follow.tried(),
            refused,
        });
    }
}

/// Waits until everything of the newest statement is here; for a mirror, its
/// refs too.
///
/// # Errors
/// [`Error::Failed`] where it cannot be completed, [`Error::Still`] where
/// nothing has moved for a minute, [`Error::Hindered`] where something here
/// has stood in the way for long. What has come is kept.
pub async fn complete(follow: &mut Follow, tell: &mut dyn FnMut(&Told)) -> Result<(), Error> {
    let mut until = Instant::now() + STALL;
    let mut last = "nothing has come".to_owned();
    let mut hindered: Option<(Instant, String)> = None;
    // It may have come while others were still being asked for news.
    while !follow.is_settled() {
        if let Some(told) = follow.next().await? {
            tell(&told);
            match told {
                Told::Failed(why) => return Err(Error::Failed(why)),
                Told::Stalled(why) => {
                    let since = hindered.map_or_else(Instant::now, |(since, _)| since);
                    hindered = Some((since, why));
                }
                Told::Progress { have, total, .. } => {
                    hindered = None;
                    until = Instant::now() + STALL;
                    last = format!("{have} of {total} pieces have come");
                }
                // A block may be far smaller than a piece on a slow line.
                Told::Traffic(traffic) if traffic.downloaded > 0 => {
                    until = Instant::now() + STALL;
                }
                Told::Reel(_) | Told::Statement { .. } => until = Instant::now() + STALL,
                _ => {}
            }
        }
        if let Some((since, why)) = &hindered
            && since.elapsed() > HINDERED
        {
            return Err(Error::Hindered {
                seconds: HINDERED.as_secs(),
                why: why.clone(),
            });
        }
        if Instant::now() >= until {
            return Err(Error::Still {
                seconds: STALL.as_secs(),
                last,
                tried: follow.tried(),
            });
        }
    }
    for told in follow.drain() {
        tell(&told);
        if let Told::Failed(why) = told {
            return Err(Error::Failed(why));
        }
    }
    Ok(())
}

/// Why a repository was not brought.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Nobody said that they have it.
    #[error("nobody who has the repository was found within {seconds} s: {tried}{}", also(.refused))]
    Nobody {
        /// How long it was looked for.
        seconds: u64,
        /// What came of each place.
        tried: Tried,
        /// What peers said that was refused.
        refused: Vec<String>,
    },
    /// It cannot be completed.
    #[error("{0}")]
    Failed(String),
    /// Nothing moves.
    #[error("nothing has come for {seconds} s ({last}; what has come is kept): {tried}")]
    Still {
        /// How long nothing moved.
        seconds: u64,
        /// How far it was.
        last: String,
        /// What came of each place.
        tried: Tried,
    },
    /// Something on this machine stands in the way.
    #[error(
        "{why}; it still was so after {seconds} s. What has come is kept: run it again when that is mended"
    )]
    Hindered {
        /// How long.
        seconds: u64,
        /// What it is.
        why: String,
    },
    /// Following broke.
    #[error(transparent)]
    Follow(#[from] follow::Error),
}

fn also(refused: &[String]) -> String {
    match refused {
        [] => String::new(),
        some => format!("; refused: {}", some.join("; ")),
    }
}
