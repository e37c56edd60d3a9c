//! What a node tells by `tracing`: spans of torrents and of connections.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Metadata, Subscriber};

use super::*;

/// Notes everything under the names of the spans round it.
#[derive(Clone, Default)]
struct Notes(Arc<Inner>);

#[derive(Default)]
struct Inner {
    last: AtomicU64,
    /// Each span's name, with those round it.
    spans: Mutex<BTreeMap<u64, String>>,
    said: Mutex<Vec<String>>,
}

thread_local! {
    static INSIDE: std::cell::RefCell<Vec<u64>> = const { std::cell::RefCell::new(Vec::new()) };
}

struct Words(String);

impl Visit for Words {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.push_str(&format!(" {}={value:?}", field.name()));
    }
}

impl Subscriber for Notes {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("gt_wire")
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let number = self.0.last.fetch_add(1, Ordering::Relaxed) + 1;
        let mut words = Words(span.metadata().name().to_owned());
        span.record(&mut words);
        let mut spans = self.0.spans.lock().unwrap();
        let round = span.parent().and_then(|id| spans.get(&id.into_u64()));
        let name = match round {
            Some(round) => format!("{round} > {}", words.0),
            None => words.0,
        };
        spans.insert(number, name);
        Id::from_u64(number)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        let inside = INSIDE.with_borrow(|inside| inside.last().copied());
        let spans = self.0.spans.lock().unwrap();
        let inside = inside.and_then(|number| spans.get(&number));
        let mut words = Words(inside.cloned().unwrap_or_default());
        event.record(&mut words);
        self.0.said.lock().unwrap().push(words.0);
    }

    fn enter(&self, span: &Id) {
        INSIDE.with_borrow_mut(|inside| inside.push(span.into_u64()));
    }

    fn exit(&self, _: &Id) {
        INSIDE.with_borrow_mut(Vec::pop);
    }
}

/// One thread, so that everything is told to this test's listener.
#[test]
fn torrents_and_connections_have_spans() {
    let notes = Notes::default();
    tracing::subscriber::with_default(notes.clone(), || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let info = plan(Version::Hybrid);
            let seed = Peer::start(options(0));
            seed.add(&info, Arc::new(original())).await;
            let mut leech = Peer::start(options(1));
            let torrent = leech.add(&info, Arc::new(Memory::new())).await;
            leech.node.add_peers(torrent, &[seed.addr]);
            leech.complete().await;
            leech.node.shutdown().await;
        });
    });
    let said = notes.0.said.lock().unwrap();
    let hash = plan(Version::Hybrid).info_hashes()[0];
    let torrent = format!("torrent hash={hash}");
    let find = |parts: &[&str]| {
        let fits = |line: &&String| parts.iter().all(|part| line.contains(part));
        assert!(
            said.iter().any(|line| fits(&line)),
            "{parts:?} in {said:#?}"
        );
    };
    find(&[
        &torrent,
        "> peer conn=1",
        "outgoing=true",
        "message=connected",
    ]);
    find(&[&torrent, "outgoing=false", "message=connected"]);
    find(&[&torrent, "message=complete"]);
    find(&[&torrent, "message=file closed"]);
    find(&[&torrent, "message=disconnected"]);
}
