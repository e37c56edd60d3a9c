//! Encrypted handshakes on sockets: who asks for them, and how many strangers
//! may.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use bytes::BytesMut;
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::{Instant, timeout};

use super::listen::{self, SET_UP};
use super::pipe::Pipe;
use super::{Encryption, Options};
use crate::InfoHash;
use crate::mse::{Answer, Dial, Methods, Secret, Step, alias};

/// Encrypted handshakes of strangers a second: each costs two powers of a
/// 768-bit number, which is what makes it cheap to ask and dear to answer.
const ANSWERS: f64 = 50.0;

/// How many there may be at once, after a silence.
const RUSH: f64 = 100.0;

/// What a node needs for encrypted handshakes.
#[derive(Debug)]
pub(super) struct Lock {
    pub(super) encryption: Encryption,
    #[cfg(feature = "utp")]
    pub(super) speaks_utp: bool,
    #[cfg(feature = "utp")]
    pub(super) utp: super::utp::Utp,
    seed: [u8; 32],
    count: AtomicU64,
    names: Mutex<BTreeMap<[u8; 20], InfoHash>>,
    budget: Mutex<(Instant, f64)>,
}

impl Lock {
    pub(super) fn new(options: &Options) -> Self {
        Self {
            encryption: options.encryption,
            #[cfg(feature = "utp")]
            speaks_utp: options.utp,
            #[cfg(feature = "utp")]
            utp: super::utp::Utp::default(),
            seed: options.seed,
            count: AtomicU64::new(0),
            names: Mutex::default(),
            budget: Mutex::new((Instant::now(), RUSH)),
        }
    }

    /// Lets strangers ask for a torrent.
    pub(super) fn learn(&self, hash: InfoHash) {
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        names.insert(alias(hash), hash);
    }

    pub(super) fn forget(&self, hash: InfoHash) {
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        names.remove(&alias(hash));
    }

    /// Tells whether a torrent is here.
    pub(super) fn knows(&self, hash: InfoHash) -> bool {
        self.known(&alias(hash)) == Some(hash)
    }

    fn known(&self, name: &[u8; 20]) -> Option<InfoHash> {
        let names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        names.get(name).copied()
    }

    /// Returns a secret of its own for each handshake, and some padding. Both
    /// follow from the node's seed, which nobody knows.
    fn dice(&self) -> (Secret, Vec<u8>) {
        let count = self.count.fetch_add(1, Ordering::Relaxed);
        let roll = |what: u8| -> [u8; 32] {
            Sha256::new()
                .chain_update(b"gt-mse")
                .chain_update(self.seed)
                .chain_update(count.to_le_bytes())
                .chain_update([what])
                .finalize()
                .into()
        };
        let [random @ .., a, _, _, _, _, _, _, _, _, _, _, _] = roll(0);
        let mut padding = Vec::new();
        for n in 1..=8 {
            padding.extend_from_slice(&roll(n));
        }
        padding.truncate(usize::from(a));
        (Secret::new(random), padding)
    }

    fn may_answer(&self) -> bool {
        let mut budget = self.budget.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let (at, left) = *budget;
        let left = (left + (now - at).as_secs_f64() * ANSWERS).min(RUSH);
        let may = left >= 1.0;
        *budget = (now, if may { left - 1.0 } else { left });
        may
    }

    /// Answers a stranger whose first bytes are not a plain handshake.
    pub(super) async fn answer(&self, mut socket: Pipe, mut came: BytesMut) -> io::Result<Pipe> {
        let takes: &'static [Methods] = match self.encryption {
            Encryption::Off => &[],
            Encryption::Accept => &[Methods::PLAIN, Methods::RC4],
            Encryption::Prefer => &[Methods::RC4, Methods::PLAIN],
            Encryption::Require => &[Methods::RC4],
        };
        if takes.is_empty() || came.len() >= 96 && !self.may_answer() {
            return Err(io::ErrorKind::ConnectionRefused.into());
        }
        let (secret, padding) = self.dice();
        let mut answer = Answer::new(secret, takes, padding);
        let mut paid = came.len() >= 96;
        loop {
            match answer.take(&mut came, |name| self.known(name)) {
                Ok(Step::Say(bytes)) => say(&mut socket, &bytes).await?,
                Ok(Step::Done(opened)) => return Ok(Pipe::opened(socket, *opened)),
                Ok(Step::More) => {
                    if socket.read_buf(&mut came).await? == 0 {
                        return Err(io::ErrorKind::UnexpectedEof.into());
                    }
                    if !paid && came.len() >= 96 {
                        paid = true;
                        if !self.may_answer() {
                            return Err(io::ErrorKind::ConnectionRefused.into());
                        }
                    }
                }
                Err(why) => return Err(io::Error::new(io::ErrorKind::InvalidData, why)),
            }
        }
    }

    /// Connects as the node's options say: by TCP, and where nobody is
    /// reached so by uTP, if we speak it.
    pub(super) async fn connect(&self, addr: SocketAddr, skey: InfoHash) -> io::Result<Pipe> {
        let socket = self.by(Way::Tcp, addr, skey).await;
        #[cfg(feature = "utp")]
        if socket.is_err() && self.speaks_utp {
            return self.by(Way::Utp, addr, skey).await;
        }
        socket
    }

    /// Connects to somebody who connects to us at this moment (BEP 55), which
    /// only uTP can do.
    pub(super) async fn punch(&self, addr: SocketAddr, skey: InfoHash) -> io::Result<Pipe> {
        #[cfg(feature = "utp")]
        if self.speaks_utp {
            return self.by(Way::Punch, addr, skey).await;
        }
        let _ = (addr, skey);
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Tells whether it can.
    pub(super) fn punches(&self) -> bool {
        #[cfg(feature = "utp")]
        return self.speaks_utp;
        #[cfg(not(feature = "utp"))]
        false
    }

    /// Connects in one way, encrypted or not.
    async fn by(&self, way: Way, addr: SocketAddr, skey: InfoHash) -> io::Result<Pipe> {
        let offers = match self.encryption {
            Encryption::Off | Encryption::Accept => return self.reach(way, addr).await,
            Encryption::Prefer => Methods::BOTH,
            Encryption::Require => Methods::RC4,
        };
        let socket = self.reach(way, addr).await?;
        let sealed = timeout(SET_UP, self.dial(socket, skey, offers)).await;
        match sealed.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
            Err(_) if self.encryption == Encryption::Prefer => self.reach(way, addr).await,
            sealed => sealed,
        }
    }

    async fn reach(&self, way: Way, addr: SocketAddr) -> io::Result<Pipe> {
        match way {
            Way::Tcp => listen::connect(addr).await.map(Pipe::Tcp),
            #[cfg(feature = "utp")]
            Way::Utp => self.utp.connect(addr).await,
            #[cfg(feature = "utp")]
            Way::Punch => self.utp.punch(addr).await,
        }
    }

    async fn dial(&self, mut socket: Pipe, skey: InfoHash, offers: Methods) -> io::Result<Pipe> {
        let (secret, padding) = self.dice();
        // The swarm says its handshake when the connection stands.
        let (mut dial, first) = Dial::new(skey, secret, offers, padding, Vec::new());
        say(&mut socket, &first).await?;
        let mut came = BytesMut::new();
        loop {
            match dial.take(&mut came) {
                Ok(Step::Say(bytes)) => say(&mut socket, &bytes).await?,
                Ok(Step::Done(opened)) => return Ok(Pipe::opened(socket, *opened)),
                Ok(Step::More) => {
                    if socket.read_buf(&mut came).await? == 0 {
                        return Err(io::ErrorKind::UnexpectedEof.into());
                    }
                }
                Err(why) => return Err(io::Error::new(io::ErrorKind::InvalidData, why)),
            }
        }
    }
}

/// Says all of something, now: uTP waits for more otherwise.
async fn say(socket: &mut Pipe, bytes: &[u8]) -> io::Result<()> {
    socket.write_all(bytes).await?;
    socket.flush().await
}

/// How somebody is reached.
#[derive(Clone, Copy, Debug)]
enum Way {
    Tcp,
    #[cfg(feature = "utp")]
    Utp,
    #[cfg(feature = "utp")]
    Punch,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn strangers_have_a_budget() {
        let lock = Lock::new(&Options::new([1; 32]));
        let answered = (0..1000).filter(|_| lock.may_answer()).count();
        assert!((100..150).contains(&answered), "{answered}");
    }

    #[tokio::test]
    async fn secrets_differ() {
        let lock = Lock::new(&Options::new([1; 32]));
        let (one, two) = (lock.dice(), lock.dice());
        assert_ne!(one.1, two.1);
    }
}
