//! Our client and our server.

use std::sync::Arc;
use std::time::Duration;

use gt_tracker::client::Reach;
use gt_tracker::{HttpTracker, Tiers, server};
use gt_wire::source::{Event, SourceError};
use gt_wire::{InfoHash, PeerSource};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::rig::{self, Running, announce};

fn tracker(url: &str) -> HttpTracker {
    HttpTracker::new(url, Reach::Any).unwrap()
}

#[tokio::test]
async fn peers_meet_and_part() {
    let running = Running::start(server::Options::default()).await;
    let tracker = tracker(&running.url());
    let started = Some(Event::Started);
    let first = tracker
        .announce(announce(1, 1001, 9, started))
        .await
        .unwrap();
    assert!(first.peers.is_empty());
    assert_eq!(first.interval, Duration::from_secs(15));
    let second = tracker
        .announce(announce(2, 1002, 0, started))
        .await
        .unwrap();
    assert_eq!(second.peers, ["127.0.0.1:1001".parse().unwrap()]);
    assert_eq!((second.complete, second.incomplete), (Some(1), Some(1)));

    let known = InfoHash([7; 20]);
    let many: Vec<_> = (0..100).map(|n| InfoHash([n; 20])).collect();
    let counts = tracker.scrape(&many).await.unwrap();
    assert_eq!(counts.keys().collect::<Vec<_>>(), [&known]);
    assert_eq!((counts[&known].complete, counts[&known].incomplete), (1, 1));

    let stopped = announce(1, 1001, 9, Some(Event::Stopped));
    tracker.announce(stopped).await.unwrap();
    let alone = tracker.announce(announce(2, 1002, 0, None)).await.unwrap();
    assert!(alone.peers.is_empty());
}

#[tokio::test]
async fn a_swarm_at_once_and_a_graceful_end() {
    let running = Running::start(server::Options::default()).await;
    let tracker = Arc::new(tracker(&running.url()));
    let mut asking = tokio::task::JoinSet::new();
    for peer in 0..100 {
        let tracker = Arc::clone(&tracker);
        asking.spawn(async move {
            let port = 2000 + u16::from(peer);
            tracker
                .announce(announce(peer, port, 1, None))
                .await
                .unwrap()
        });
    }
    asking.join_all().await;
    let all = tracker.announce(announce(200, 1, 1, None)).await.unwrap();
    assert_eq!(all.incomplete, Some(101));
    assert_eq!(all.peers.len(), 50);
    running.stop.send(()).unwrap();
    running.task.await.unwrap();
    let gone = tracker
        .announce(announce(200, 1, 1, None))
        .await
        .unwrap_err();
    assert!(matches!(gone, SourceError::Unreachable { .. }), "{gone}");
}

/// Speaks to the server as a person with a terminal would.
async fn by_hand(running: &Running, request: &str) -> String {
    let mut stream = TcpStream::connect(running.address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn people_and_wrong_requests_get_an_answer() {
    let running = Running::start(server::Options::default()).await;
    let get = async |path: &str| {
        by_hand(&running, &format!("GET {path} HTTP/1.1\r\nHost: t\r\n\r\n")).await
    };
    tracker(&running.url())
        .announce(announce(1, 1, 1, None))
        .await
        .unwrap();
    let page = get("/").await;
    assert!(page.contains("torrents: 1\npeers: 1\n"), "{page}");
    assert!(get("/x").await.starts_with("HTTP/1.1 404 "));
    let failure = get("/announce?port=1").await;
    assert!(failure.starts_with("HTTP/1.1 200 "));
    assert!(
        failure.ends_with("d14:failure reason28:expected info_hash, got nonee"),
        "{failure}"
    );
    let failure = get("/scrape").await;
    assert!(
        failure.ends_with("d14:failure reason28:expected info_hash, got nonee"),
        "{failure}"
    );
    let post = by_hand(&running, "POST /announce HTTP/1.1\r\nHost: t\r\n\r\n").await;
    assert!(post.starts_with("HTTP/1.1 405 "), "{post}");
    let junk = by_hand(&running, "\x16\x03\x01 junk\r\n\r\n").await;
    assert!(junk.starts_with("HTTP/1.1 400 "), "{junk}");
}

#[tokio::test]
async fn dictionaries_only_on_request() {
    let running = Running::start(server::Options::default()).await;
    tracker(&running.url())
        .announce(announce(b'a', 1001, 1, None))
        .await
        .unwrap();
    let ask = async |more: &str| {
        let request = format!(
            "GET /announce?info_hash={}&peer_id=bbbbbbbbbbbbbbbbbbbb&port=0&left=1{more} HTTP/1.0\r\n\r\n",
            "%07".repeat(20)
        );
        by_hand(&running, &request).await
    };
    let id = "7:peer id20:aaaaaaaaaaaaaaaaaaaa";
    let with = ask("&compact=0").await;
    assert!(
        with.contains(&format!("5:peersld2:ip9:127.0.0.1{id}4:porti1001eee")),
        "{with}"
    );
    let without = ask("&compact=0&no_peer_id=1").await;
    assert!(
        without.contains("5:peersld2:ip9:127.0.0.14:porti1001eee"),
        "{without}"
    );
    assert!(ask("").await.contains("5:peers6:"));
}

#[tokio::test]
async fn the_address_is_the_connections_unless_the_tracker_was_told() {
    let query = format!(
        "/announce?info_hash={}&peer_id=bbbbbbbbbbbbbbbbbbbb&port=5&ip=192.0.2.77",
        "%07".repeat(20)
    );
    let request = format!("GET {query} HTTP/1.1\r\nHost: t\r\n\r\n");
    for (believed, expected) in [(false, "127.0.0.1:5"), (true, "192.0.2.77:5")] {
        let mut options = server::Options::default();
        options.ip_from_private = believed;
        let running = Running::start(options).await;
        by_hand(&running, &request).await;
        let answer = tracker(&running.url())
            .announce(announce(1, 1, 1, None))
            .await
            .unwrap();
        assert_eq!(answer.peers, [expected.parse().unwrap()]);
    }
}

#[tokio::test]
async fn query_of_the_url_and_tracker_id_go_along() {
    let seen = Arc::new(std::sync::Mutex::new(Vec::new()));
    let heard = Arc::clone(&seen);
    let url = rig::serves(move |mut stream, head| {
        heard.lock().unwrap().push(head);
        async move {
            let body = b"d8:intervali9e5:peers0:10:tracker id3:a&be";
            stream.write_all(&rig::ok(body)).await.unwrap();
        }
    })
    .await;
    let tracker = tracker(&format!("{url}?passkey=k%20k"));
    for _ in 0..2 {
        tracker.announce(announce(1, 1, 1, None)).await.unwrap();
    }
    let seen = seen.lock().unwrap();
    assert!(
        seen[0].starts_with("GET /announce?passkey=k%20k&info_hash=%07%07"),
        "{}",
        seen[0]
    );
    assert!(!seen[0].contains("trackerid"));
    assert!(seen[1].contains("&trackerid=a%26b"), "{}", seen[1]);
}

#[tokio::test]
async fn tiers_find_the_one_that_lives() {
    let running = Running::start(server::Options::default()).await;
    // A port that was free a moment ago and is bound by nobody.
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let dead = format!("http://{}/announce", closed.local_addr().unwrap());
    drop(closed);
    let source = |url: &str| Arc::new(tracker(url)) as Arc<dyn PeerSource>;
    let tiers = Tiers::new(vec![vec![source(&dead)], vec![source(&running.url())]], 1);
    tiers.announce(announce(1, 1, 1, None)).await.unwrap();
    let none = Tiers::new(vec![vec![source(&dead)]], 1);
    let error = none
        .announce(announce(1, 1, 1, None))
        .await
        .unwrap_err()
        .to_string();
    assert!(
        error.starts_with(&format!("{dead} cannot be reached: ")),
        "{error}"
    );
}
