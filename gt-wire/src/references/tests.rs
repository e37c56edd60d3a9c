use super::*;

const ANNA: PeerId = PeerId(*b"-GT0100-aaaaaaaaaaaa");
const BELA: PeerId = PeerId(*b"-GT0100-bbbbbbbbbbbb");
const CONN: ConnId = ConnId(7);

fn rid(n: u8) -> Rid {
    Rid([n; 32])
}

/// Two machines and the wire between them, which keeps what went over it.
struct Pair {
    ends: [References; 2],
    news: [Vec<Output>; 2],
    wire: Vec<u8>,
}

impl Pair {
    fn new(anna: &[u8], bela: &[u8], limits: Limits) -> Self {
        let mut ends = [References::new(ANNA, limits), References::new(BELA, limits)];
        anna.iter().for_each(|n| ends[0].follow(rid(*n)));
        bela.iter().for_each(|n| ends[1].follow(rid(*n)));
        ends[0].handle(CONN, Input::Open { peer: BELA });
        ends[1].handle(CONN, Input::Open { peer: ANNA });
        let mut pair = Self {
            ends,
            news: [vec![], vec![]],
            wire: vec![],
        };
        pair.run();
        pair
    }

    fn run(&mut self) {
        for from in [0, 1, 0, 1] {
            while let Some(output) = self.ends[from].poll() {
                match output {
                    Output::Send { payload, .. } => {
                        assert!(payload.len() <= crate::message::MAX_EXTENDED);
                        self.wire.extend_from_slice(&payload);
                        self.ends[1 - from].handle(CONN, Input::Message(payload));
                    }
                    news => self.news[from].push(news),
                }
            }
        }
    }

    fn say(&mut self, from: usize, input: Input) {
        self.ends[from].handle(CONN, input);
        self.run();
    }

    fn take(&mut self, end: usize) -> Vec<Output> {
        std::mem::take(&mut self.news[end])
    }
}

fn shared(n: u8) -> Output {
    Output::Shared {
        conn: CONN,
        rid: rid(n),
    }
}

fn misbehaved(why: Misbehaviour) -> Vec<Output> {
    vec![Output::Misbehaved { conn: CONN, why }]
}

#[test]
fn both_learn_what_both_follow() {
    let mut pair = Pair::new(&[1, 2, 3], &[3, 4, 1], Limits::default());
    assert_eq!(pair.take(0), [shared(1), shared(3)]);
    assert_eq!(pair.take(1), [shared(1), shared(3)]);
    pair.ends[1].follow(rid(2));
    pair.run();
    assert_eq!(pair.take(0), [shared(2)]);
    assert_eq!(pair.take(1), [shared(2)]);
    for n in 1..5 {
        assert!(!pair.wire.windows(32).any(|w| w == rid(n).0));
    }
}

/// A crawler that does not know a rid gets 16 bytes that fit no other peer,
/// and neither shows nor hears anything by playing them back.
#[test]
fn crawler_learns_no_rid() {
    let mut node = References::new(ANNA, Limits::default());
    node.follow(rid(9));
    node.handle(CONN, Input::Open { peer: BELA });
    let Some(Output::Send { payload, .. }) = node.poll() else {
        panic!("the node shows its values")
    };
    assert!(!payload.windows(32).any(|w| w == rid(9).0));
    let Ok(Message::Follow(values)) = Message::read(&payload) else {
        panic!("a follow message")
    };
    assert_eq!(values, [Follow::of(rid(9), ANNA, BELA)]);
    // The value is of this pair and this direction only.
    let others = [
        Follow::of(rid(9), BELA, ANNA),
        Follow::of(rid(9), ANNA, ANNA),
        Follow::of(rid(8), ANNA, BELA),
    ];
    assert!(!others.contains(&values[0]));
    // Played back it shares nothing, and no head is told.
    node.handle(CONN, Input::Message(payload));
    let head = Input::Have {
        rid: rid(9),
        bytes: Bytes::from_static(b"head"),
    };
    node.handle(CONN, head);
    assert_eq!(node.poll(), None);
    // A guess about it ends the connection.
    let guess = Message::About(others[0], Kind::Want(Bytes::new()));
    node.handle(CONN, Input::Message(guess.encode()));
    let why = Misbehaviour::Unshown;
    assert_eq!(node.poll(), Some(Output::Misbehaved { conn: CONN, why }));
}

#[test]
fn have_want_pack_with_a_reel() {
    for (length, reel) in [
        (0, None),
        (300, Some(200)),
        (16384, Some(0)),
        (100_000, Some(65536)),
    ] {
        let mut pair = Pair::new(&[1], &[1], Limits::default());
        pair.take(0);
        pair.take(1);
        let bytes = Bytes::from_static(b"epoch and sequence");
        pair.say(
            0,
            Input::Have {
                rid: rid(1),
                bytes: bytes.clone(),
            },
        );
        let (conn, rid) = (CONN, rid(1));
        assert_eq!(
            pair.take(1),
            [Output::Have {
                conn,
                rid,
                bytes: bytes.clone()
            }]
        );
        pair.say(
            1,
            Input::Want {
                rid,
                bytes: bytes.clone(),
            },
        );
        assert_eq!(pair.take(0), [Output::Want { conn, rid, bytes }]);
        let pack = Bytes::from_iter((0..length).map(|n| n as u8));
        let reel = reel.map(|n| Bytes::from(vec![5; n]));
        let before = pair.wire.len();
        pair.say(
            0,
            Input::Pack {
                rid,
                pack: pack.clone(),
                reel: reel.clone(),
            },
        );
        let payload = pack.len() + reel.as_ref().map_or(0, Bytes::len);
        assert!(pair.wire.len() - before < payload + 200 * (payload / 16384 + 1));
        assert_eq!(
            pair.take(1),
            [Output::Pack {
                conn,
                rid,
                pack: pack.clone(),
                reel
            }]
        );
        assert_eq!(pair.ends[1].unfinished, 0);
        // A second one was not asked for.
        pair.say(
            0,
            Input::Pack {
                rid,
                pack,
                reel: None,
            },
        );
        assert_eq!(pair.take(1), misbehaved(Misbehaviour::Unasked));
    }
}

/// Lets `bela` want a pack, then feeds her these messages.
fn fed(messages: Vec<Message>, limits: Limits) -> (References, Vec<Output>) {
    let mut pair = Pair::new(&[1], &[1], limits);
    pair.say(
        1,
        Input::Want {
            rid: rid(1),
            bytes: Bytes::new(),
        },
    );
    pair.take(1);
    for message in messages {
        pair.ends[1].handle(CONN, Input::Message(message.encode()));
    }
    pair.run();
    let news = pair.take(1);
    let [_, bela] = pair.ends;
    (bela, news)
}

fn part(offset: u64, pack_size: u64, reel_size: Option<u64>, pack: usize, reel: usize) -> Message {
    let part = wire::Part {
        offset,
        pack_size,
        reel_size,
        pack: vec![1; pack].into(),
        reel: vec![2; reel].into(),
    };
    Message::About(Follow::of(rid(1), ANNA, BELA), Kind::Part(part))
}

#[test]
fn announced_sizes_cost_no_memory() {
    let limits = Limits::default();
    let (bela, news) = fed(vec![part(0, 16 << 20, Some(65536), 10, 0)], limits);
    assert_eq!(news, []);
    assert_eq!(bela.unfinished, 10);
    let (bela, news) = fed(vec![part(0, (16 << 20) + 1, None, 10, 0)], limits);
    let why = Misbehaviour::TooLong {
        what: "pack",
        limit: 16 << 20,
        got: (16 << 20) + 1,
    };
    assert_eq!(news, misbehaved(why));
    assert_eq!(bela.unfinished, 0);
    let (_, news) = fed(vec![part(0, 1, Some(65537), 1, 0)], limits);
    assert!(matches!(
        news[..],
        [Output::Misbehaved {
            why: Misbehaviour::TooLong { what: "reel", .. },
            ..
        }]
    ));
}

#[test]
fn parts_must_continue() {
    let limits = Limits::default();
    let wrong = [
        vec![part(5, 20, None, 10, 0)],
        vec![part(0, 20, None, 10, 0), part(0, 20, None, 10, 0)],
        vec![part(0, 20, None, 10, 0), part(10, 21, None, 10, 0)],
        vec![part(0, 20, None, 21, 0)],
        vec![part(0, 20, Some(5), 10, 5)],
        vec![part(0, 20, Some(0), 20, 1)],
        vec![part(0, 20, None, 0, 0)],
        vec![part(u64::MAX, 20, None, 1, 0)],
    ];
    for messages in wrong {
        let shown = format!("{messages:?}");
        let (bela, news) = fed(messages, limits);
        assert!(matches!(news[..], [Output::Misbehaved { .. }]), "{shown}");
        assert_eq!(bela.unfinished, 0);
        assert!(bela.links.is_empty());
    }
}

#[test]
fn crowded_packs_are_let_go() {
    let limits = Limits {
        unfinished: 15,
        ..Limits::default()
    };
    let parts = vec![
        part(0, 30, None, 10, 0),
        part(10, 30, None, 10, 0),
        part(20, 30, None, 10, 0),
    ];
    let (bela, news) = fed(parts, limits);
    let (conn, rid) = (CONN, rid(1));
    assert_eq!(news, [Output::Crowded { conn, rid }]);
    assert_eq!(bela.unfinished, 0);
}

#[test]
fn too_much_of_anything_ends_it() {
    let limits = Limits::default();
    let about = |kind| Message::About(Follow::of(rid(1), ANNA, BELA), kind);
    for message in [
        about(Kind::Have(vec![0; limits.have + 1].into())),
        about(Kind::Want(vec![0; limits.want + 1].into())),
        Message::Follow(
            (0..1024_u32)
                .map(|n| {
                    let mut value = [0; 16];
                    value[..4].copy_from_slice(&n.to_be_bytes());
                    Follow(value)
                })
                .collect(),
        ),
    ] {
        let (_, news) = fed(vec![message], limits);
        assert!(matches!(news[..], [Output::Misbehaved { .. }]));
    }
}

#[test]
fn junk_ends_the_connection_only() {
    for junk in [
        &b""[..],
        b"de",
        b"i1e",
        b"d4:type3:fooe",
        b"d4:type6:follow6:values3:abce",
        b"\xff",
    ] {
        let mut node = References::new(ANNA, Limits::default());
        node.follow(rid(1));
        node.handle(CONN, Input::Open { peer: BELA });
        node.poll();
        node.handle(CONN, Input::Message(Bytes::copy_from_slice(junk)));
        assert!(
            matches!(node.poll(), Some(Output::Misbehaved { .. })),
            "{junk:?}"
        );
        // It is forgotten until it is opened again.
        node.handle(CONN, Input::Message(Bytes::copy_from_slice(junk)));
        assert_eq!(node.poll(), None);
    }
}

#[test]
fn ourselves_and_the_unfollowed_are_passed_over() {
    let mut node = References::new(ANNA, Limits::default());
    node.follow(rid(1));
    node.handle(CONN, Input::Open { peer: ANNA });
    assert_eq!(node.poll(), None);
    let mut pair = Pair::new(&[1], &[1], Limits::default());
    pair.ends[1].unfollow(rid(1));
    pair.take(1);
    pair.say(
        0,
        Input::Have {
            rid: rid(1),
            bytes: Bytes::new(),
        },
    );
    assert_eq!(pair.take(1), []);
}
