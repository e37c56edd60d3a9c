//! A wire between two peers that can be cut, and one that lies.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

/// What happens to what a seed sends.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Wire {
    /// It goes through up to this many bytes in all; then nothing moves.
    Stops(u64),
    /// One byte of each block is another one.
    Lies,
}

/// A proxy before a seed, for as long as the test runs.
pub(crate) struct Proxy {
    pub(crate) place: String,
    passed: Arc<AtomicU64>,
    connections: Arc<AtomicU64>,
}

impl Proxy {
    pub(crate) fn start(seed: &str, wire: Wire) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let place = listener.local_addr().unwrap().to_string();
        let passed = Arc::new(AtomicU64::new(0));
        let connections = Arc::new(AtomicU64::new(0));
        let (seed, all, count) = (seed.to_owned(), passed.clone(), connections.clone());
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let Ok(server) = TcpStream::connect(&seed) else {
                    continue;
                };
                count.fetch_add(1, Ordering::SeqCst);
                let up = (client.try_clone().unwrap(), server.try_clone().unwrap());
                thread::spawn(move || {
                    let (mut from, mut to) = up;
                    let _ = std::io::copy(&mut from, &mut to);
                    let _ = to.shutdown(Shutdown::Both);
                });
                let all = all.clone();
                thread::spawn(move || {
                    let _ = down(server, &client, wire, &all);
                    let _ = client.shutdown(Shutdown::Both);
                });
            }
        });
        Self {
            place,
            passed,
            connections,
        }
    }

    /// Bytes that went from the seed to others.
    pub(crate) fn passed(&self) -> u64 {
        self.passed.load(Ordering::SeqCst)
    }

    /// Connections that were made to it.
    pub(crate) fn connections(&self) -> u64 {
        self.connections.load(Ordering::SeqCst)
    }
}

fn down(
    mut from: TcpStream,
    mut to: &TcpStream,
    wire: Wire,
    passed: &AtomicU64,
) -> std::io::Result<()> {
    // BEP 3: a handshake of 68 bytes, then messages behind their lengths.
    let mut message = vec![0; 68];
    from.read_exact(&mut message)?;
    loop {
        if wire == Wire::Lies && message.len() > 13 && message[4] == 7 {
            let middle = message.len() / 2;
            message[middle] ^= 0x55;
        }
        let before = passed.fetch_add(message.len() as u64, Ordering::SeqCst);
        if let Wire::Stops(limit) = wire
            && before > limit
        {
            loop {
                thread::park();
            }
        }
        to.write_all(&message)?;
        let mut length = [0; 4];
        from.read_exact(&mut length)?;
        message = vec![0; 4 + u32::from_be_bytes(length) as usize];
        message[..4].copy_from_slice(&length);
        from.read_exact(&mut message[4..])?;
    }
}
