//! Arithmetic that must come out.

use gt_vfs::content::TreeHasher;
use proptest::prelude::*;

use super::*;

fn name(n: usize) -> VPath {
    VPath::parse(format!("f{n}").as_bytes()).unwrap()
}

fn plain(lengths: &[u64]) -> Vec<File> {
    let files = lengths.iter().enumerate();
    files
        .map(|(n, length)| File::new(name(n), *length))
        .collect()
}

fn rooted(lengths: &[u64]) -> Vec<File> {
    let files = plain(lengths).into_iter();
    files
        .map(|f| {
            let root = if f.length == 0 { [0; 32] } else { [1; 32] };
            f.with_root(Root(root))
        })
        .collect()
}

#[test]
fn v1_pieces_span_files() {
    let g = Geometry::v1(10, plain(&[4, 0, 9, 3]), vec![[0; 20]; 2]).unwrap();
    assert_eq!(g.piece_len(PieceIndex(1)), 6);
    let span = |file, offset, length| FileSpan {
        file: FileIndex(file),
        offset,
        length,
    };
    assert_eq!(
        g.spans(g.whole(PieceIndex(0))),
        [span(0, 0, 4), span(2, 0, 6)]
    );
    assert_eq!(
        g.spans(g.whole(PieceIndex(1))),
        [span(2, 6, 3), span(3, 0, 3)]
    );
    assert_eq!(g.pieces_of(FileIndex(1)), 0..0);
    assert_eq!(g.pieces_of(FileIndex(2)), 0..2);
    assert_eq!(g.pieces_of(FileIndex(3)), 1..2);
    assert!(Geometry::v1(10, plain(&[4, 0, 9, 3]), vec![[0; 20]; 3]).is_err());
}

#[test]
fn v2_files_begin_pieces() {
    let block = BLOCK as u64;
    let lengths = [1, 0, 2 * block + 5, block];
    let g = Geometry::v2(2 * block, rooted(&lengths), vec![None; 4]).unwrap();
    assert_eq!(g.pieces(), 4);
    assert_eq!(
        (0..4)
            .map(|n| g.piece_len(PieceIndex(n)))
            .collect::<Vec<_>>(),
        [1, 2 * BLOCK as u32, 5, BLOCK as u32]
    );
    assert_eq!(g.tree_of(PieceIndex(2)), Some((FileIndex(2), 1)));
    assert_eq!(
        (0..4)
            .map(|n| g.tree_width(PieceIndex(n)))
            .collect::<Vec<_>>(),
        [1, 2, 2, 1]
    );
    assert_eq!(
        g.piece_hash(PieceIndex(0)),
        Some(PieceHash::V2(Layer::Known([1; 32])))
    );
    assert_eq!(
        g.piece_hash(PieceIndex(1)),
        Some(PieceHash::V2(Layer::Unknown))
    );
}

#[test]
fn short_v2_pieces_are_served_to_their_nominal_length() {
    let block = BLOCK as u32;
    let g = Geometry::v2(2 * BLOCK as u64, rooted(&[5, 9]), vec![None; 2]).unwrap();
    let ask = |piece, offset, length| {
        let piece = PieceIndex(piece);
        g.serves(Block {
            piece,
            offset,
            length,
        })
    };
    assert!(ask(0, 0, 5) && ask(0, 0, block) && ask(0, 3, block) && ask(1, 0, 2 * block));
    assert!(!ask(0, 5, 1) && !ask(0, 0, 0) && !ask(0, 1, 2 * block) && !ask(2, 0, 1));
    assert!(!ask(0, 1, u32::MAX));
    let v1 = Geometry::v1(20, plain(&[5]), vec![[0; 20]]).unwrap();
    let piece = PieceIndex(0);
    let past = Block {
        piece,
        offset: 0,
        length: 6,
    };
    assert!(!v1.serves(past));
}

#[test]
fn hybrid_pads() {
    let block = BLOCK as u64;
    let mut files = rooted(&[block + 1, 0, 7]);
    files.insert(1, File::new(name(9), block - 1).as_padding());
    let g = Geometry::hybrid(2 * block, files, vec![[2; 20]; 2], vec![None; 4]).unwrap();
    assert_eq!(g.piece_len(PieceIndex(0)), 2 * BLOCK as u32);
    assert_eq!(g.content_len(PieceIndex(0)), BLOCK as u32 + 1);
    assert_eq!(g.content_length(), block + 8);
    assert_eq!(g.block_count(PieceIndex(0)), 2);
    assert_eq!(g.tree_of(PieceIndex(1)), Some((FileIndex(3), 0)));
    let askew = rooted(&[block + 1, 7]);
    assert_eq!(
        Geometry::hybrid(2 * block, askew, vec![[2; 20]], vec![None; 2]),
        Err(Error::Misaligned(FileIndex(1)))
    );
}

#[test]
fn padding_is_not_asked_for() {
    let block = BLOCK as u64;
    let mut files = rooted(&[block + 1, 7]);
    files.insert(1, File::new(name(9), 3 * block - 1).as_padding());
    let hybrid = Geometry::hybrid(4 * block, files, vec![[2; 20]; 2], vec![None; 3]).unwrap();
    let lengths = |g: &Geometry, n: u32| -> Vec<u32> {
        g.blocks(PieceIndex(n)).map(|block| block.length).collect()
    };
    assert_eq!(lengths(&hybrid, 0), [BLOCK as u32; 2]);
    assert_eq!(lengths(&hybrid, 1), [7]);
    // Padding between bytes comes along, and a piece of nothing else is asked
    // for, since there is nothing else to end it with.
    let mut files = plain(&[1, 2 * block, 4 * block - 1 + 4 * block, 1]);
    files[1] = files[1].clone().as_padding();
    files[3] = files[3].clone().as_padding();
    let v1 = Geometry::v1(4 * block, files.clone(), vec![[0; 20]; 3]).unwrap();
    assert_eq!([0, 1, 2].map(|n| v1.block_count(PieceIndex(n))), [4, 4, 2]);
    files.truncate(3);
    files[2] = files[2].clone().as_padding();
    let v1 = Geometry::v1(4 * block, files, vec![[0; 20]; 3]).unwrap();
    assert_eq!([0, 1, 2].map(|n| v1.block_count(PieceIndex(n))), [1, 1, 1]);
    assert_eq!(v1.block_count(PieceIndex(3)), 0);
}

#[test]
fn layers_are_checked() {
    let bytes: Vec<u8> = (0..5 * BLOCK + 9).map(|n| (n % 253) as u8).collect();
    let mut hasher = TreeHasher::new();
    hasher.update(&bytes);
    let tree = hasher.finish();
    let piece = 2 * BLOCK as u64;
    let files = vec![File::new(name(0), tree.size()).with_root(tree.root())];
    let layer = tree.piece_layer(piece);
    let g = Geometry::v2(piece, files.clone(), vec![Some(layer.clone())]).unwrap();
    for n in 0..3 {
        let width = g.tree_width(PieceIndex(n));
        let from = 2 * n as usize;
        let leaves = &tree.leaves()[from..(from + 2).min(tree.leaves().len())];
        assert_eq!(
            g.piece_hash(PieceIndex(n)),
            Some(PieceHash::V2(Layer::Known(content::merkle(
                leaves, width, [0; 32]
            ))))
        );
    }
    let mut wrong = layer.clone();
    wrong[1][0] ^= 1;
    assert!(Geometry::v2(piece, files.clone(), vec![Some(wrong.clone())]).is_err());
    let mut late = Geometry::v2(piece, files, vec![None]).unwrap();
    assert!(!late.learn_layer(FileIndex(0), wrong));
    assert!(late.learn_layer(FileIndex(0), layer));
    assert_eq!(late, g);
}

#[test]
fn refuses_lengths_that_overflow() {
    assert!(Geometry::v1(1 << 20, plain(&[u64::MAX, 5]), vec![]).is_err());
    assert!(Geometry::v2(1 << 20, rooted(&[u64::MAX, u64::MAX]), vec![None; 2]).is_err());
    assert!(Geometry::v1(0, plain(&[]), vec![]).is_err());
    assert!(Geometry::v2(1000, rooted(&[5]), vec![None]).is_err());
}

proptest! {
    #[test]
    fn blocks_cover_every_byte_once(
        lengths in proptest::collection::vec(0_u64..100_000, 1..8),
        v2: bool,
        level in 0_u32..3,
    ) {
        let piece = (BLOCK as u64) << level;
        let total: u64 = lengths.iter().sum();
        let g = if v2 {
            Geometry::v2(piece, rooted(&lengths), vec![None; lengths.len()]).unwrap()
        } else {
            let sha1 = vec![[0; 20]; total.div_ceil(piece) as usize];
            Geometry::v1(piece, plain(&lengths), sha1).unwrap()
        };
        let mut seen = vec![0; lengths.len()];
        for n in 0..g.pieces() {
            let piece = PieceIndex(n);
            prop_assert_eq!(g.blocks(piece).len() as u32, g.block_count(piece));
            for block in g.blocks(piece) {
                prop_assert!(g.contains(block));
                let mut length = 0;
                for span in g.spans(block) {
                    let file = span.file.0 as usize;
                    prop_assert_eq!(span.offset, seen[file]);
                    prop_assert!(g.pieces_of(span.file).contains(&n));
                    seen[file] += span.length;
                    length += span.length;
                }
                prop_assert_eq!(length, u64::from(block.length));
            }
        }
        prop_assert_eq!(seen, lengths);
    }
}
