//! A tracker on a port of your choice, until Ctrl-C:
//!
//! ```text
//! cargo run --example 2-tracker -- 6969
//! ```
//!
//! Any client can use it: `aria2c --bt-tracker=http://127.0.0.1:6969/announce …`.
//! `curl http://127.0.0.1:6969/` says how many torrents and peers it knows.

use std::error::Error;
use std::net::{Ipv6Addr, SocketAddr};

use gt_tracker::{Server, server};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let port = std::env::args().nth(1).ok_or("which port?")?.parse()?;
    // On most systems this address takes IPv4 too.
    let address = SocketAddr::from((Ipv6Addr::UNSPECIFIED, port));
    let server = Server::bind(address, server::Options::default()).await?;
    println!("http://localhost:{}/announce", server.local_addr().port());
    server
        .run(async {
            // Without Ctrl-C to wait for, there is nothing to serve for.
            let _ = tokio::signal::ctrl_c().await;
        })
        .await;
    Ok(())
}
