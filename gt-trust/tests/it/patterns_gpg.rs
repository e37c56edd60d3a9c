//! Patterns of trust signatures, each held against names by GnuPG and here.
//!
//! A root makes each of many keys an introducer for a pattern, and each of
//! those certifies names of its own: which names became valid tells what
//! matched.

use std::fmt::Write as _;

use gt_trust::Time;
use gt_trust::web::{Level, Model, Ownertrust, Settings};

use crate::weaver::{Fields, Maker, Part, packet};
use crate::webs_drawn::{Dice, PATTERNS, Scenario, Way};
use crate::webs_gpg;

const AT: u32 = 1_671_883_200;
const BORN: u32 = AT - 100_000_000;
const INTRODUCERS: u32 = 60;

const ATOMS: [&str; 74] = [
    "a",
    "B",
    "c",
    "d",
    "e",
    "k",
    "m",
    "M",
    "n",
    "s",
    "u",
    "U",
    "w",
    "x",
    "z",
    "0",
    "1",
    "4",
    "_",
    " ",
    "<",
    ">",
    "@",
    ".",
    "-",
    "\u{e9}",
    "\u{c9}",
    "\u{df}",
    "\u{fc}",
    "\u{dc}",
    "\u{3a3}",
    "\u{3c2}",
    "\u{131}",
    "\u{130}",
    "\u{430}",
    "\u{410}",
    "\u{4e2d}",
    "\t",
    "{",
    "}",
    "(",
    ")",
    "[",
    "]",
    "*",
    "+",
    "?",
    "^",
    "$",
    "|",
    "/",
    "\\A",
    "\\Z",
    "\\<",
    "\\>",
    "\\m",
    "\\M",
    "\\d",
    "\\D",
    "\\w",
    "\\W",
    "\\s",
    "\\S",
    "\\.",
    "\\a",
    "\\B",
    "\\x4",
    "\\x41",
    "\\u41",
    "\\u00c9",
    "\\U0001f600",
    "\\u{41}",
    "\\x",
    "\\\u{e9}",
];

fn text(dice: &mut Dice, longest: u32) -> String {
    (0..1 + dice.below(longest))
        .map(|_| dice.of(&ATOMS))
        .collect()
}

fn pattern(dice: &mut Dice) -> String {
    match dice.below(4) {
        0 => dice.of(&PATTERNS).to_owned(),
        1 => format!("<[^>]+[@.]{}>$", text(dice, 3)),
        _ => text(dice, 3),
    }
}

/// A name that the pattern may match: made of it, or of the same atoms.
fn name(dice: &mut Dice, pattern: &str) -> String {
    let inner = pattern.strip_prefix("<[^>]+[@.]");
    let plain = inner.unwrap_or(pattern).trim_end_matches(">$");
    let plain = match dice.below(3) {
        0 => plain.replace('\\', ""),
        1 => plain.to_uppercase(),
        _ => plain.to_lowercase(),
    };
    let name = match dice.below(5) {
        0 => text(dice, 5),
        1 => plain,
        2 => format!("x{plain}y"),
        3 => format!("Tom <t@{}.com>", text(dice, 3)),
        _ => format!("Tom <t@{plain}>"),
    };
    // gpg refuses to import such ones.
    name.replace('\0', "0")
}

fn scenario(seed: u64) -> Scenario {
    let mut dice = Dice(seed);
    let root = Maker::new(1, BORN);
    let mut file = root.packet();
    file.extend(packet(13, b"root"));
    file.extend(root.sign(&root, Part::User("root"), &Fields::new(0x13, BORN)));
    for n in 0..INTRODUCERS {
        let introducer = Maker::new(2, BORN + n);
        let pattern = pattern(&mut dice);
        let me = format!("introducer {n}");
        file.extend(introducer.packet());
        file.extend(packet(13, me.as_bytes()));
        let own = Fields::new(0x13, introducer.created);
        file.extend(introducer.sign(&introducer, Part::User(&me), &own));
        let mut fields = Fields::new(0x10, introducer.created);
        fields.trust = Some((1, 120));
        fields.pattern = Some(pattern.clone());
        file.extend(root.sign(&introducer, Part::User(&me), &fields));

        let named = Maker::new(3, BORN + n);
        file.extend(named.packet());
        let mut names: Vec<String> = (0..8).map(|_| name(&mut dice, &pattern)).collect();
        names.sort();
        names.dedup();
        for name in &names {
            file.extend(packet(13, name.as_bytes()));
            let own = Fields::new(0x13, named.created);
            file.extend(named.sign(&named, Part::User(name), &own));
            let word = Fields::new(0x10, named.created);
            file.extend(introducer.sign(&named, Part::User(name), &word));
        }
    }
    let mut owners = Ownertrust::new();
    owners.set(root.print, Level::Ultimate);
    let mut settings = Settings::at(Time(AT.into()));
    settings.model = Model::Pgp;
    Scenario {
        files: vec![file],
        owners,
        settings,
        way: Way::Direct,
    }
}

#[test]
#[ignore = "needs gpg"]
fn patterns_match_what_gpg_has_them_match() {
    let mut wrong = String::new();
    let mut matched = 0;
    for seed in webs_gpg::seeds(6) {
        match webs_gpg::compare(seed, &scenario(seed)) {
            Ok(letters) => matched += letters.get(&'f').copied().unwrap_or(0),
            Err(difference) => writeln!(wrong, "{difference}").unwrap(),
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    assert!(matched > INTRODUCERS as usize, "{matched}");
}
