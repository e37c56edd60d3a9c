//! Other people's clients, each in a process of its own, over loopback.

use std::net::{IpAddr, Ipv4Addr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use gt_wire::metainfo::Metainfo;

use super::*;

/// A libtorrent session that takes part in one torrent and nothing else.
const LIBTORRENT: &str = r#"
import sys, time, libtorrent as lt
torrent, folder, host, port, crypt, utp = sys.argv[1:7]
utp = utp == 'utp'
level = {'off': 2, 'prefer': 1, 'require': 0}[crypt]
session = lt.session({
    'listen_interfaces': (host if ':' not in host else '[' + host + ']') + ':' + port,
    'enable_dht': False, 'enable_lsd': False,
    'enable_upnp': False, 'enable_natpmp': False, 'allow_multiple_connections_per_ip': True,
    'enable_outgoing_utp': utp, 'enable_incoming_utp': utp,
    'enable_outgoing_tcp': not utp, 'enable_incoming_tcp': True, 'close_redundant_connections': False,
    'in_enc_policy': level, 'out_enc_policy': level,
    'allowed_enc_level': 2 if crypt == 'require' else 3, 'prefer_rc4': crypt != 'off',
})
if torrent.startswith('magnet:'):
    params = lt.parse_magnet_uri(torrent)
else:
    params = lt.add_torrent_params()
    params.ti = lt.torrent_info(torrent)
params.save_path = folder
params.flags &= ~(lt.torrent_flags.paused | lt.torrent_flags.auto_managed)
handle = session.add_torrent(params)
for peer in sys.argv[7:]:
    host, port = peer.rsplit(':', 1)
    handle.connect_peer((host.strip('[]'), int(port)))
while True:
    time.sleep(0.1)
"#;

/// What Transmission reads at its start.
const TRANSMISSION: &str = r#"{
    "bind-address-ipv4": "127.0.0.1", "dht-enabled": false, "lpd-enabled": false,
    "utp-enabled": false, "port-forwarding-enabled": false, "peer-port-random-on-start": false,
    "preallocation": 0
}"#;

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Client {
    Aria2,
    Libtorrent,
    Rqbit,
    Transmission,
}

/// How a client treats encryption.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Crypt {
    Off,
    Prefer,
    Require,
}

/// A process that ends with the test.
pub(super) struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What one client works with.
pub(super) struct Home {
    /// A .torrent file or a magnet link.
    pub(super) torrent: String,
    pub(super) folder: PathBuf,
    pub(super) crypt: Crypt,
    pub(super) host: IpAddr,
    /// Whether libtorrent speaks uTP and does not call by TCP.
    pub(super) utp: bool,
}

/// A folder for one test.
pub(super) struct Scratch {
    dir: tempfile::TempDir,
    torrent: String,
}

impl Scratch {
    pub(super) fn new(info: &Info) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let torrent = dir.path().join("sample.torrent");
        std::fs::write(&torrent, Metainfo::new(info.clone()).write()).unwrap();
        Self {
            torrent: torrent.to_str().unwrap().to_owned(),
            dir,
        }
    }

    /// Returns the home of one who has everything.
    pub(super) fn seed(&self) -> Home {
        let home = self.empty("seed");
        for (path, bytes) in contents(&original()) {
            let path = home.folder.join("sample").join(path.to_string());
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, bytes).unwrap();
        }
        home
    }

    pub(super) fn empty(&self, name: &str) -> Home {
        let folder = self.dir.path().join(name);
        std::fs::create_dir_all(&folder).unwrap();
        Home {
            torrent: self.torrent.clone(),
            folder,
            crypt: Crypt::Off,
            host: Ipv4Addr::LOCALHOST.into(),
            utp: false,
        }
    }
}

impl Home {
    /// Waits until everything is there.
    pub(super) async fn wait(&self, ours: &Peer, torrent: TorrentId) {
        let begun = std::time::Instant::now();
        while !self.is_whole() {
            if begun.elapsed() > PATIENCE {
                panic!(
                    "not within {PATIENCE:?}: {:?}",
                    ours.node.stats(torrent).await
                );
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    fn is_whole(&self) -> bool {
        let files = contents(&original());
        files.iter().all(|(path, bytes)| {
            let path = self.folder.join("sample").join(path.to_string());
            // Transmission makes no empty files.
            bytes.is_empty() || std::fs::read(path).is_ok_and(|b| b == *bytes)
        })
    }
}

impl Client {
    /// Starts it, and waits until it listens. Only libtorrent can be told of
    /// a peer.
    pub(super) fn start(self, home: &Home, port: u16, peer: Option<SocketAddr>) -> Process {
        let quiet = &mut self.command(home, port, peer);
        let quiet = quiet
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let process = Process(quiet.spawn().expect("the client is installed"));
        // It listens when it has read what it has.
        for _ in 0..200 {
            if TcpStream::connect((home.host, port)).is_ok() {
                break;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        if self == Self::Transmission {
            // It listens before it knows what it has.
            std::thread::sleep(Duration::from_secs(3));
        }
        process
    }

    fn command(self, home: &Home, port: u16, peer: Option<SocketAddr>) -> Command {
        let mut command;
        match self {
            Self::Aria2 => {
                command = Command::new("aria2c");
                command
                    .args(["--no-conf", "--enable-dht=false", "--enable-dht6=false"])
                    .args(["--bt-enable-lpd=false", "--seed-ratio=0.0"])
                    .args(["--check-integrity=true", "--file-allocation=none"])
                    .arg(format!("--interface={}", home.host))
                    .arg(format!("--listen-port={port}"));
                match home.crypt {
                    Crypt::Off => {}
                    Crypt::Prefer => drop(command.arg("--bt-min-crypto-level=arc4")),
                    Crypt::Require => drop(
                        command.args(["--bt-require-crypto=true", "--bt-min-crypto-level=arc4"]),
                    ),
                }
                command.arg("-d").arg(&home.folder).arg(&home.torrent);
            }
            Self::Libtorrent => {
                command = Command::new("/usr/bin/python3");
                let crypt = match home.crypt {
                    Crypt::Off => "off",
                    Crypt::Prefer => "prefer",
                    Crypt::Require => "require",
                };
                command
                    .args(["-c", LIBTORRENT, &home.torrent])
                    .arg(&home.folder)
                    .args([&home.host.to_string(), &port.to_string(), crypt])
                    .arg(if home.utp { "utp" } else { "tcp" })
                    .args(peer.map(|p| p.to_string()));
            }
            Self::Rqbit => {
                let program = rqbit().unwrap_or_else(|| "rqbit".into());
                command = Command::new(program);
                command
                    .args(["-v", "warn", "--disable-dht", "--disable-lsd"])
                    .args(["--disable-upnp-port-forward", "--disable-trackers"])
                    .args(["--listen-ip", &home.host.to_string()])
                    .args(["--listen-port", &port.to_string()])
                    .args(["download", "--disable-http-api", "--overwrite", "-o"])
                    .arg(&home.folder)
                    .arg(&home.torrent);
            }
            Self::Transmission => {
                let config = home.folder.with_extension("config");
                std::fs::create_dir_all(&config).unwrap();
                std::fs::write(config.join("settings.json"), TRANSMISSION).unwrap();
                command = Command::new("transmission-cli");
                command
                    .arg(match home.crypt {
                        Crypt::Off => "-et",
                        Crypt::Prefer => "-ep",
                        Crypt::Require => "-er",
                    })
                    .args(["-M", "-v", "-p", &port.to_string(), "-g"])
                    .args([&config, Path::new("-w"), &home.folder])
                    .arg(&home.torrent);
            }
        }
        command
    }
}

/// Returns where rqbit is, if it is anywhere: no distribution has it, and to
/// build it takes longer than all tests.
pub(super) fn rqbit() -> Option<PathBuf> {
    let named = std::env::var_os("PEERS_BIN").map(PathBuf::from);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = named.into_iter().chain(std::env::split_paths(&path));
    let mut programs = folders.map(|folder| folder.join("rqbit"));
    programs.find(|program| program.is_file())
}

/// Returns a port that was free a moment ago.
pub(super) fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}
