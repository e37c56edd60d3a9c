//! Random webs, drawn from a seed.
//!
//! What the Debian keyring does not hold is frequent here: revoked primary
//! keys, revoked and irrevocable certifications, patterns, designated
//! revokers, forged signatures, weak digests, keys and dates to come, keys of
//! every kind, user ids twice or without a self-signature, copies that differ.

use gt_trust::Time;
use gt_trust::web::{Level, Model, Ownertrust, Settings};

use crate::weaver::{Fields, KINDS, Maker, Named, Part, packet};

/// The moments that are asked about: mostly 2022-12-24 12:00 UTC.
const MOMENTS: [u32; 6] = [
    1_671_883_200,
    1_671_883_200,
    1_548_000_000,
    1_400_000_000,
    1_900_000_000,
    2_000_000_000,
];
const YEAR: u32 = 31_536_000;
/// After it gpg counts no certification by SHA-1.
const SHA1_CUTOFF: u32 = 1_547_856_000;

/// SplitMix64: a scenario is its seed.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, n: u32) -> u32 {
        u32::try_from(self.next() % u64::from(n)).unwrap()
    }

    /// True once in `n` times.
    pub(crate) fn once_in(&mut self, n: u32) -> bool {
        self.below(n) == 0
    }

    pub(crate) fn of<T: Copy>(&mut self, list: &[T]) -> T {
        list[self.below(u32::try_from(list.len()).unwrap()) as usize]
    }
}

/// How gpg comes by the certificates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// It imports them.
    Import,
    /// It imports two files, with certificates that differ.
    Copies,
    /// It reads the file as it is.
    Direct,
}

pub(crate) struct Scenario {
    pub(crate) files: Vec<Vec<u8>>,
    pub(crate) owners: Ownertrust,
    pub(crate) settings: Settings,
    pub(crate) way: Way,
}

pub(crate) const PATTERNS: [&str; 34] = [
    "<[^>]+[@.]example\\.com>$",
    "<[^>]+[@.]example.org>$",
    "<[^>]+[@.]com>$",
    "<[^>]+[@.]a\\.example\\.com>$",
    "<[^>]+[@.](example\\.com|example\\.org)>$",
    "<[^>]+[@.]ex\\w\\wple\\.com>$",
    "<[^>]+[@.]com\\>$",
    "<[^>]+[@.]>$",
    "<[^>]+[@.]",
    "example",
    "EXAMPLE\\.COM",
    "example\\.com|example\\.org",
    "(example)",
    "^Key",
    ">$",
    "$",
    "",
    ".*",
    "k.u",
    "[a-z]",
    "\\<k1",
    "\\Akey",
    "k\\du",
    "\\k",
    "\\K",
    "\\x4b",
    "\\u004B",
    "\\u0",
    "\u{fc}mlaut",
    "ORG>",
    // For user attributes, which gpg gives a name.
    "image",
    "\\[jpeg",
    "size 3.]",
    "attribute",
];
const DOMAINS: [&str; 6] = [
    "example.com",
    "example.org",
    "a.example.com",
    "EXAMPLE.COM",
    "exampleXcom",
    "example.com.evil.net",
];

/// One certificate: what stands before the signatures, and they.
type Woven = Vec<(bool, Vec<u8>)>;

struct Drawing {
    dice: Dice,
    at: u32,
    way: Way,
    makers: Vec<Maker>,
}

pub(crate) fn scenario(seed: u64) -> Scenario {
    let mut dice = Dice(seed);
    let at = dice.of(&MOMENTS);
    let way = dice.of(&[
        Way::Import,
        Way::Import,
        Way::Copies,
        Way::Direct,
        Way::Direct,
    ]);
    let count = 6 + dice.below(9);
    let makers = (0..count).map(|i| maker(&mut dice, i, at)).collect();
    let mut drawing = Drawing {
        dice,
        at,
        way,
        makers,
    };
    let woven: Vec<Woven> = (0..count as usize)
        .map(|i| drawing.certificate(i))
        .collect();
    let files = drawing.files(&woven);
    let owners = drawing.owners();
    let dice = &mut drawing.dice;
    let mut settings = Settings::at(Time(at.into()));
    settings.model = dice.of(&[Model::Pgp, Model::Pgp, Model::Pgp, Model::Classic]);
    settings.completes_needed = dice.of(&[1, 1, 2, 3]);
    settings.marginals_needed = dice.of(&[2, 2, 3, 4]);
    settings.max_cert_depth = dice.of(&[1, 2, 3, 5, 5, 255]);
    // gpg takes no 0: it would refuse to answer at all.
    settings.min_cert_level = u8::try_from(dice.of(&[1, 1, 2, 2, 3])).unwrap();
    Scenario {
        files,
        owners,
        settings,
        way,
    }
}

fn maker(dice: &mut Dice, i: u32, at: u32) -> Maker {
    // What is kept is one secret with many dates.
    let created = if dice.once_in(25) {
        at + dice.below(1000)
    } else {
        at - 12 * YEAR + dice.below(6 * YEAR)
    };
    match dice.below(9) as usize {
        kind if kind < KINDS.len() => Maker::kept(kind, created / 16 * 16 + i),
        _ => Maker::new(u8::try_from(i + 1).unwrap(), created),
    }
}

impl Drawing {
    fn owners(&mut self) -> Ownertrust {
        let dice = &mut self.dice;
        let mut owners = Ownertrust::new();
        owners.set(self.makers[0].print, Level::Ultimate);
        for (i, maker) in self.makers.iter().enumerate().skip(1) {
            let level = dice.of(&[
                Level::Unknown,
                Level::Unknown,
                Level::Undefined,
                Level::Never,
                Level::Marginal,
                Level::Marginal,
                Level::Full,
                Level::Full,
                Level::Full,
            ]);
            // A root that names nobody's key: gpg's cache of keys lets one that
            // has expired certify after all, once it was looked up as a revoker.
            let level = if i % 2 == 0 && dice.once_in(5) {
                Level::Ultimate
            } else {
                level
            };
            owners.set(maker.print, level);
        }
        owners
    }

    /// One file, or two in which signatures are missing here and there.
    fn files(&mut self, woven: &[Woven]) -> Vec<Vec<u8>> {
        if self.way != Way::Copies {
            let all = woven.iter().flatten().map(|(_, bytes)| bytes.as_slice());
            return vec![all.collect::<Vec<_>>().concat()];
        }
        let mut files = vec![Vec::new(), Vec::new()];
        for certificate in woven {
            for (n, file) in files.iter_mut().enumerate() {
                if n == 1 && self.dice.once_in(3) {
                    continue;
                }
                let mut after_one = false;
                for (is_signature, bytes) in certificate {
                    // The first one binds, or gpg would not import it.
                    if *is_signature && after_one && self.dice.once_in(3) {
                        continue;
                    }
                    file.extend(bytes);
                    after_one = *is_signature;
                }
            }
        }
        files
    }

    fn certificate(&mut self, i: usize) -> Woven {
        let mut out = vec![(false, self.makers[i].packet())];
        self.direct(i, &mut out);
        let users = 1 + self.dice.below(3);
        let mut names: Vec<String> = Vec::new();
        for u in 0..users {
            let extra = self
                .dice
                .of(&["", "", "wad ", "\u{dc}mlaut ", "Stra\u{df}e ", "A7 "]);
            let mut name = format!("Key {extra}{i} <k{i}u{u}@{}>", self.dice.of(&DOMAINS));
            if self.dice.once_in(30) {
                name = format!("no address {u}");
            }
            // gpg makes one of the two when it imports.
            if u > 0 && self.way != Way::Direct && self.dice.once_in(12) {
                name.clone_from(&names[0]);
            }
            names.push(name.clone());
            let picture = attribute(&mut self.dice, &name);
            let part = if u > 0 && self.dice.once_in(6) {
                out.push((false, packet(17, &picture)));
                Part::Attribute(&picture)
            } else {
                out.push((false, packet(13, name.as_bytes())));
                Part::User(&name)
            };
            self.confirm(i, part, &mut out);
            for _ in 0..self.dice.below(7) {
                let who = self.dice.below(u32::try_from(self.makers.len()).unwrap()) as usize;
                for _ in 0..1 + self.dice.below(3) {
                    let fields = self.certification(i, who);
                    if who != i {
                        let made = self.makers[who].sign(&self.makers[i], part, &fields);
                        out.push((true, made));
                    }
                }
            }
        }
        self.subkeys(i, &mut out);
        out
    }

    /// Self-signatures, and what takes them back.
    fn confirm(&mut self, i: usize, part: Part<'_>, out: &mut Woven) {
        // Of one who is a revoker gpg says now this and now that, by what it
        // looked up before.
        let may_lack = self.way == Way::Direct && i.is_multiple_of(2);
        let selves = match may_lack && self.dice.once_in(12) {
            true => 0,
            false => 1 + self.dice.below(3),
        };
        for s in 0..selves {
            let born = self.makers[i].created;
            let mut fields = Fields::new(0x13, born);
            let dice = &mut self.dice;
            fields.named = name(dice);
            let later = s > 0;
            if later {
                fields.made = born + dice.below(8 * YEAR);
                fields.class = dice.of(&[0x10, 0x11, 0x12, 0x13, 0x13, 0x13, 0x13, 0x30]);
                if fields.class != 0x30 && dice.once_in(3) {
                    fields.expires = Some(dice.below(8 * YEAR));
                }
                fields.forged = dice.once_in(9);
                fields.unknown = dice.once_in(9);
                fields.local = dice.once_in(12);
                fields.revocable = !dice.once_in(10);
            }
            if dice.once_in(5) {
                fields.key_expires = Some(dice.of(&[0, 5 * YEAR, 9 * YEAR, 15 * YEAR]));
            }
            if dice.once_in(3) {
                fields.flags = Some(dice.of(&[1, 2, 3, 3, 0x20]));
            }
            fields.primary = dice.once_in(5);
            if dice.once_in(20) {
                fields.loose = Some(9);
            }
            let plain = fields.key_expires.is_none() && fields.expires.is_none();
            fields.old = plain && dice.once_in(12);
            let hashes: &[u8] = if later {
                &[8, 8, 10, 2, 2, 1]
            } else {
                &[8, 8, 10, 2]
            };
            fields.hash = self.hash(i, hashes);
            out.push((true, self.makers[i].sign(&self.makers[i], part, &fields)));
        }
    }

    fn direct(&mut self, i: usize, out: &mut Woven) {
        let born = self.makers[i].created;
        if self.dice.once_in(12) {
            let mut fields = Fields::new(0x20, born + self.dice.below(14 * YEAR));
            fields.reason = self
                .dice
                .of(&[None, Some(0), Some(1), Some(2), Some(3), Some(32)]);
            fields.forged = self.dice.once_in(3);
            fields.old = fields.reason.is_none() && self.dice.once_in(3);
            self.put(i, i, fields, out);
        }
        if self.dice.once_in(6) {
            let odd = (i / 2 * 2 + 3) % (self.makers.len() / 2 * 2);
            let mut fields = Fields::new(0x1f, born + self.dice.below(4 * YEAR));
            fields.revoker = Some(self.makers[odd].print);
            fields.revoker_class = self.dice.of(&[0x80, 0x80, 0xc0, 0x40, 0]);
            fields.revocable = !self.dice.once_in(3);
            if self.dice.once_in(3) {
                fields.expires = Some(self.dice.below(4 * YEAR));
            }
            if self.dice.once_in(12) {
                fields.loose = Some(12);
            }
            self.put(i, i, fields, out);
            if self.dice.once_in(2) {
                let mut fields = Fields::new(0x20, self.at - self.dice.below(14 * YEAR));
                fields.forged = self.dice.once_in(5);
                self.put(odd, i, fields, out);
            }
        }
        for _ in 0..self.dice.below(3) {
            if self.dice.once_in(4) {
                let mut fields = Fields::new(0x1f, born + self.dice.below(4 * YEAR));
                let dice = &mut self.dice;
                fields.key_expires = dice.of(&[None, Some(0), Some(9 * YEAR), Some(15 * YEAR)]);
                fields.expires = dice.of(&[None, None, Some(9 * YEAR)]);
                if dice.once_in(3) {
                    fields.flags = Some(dice.of(&[1, 2, 3, 4]));
                }
                self.put(i, i, fields, out);
            }
        }
    }

    /// Signs directly on a key.
    fn put(&mut self, by: usize, of: usize, mut fields: Fields, out: &mut Woven) {
        fields.named = name(&mut self.dice);
        fields.hash = self.hash(by, &[8, 10, 2]);
        let made = self.makers[by].sign(&self.makers[of], Part::Key, &fields);
        out.push((true, made));
    }

    fn subkeys(&mut self, i: usize, out: &mut Woven) {
        for n in 0..self.dice.below(3) {
            if !self.dice.once_in(3) {
                continue;
            }
            let born = self.makers[i].created + n;
            let subkey = Maker::kept(0, born);
            out.push((false, subkey.subkey_packet()));
            let mut fields = Fields::new(0x18, born);
            fields.flags = Some(0x0c);
            if self.dice.once_in(2) {
                fields.key_expires = Some(self.dice.below(9 * YEAR));
            }
            fields.hash = self.hash(i, &[8, 10]);
            let maker = &self.makers[i];
            out.push((true, maker.sign(maker, Part::Subkey(&subkey), &fields)));
            if self.dice.once_in(3) {
                let revoked = Fields {
                    hash: fields.hash,
                    ..Fields::new(0x28, born + 5000)
                };
                out.push((true, maker.sign(maker, Part::Subkey(&subkey), &revoked)));
            }
        }
    }

    fn certification(&mut self, of: usize, by: usize) -> Fields {
        let born = self.makers[of].created;
        let dice = &mut self.dice;
        // Some are older than the key, some are of the future.
        let mut made = born.wrapping_add(dice.below(13 * YEAR)) - YEAR / 4;
        if dice.once_in(7) {
            made = SHA1_CUTOFF - 2 + dice.of(&[0, 1, 2, 3, 4, 86_400]);
        }
        let mut fields = Fields::new(0x10, made);
        fields.named = name(dice);
        fields.class = dice.of(&[0x10, 0x10, 0x10, 0x11, 0x12, 0x12, 0x13, 0x13, 0x30]);
        fields.revocable = !dice.once_in(6);
        if dice.once_in(4) {
            fields.expires = Some(dice.of(&[0, 100, YEAR, 5 * YEAR, 12 * YEAR, u32::MAX]));
        }
        if dice.once_in(3) {
            fields.trust = Some((
                u8::try_from(dice.of(&[0, 1, 1, 2, 2, 3, 255])).unwrap(),
                dice.of(&[0, 40, 59, 60, 60, 119, 120, 120, 255]),
            ));
            if dice.once_in(2) {
                fields.pattern = Some(dice.of(&PATTERNS).to_owned());
                fields.pattern_is_critical = dice.once_in(2);
            }
        }
        fields.forged = dice.once_in(12);
        fields.unknown = dice.once_in(15);
        fields.local = dice.once_in(15);
        if dice.once_in(30) {
            fields.notation = Some(dice.once_in(2));
        }
        if dice.once_in(12) {
            fields.loose = Some(dice.of(&[3, 5, 6, 7]));
        }
        let plain = fields.trust.is_none() && fields.expires.is_none() && fields.revocable;
        fields.old = plain && dice.once_in(6);
        fields.hash = self.hash(by, &[8, 8, 10, 2, 2, 9, 11, 1]);
        fields
    }

    /// One of these digests that the key takes, or the longest.
    fn hash(&mut self, by: usize, of: &[u8]) -> u8 {
        let hash = self.dice.of(of);
        match self.makers[by].takes(hash) {
            true => hash,
            false => 10,
        }
    }
}

fn name(dice: &mut Dice) -> Named {
    dice.of(&[
        Named::Short,
        Named::Short,
        Named::Signed,
        Named::Both,
        Named::Both,
    ])
}

/// A picture, in a format or in none, something else, two of them, or nothing.
fn attribute(dice: &mut Dice, name: &str) -> Vec<u8> {
    let part = |kind: u8, data: &[u8]| -> Vec<u8> {
        let length = u8::try_from(data.len() + 1).unwrap();
        [&[length, kind], data].concat()
    };
    let header = |format: u8| -> Vec<u8> {
        let mut header = vec![16, 0, 1, format];
        header.resize(16, 0);
        [&header, name.as_bytes()].concat()
    };
    match dice.below(6) {
        0 => [&[9, 1][..], name.as_bytes()].concat(),
        1 | 2 => part(1, &header(1)),
        3 => part(1, &header(2)),
        4 => part(100, name.as_bytes()),
        _ => [part(1, &header(1)), part(1, &header(1))].concat(),
    }
}
