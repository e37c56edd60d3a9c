//! A real server.

use std::process::{Child, Command, Stdio};

use super::super::clients::{Scratch, free_port};
use super::*;

/// A server that ends with the test.
struct Nginx(Child);

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Nginx {
    /// Serves a folder; `more` goes into the server's block.
    async fn start(scratch: &Path, folder: &Path, port: u16, more: &str) -> Self {
        let here = scratch.display();
        let config = format!(
            "daemon off; master_process off; pid {here}/pid; error_log {here}/error.log;
             events {{ worker_connections 64; }}
             http {{
                 access_log off; client_body_temp_path {here}/a; proxy_temp_path {here}/b;
                 fastcgi_temp_path {here}/c; uwsgi_temp_path {here}/d; scgi_temp_path {here}/e;
                 server {{ listen 127.0.0.1:{port}; root {}; {more} }}
             }}",
            folder.display()
        );
        let file = scratch.join("nginx.conf");
        std::fs::write(&file, config).unwrap();
        let mut command = Command::new("/usr/sbin/nginx");
        let child = command
            .arg("-c")
            .arg(&file)
            .arg("-p")
            .arg(scratch)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("nginx is installed");
        for _ in 0..100 {
            if std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Self(child)
    }
}

async fn fetch_from_nginx(version: Version, more: &str) {
    let info = plan_of(version);
    let scratch = Scratch::new(&info);
    let port = free_port();
    let place = tempfile::tempdir().unwrap();
    let _nginx = Nginx::start(place.path(), &scratch.seed().folder, port, more).await;
    let store = Memory::new();
    let mut leech = Peer::start(options(1));
    let torrent = with(&info, &store, &[format!("http://127.0.0.1:{port}/")]);
    leech.node.add(torrent).await.unwrap();
    leech.complete().await;
    assert!(contents(&store) == contents(&original()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs nginx"]
async fn nginx_is_a_mirror() {
    for version in [Version::V1, Version::V2, Version::Hybrid] {
        fetch_from_nginx(version, "").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs nginx"]
async fn nginx_without_ranges_and_without_patience() {
    fetch_from_nginx(Version::V1, "max_ranges 0;").await;
    fetch_from_nginx(Version::V2, "keepalive_requests 1; limit_rate 700k;").await;
}
