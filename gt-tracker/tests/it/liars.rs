//! Trackers that lie, drip and flood.

use std::time::Duration;

use gt_tracker::client::{Options, Reach};
use gt_tracker::{HttpTracker, limits};
use gt_wire::PeerSource;
use gt_wire::source::SourceError;
use tokio::io::AsyncWriteExt as _;
use tokio::time::Instant;

use crate::rig::{announce, ok, says, serves};

async fn ask(url: &str) -> SourceError {
    let mut options = Options::default();
    options.whole = Duration::from_millis(800);
    let tracker = HttpTracker::new(url, Reach::Any).unwrap().with(options);
    let began = Instant::now();
    let error = tracker.announce(announce(1, 1, 1, None)).await.unwrap_err();
    assert!(began.elapsed() < Duration::from_secs(5), "{error}");
    error
}

fn nonsense(error: &SourceError, why: &str) {
    assert!(matches!(error, SourceError::Malformed { .. }), "{error}");
    assert!(error.to_string().contains(why), "{error}");
}

#[tokio::test]
async fn wrong_bodies_are_nonsense() {
    for (body, why) in [
        (
            &b"d5:peers7:abcdefge"[..],
            "in pieces of 6 bytes, got 7 bytes",
        ),
        (b"d5:peers99:abc", "expected more bytes"),
        (b"<html></html>", "expected a bencoded value"),
        (b"", "expected more bytes"),
        (b"d8:intervali-1ee", "interval"),
    ] {
        nonsense(&ask(&says(ok(body)).await).await, why);
    }
    let deep = ok(&b"l".repeat(limits::ANSWER));
    nonsense(&ask(&says(deep).await).await, "at most 8 nested");
}

#[tokio::test]
async fn its_own_refusal_is_told_in_its_words() {
    let body = b"d14:failure reason12:unregisterede";
    let error = ask(&says(ok(body)).await).await;
    assert!(
        error.to_string().ends_with("refuses: unregistered"),
        "{error}"
    );
    // With a status of failure too, which some trackers send.
    let head = "HTTP/1.1 403 Forbidden\r\nConnection: close\r\nContent-Length: 34\r\n\r\n";
    let error = ask(&says([head.as_bytes(), body].concat()).await).await;
    assert!(
        error.to_string().ends_with("refuses: unregistered"),
        "{error}"
    );
    let plain = "HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\ngone";
    let error = ask(&says(plain).await).await;
    assert!(
        error
            .to_string()
            .ends_with("refuses: HTTP status 404 Not Found"),
        "{error}"
    );
    // Peers with a status of failure are no answer.
    let odd = "HTTP/1.1 500 X\r\nContent-Length: 11\r\n\r\nd5:peers0:e";
    let error = ask(&says(odd).await).await;
    assert!(matches!(error, SourceError::Refused { .. }), "{error}");
}

#[tokio::test]
async fn a_huge_length_is_refused_before_it_is_waited_for() {
    let head = "HTTP/1.1 200 OK\r\nContent-Length: 1000000000000\r\n\r\nd";
    let began = Instant::now();
    nonsense(&ask(&says(head).await).await, "at most 1048576 bytes");
    assert!(began.elapsed() < Duration::from_millis(700));
}

#[tokio::test]
async fn an_endless_body_ends_at_the_ceiling() {
    let url = serves(|mut stream, _| async move {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\nd5:peers").await;
        while stream.write_all(&[b'1'; 4096]).await.is_ok() {}
    })
    .await;
    nonsense(&ask(&url).await, "at most 1048576 bytes");
}

#[tokio::test]
async fn an_endless_head_ends_at_the_ceiling() {
    let url = serves(|mut stream, _| async move {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nX: ").await;
        while stream.write_all(&[b'1'; 4096]).await.is_ok() {}
    })
    .await;
    nonsense(&ask(&url).await, "message head is too large");
}

#[tokio::test]
async fn a_drip_ends_in_time() {
    let url = serves(|mut stream, _| async move {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
        while stream.write_all(b"d").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    let error = ask(&url).await.to_string();
    assert!(error.ends_with("no whole answer within 800ms"), "{error}");
    let silent = serves(|stream, _| async move {
        tokio::time::sleep(Duration::from_secs(10)).await;
        drop(stream);
    })
    .await;
    let error = ask(&silent).await.to_string();
    assert!(error.ends_with("no whole answer within 800ms"), "{error}");
}

#[tokio::test]
async fn a_short_body_is_no_answer() {
    let url = serves(|mut stream, _| async move {
        let _ = stream
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\nde")
            .await;
    })
    .await;
    let error = ask(&url).await;
    assert!(matches!(error, SourceError::Unreachable { .. }), "{error}");
}

#[tokio::test]
async fn no_http_is_nonsense() {
    nonsense(
        &ask(&says("SSH-2.0-OpenSSH_9.2\r\n\r\n").await).await,
        "HTTP",
    );
    let packed = "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\nde";
    nonsense(&ask(&says(packed).await).await, "gzip");
}

#[tokio::test]
async fn redirects_are_followed_so_far() {
    let to = |location: &str| {
        format!("HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n")
    };
    let good = says(ok(b"d8:intervali77e5:peers0:e")).await;
    let away = says(to(&good)).await;
    let tracker = HttpTracker::new(&away, Reach::Any).unwrap();
    let answer = tracker.announce(announce(1, 1, 1, None)).await.unwrap();
    assert_eq!(answer.interval, Duration::from_secs(77));

    nonsense(
        &ask(&says(to("/announce")).await).await,
        "at most 3 redirects",
    );
    nonsense(
        &ask(&says(to("https://example.org/")).await).await,
        "expected http, got https",
    );
    nonsense(
        &ask(&says(to("http://u@127.0.0.1/")).await).await,
        "user name",
    );
    let nowhere = says("HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n").await;
    assert!(matches!(ask(&nowhere).await, SourceError::Refused { .. }));
}

/// What a stranger wrote must not reach our own network, by name or number.
#[tokio::test]
async fn a_strangers_url_does_not_lead_to_loopback() {
    let good = says(ok(b"d5:peers0:e")).await;
    let port = good.rsplit(':').next().unwrap();
    for host in [
        "127.0.0.1",
        "localhost",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "0.0.0.0",
        "127.1",
    ] {
        let url = format!("http://{host}:{port}");
        let tracker = HttpTracker::new(&url, Reach::Public).unwrap();
        let error = tracker.announce(announce(1, 1, 1, None)).await.unwrap_err();
        assert!(
            error
                .to_string()
                .contains("not an address of the public Internet"),
            "{error}"
        );
    }
}
