//! Parsers over altered bytes: no panic, and little memory.

use crate::alone::alone;
use crate::bodies;
use crate::git::{Git, text};

/// Draws numbers that look like chance, the same ones each time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % limit.max(1)
    }

    /// Alters a few bytes: other values, extremes, cuts, repetitions.
    fn alter(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut out = bytes.to_vec();
        for _ in 0..=self.below(4) {
            let at = self.below(out.len());
            match self.below(6) {
                0 => out
                    .iter_mut()
                    .skip(at)
                    .take(1)
                    .for_each(|b| *b ^= 1 << (at % 8)),
                1 => out.iter_mut().skip(at).take(4).for_each(|b| *b = 0xff),
                2 => out.iter_mut().skip(at).take(8).for_each(|b| *b = 0),
                3 => out.truncate(at),
                4 => {
                    let end = (at + self.below(40)).min(out.len());
                    let part = out[at..end].to_vec();
                    out.splice(at..at, part);
                }
                _ => {
                    let byte = self.below(256) as u8;
                    out.insert(at, byte);
                }
            }
        }
        out
    }
}

/// Files that git wrote.
struct Seeds {
    pack: Vec<u8>,
    sha256: Vec<u8>,
    idx: Vec<u8>,
    old_idx: Vec<u8>,
    rev: Vec<u8>,
    midx: Vec<u8>,
    bundle: Vec<u8>,
    objects: Vec<Vec<u8>>,
}

fn seeds() -> Seeds {
    let repository = |format: &str| {
        let git = Git::empty();
        git.run([
            "init",
            "-q",
            "-b",
            "main",
            &format!("--object-format={format}"),
        ]);
        for n in 0..4 {
            git.commit(&[("a", &(text(1, 40) + &text(n, 2))), ("d/b", &text(n, 1))]);
        }
        git.run(["tag", "-a", "-m", "a tag", "v1"]);
        let pack = git.pack_all();
        std::fs::write(git.path().join("a.pack"), &pack).unwrap();
        (git, pack)
    };
    let (git, pack) = repository("sha1");
    let read = |name: &str| std::fs::read(git.path().join(name)).unwrap();
    git.run(["index-pack", "--rev-index", "a.pack"]);
    let (idx, rev) = (read("a.idx"), read("a.rev"));
    std::fs::remove_file(git.path().join("a.idx")).unwrap();
    git.run([
        "index-pack",
        "--no-rev-index",
        "--index-version=1",
        "a.pack",
    ]);
    let old_idx = read("a.idx");
    git.run(["repack", "-q", "-ad"]);
    git.run(["multi-pack-index", "write"]);
    git.run(["bundle", "create", "-q", "a.bundle", "--all"]);
    let object = |name: &str| {
        let kind = git.run(["cat-file", "-t", name]);
        git.with(["cat-file", &kind, name], b"")
    };
    Seeds {
        pack,
        sha256: repository("sha256").1,
        idx,
        old_idx,
        rev,
        midx: read(".git/objects/pack/multi-pack-index"),
        bundle: read("a.bundle"),
        objects: ["HEAD", "HEAD^{tree}", "v1"].map(object).to_vec(),
    }
}

#[test]
fn bodies_take_little() {
    alone("altered::bodies_inside");
}

#[test]
#[ignore = "run by bodies_take_little, in a process of its own"]
fn bodies_inside() {
    let seeds = seeds();
    let rounds: usize = std::env::var("GT_ROUNDS").map_or(300, |n| n.parse().unwrap());
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    let delta = [&[3][..], b"abc\x03\x05\x90\x03\x02de"].concat();
    bodies::delta(&delta);
    // One layer under its own name.
    let (_, sum) = seeds.midx.split_at(seeds.midx.len() - 20);
    let name: String = sum.iter().map(|byte| format!("{byte:02x}")).collect();
    let layers = [b"\x29", name.as_bytes(), b"\n", &seeds.midx].concat();
    type Body = fn(&[u8]);
    let mut all: Vec<(&[u8], Body)> = vec![
        (&seeds.pack, bodies::pack),
        (&seeds.sha256, bodies::pack),
        (&seeds.idx, bodies::idx),
        (&seeds.old_idx, bodies::idx),
        (&seeds.rev, bodies::rev),
        (&seeds.midx, bodies::midx),
        (&layers, bodies::layers),
        (&seeds.bundle, bodies::bundle),
        (&delta, bodies::delta),
    ];
    all.extend(
        seeds
            .objects
            .iter()
            .map(|o| (&o[..], bodies::object as Body)),
    );
    for (seed, body) in &all {
        body(seed);
        body(b"");
        for _ in 0..rounds {
            body(&dice.alter(seed));
        }
    }
    // Where the kernel tells how much this process ever had.
    if let Ok(status) = std::fs::read_to_string("/proc/self/status") {
        let peak = status.lines().find_map(|l| l.strip_prefix("VmHWM:"));
        let peak = peak.unwrap().trim().trim_end_matches(" kB");
        let peak: u64 = peak.parse().unwrap();
        assert!(peak < 128 << 10, "{peak} KiB");
    }
}
