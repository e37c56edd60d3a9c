//! The pattern of a trust signature: whose names an introducer may certify
//! (RFC 9580 section 5.2.3.22).
//!
//! GnuPG does not take the pattern for what the RFC lets it be: all operators
//! but the dot are read as plain characters, save for the frame
//! `<[^>]+[@.]`…`>$` that it writes itself. So an introducer for `example.com`
//! cannot be widened by somebody's clever expression, and matching takes time
//! in proportion to the lengths.

use std::borrow::Cow;

use super::{UserKind, attribute};
use crate::limits;

/// One step of a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// This character. Names are held against it in capitals.
    Is(char),
    /// What no character is.
    Never,
    /// Any character.
    Any,
    /// A character of a set, or none of it.
    Of(Set, bool),
    /// The edges of the name, and of words in it.
    Start,
    End,
    WordStart,
    WordEnd,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Set {
    Digit,
    Word,
    Blank,
}

/// A name as it is compared, and as it was written.
struct Name {
    upper: Vec<char>,
    plain: Vec<char>,
}

const FRAME_START: &[u8] = b"<[^>]+[@.]";
const FRAME_END: &[u8] = b">$";

/// Tells whether a name matches a pattern, capitals or not, anywhere in it.
pub(super) fn matches(pattern: &[u8], name: &[u8]) -> bool {
    if pattern.len() > limits::PATTERN || name.len() > limits::PATTERN {
        return false;
    }
    let framed = pattern.len() >= FRAME_START.len() + FRAME_END.len()
        && pattern.starts_with(FRAME_START)
        && pattern.ends_with(FRAME_END);
    let inner = if framed {
        &pattern[FRAME_START.len()..pattern.len() - FRAME_END.len()]
    } else {
        pattern
    };
    let Some(steps) = steps(inner) else {
        return false;
    };
    let name = Name {
        upper: until_zero(name).map(upper).collect(),
        plain: until_zero(name).collect(),
    };
    if framed {
        matches_framed(&steps, &name)
    } else {
        (0..=name.upper.len()).any(|at| run(&steps, &name, at).is_some())
    }
}

/// Returns the name that a pattern is held against.
pub(super) fn name_of(kind: UserKind, body: &[u8]) -> Cow<'_, [u8]> {
    match kind {
        UserKind::Id => Cow::Borrowed(body),
        UserKind::Attribute => Cow::Owned(attribute::name(body).into_bytes()),
    }
}

/// A C string in UTF-8; octets that are none stand for themselves.
fn until_zero(bytes: &[u8]) -> impl Iterator<Item = char> {
    let end = bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len());
    let chunks = bytes[..end].utf8_chunks();
    chunks.flat_map(|chunk| {
        let odd = chunk.invalid().iter().map(|b| char::from(*b));
        chunk.valid().chars().chain(odd)
    })
}

fn upper(c: char) -> char {
    let mut upper = c.to_uppercase();
    match (upper.next(), upper.next()) {
        (Some(one), None) => one,
        // What becomes two letters stays as it is.
        _ => c,
    }
}

/// Reads the steps; `None` where the pattern is none.
fn steps(pattern: &[u8]) -> Option<Vec<Step>> {
    let pattern: Vec<char> = until_zero(pattern).collect();
    let mut steps = Vec::new();
    let mut rest = pattern.as_slice();
    while let [c, after @ ..] = rest {
        rest = after;
        steps.push(match c {
            '.' => Step::Any,
            '\\' => {
                let (escaped, after) = after.split_first()?;
                rest = after;
                escape(*escaped, &mut rest)?
            }
            c => Step::Is(upper(*c)),
        });
    }
    Some(steps)
}

/// The escapes of the regular expressions that GnuPG brings along; `None`
/// where the pattern is none.
///
/// What is escaped is not put into capitals, but names are: an escaped small
/// letter is none of theirs.
fn escape(c: char, rest: &mut &[char]) -> Option<Step> {
    Some(match c {
        'A' => Step::Start,
        'Z' => Step::End,
        '<' | 'm' => Step::WordStart,
        '>' | 'M' => Step::WordEnd,
        'd' | 'D' => Step::Of(Set::Digit, c == 'd'),
        'w' | 'W' => Step::Of(Set::Word, c == 'w'),
        's' | 'S' => Step::Of(Set::Blank, c == 's'),
        'b' => Step::Is('\u{8}'),
        'e' => Step::Is('\u{1b}'),
        'f' => Step::Is('\u{c}'),
        'n' => Step::Is('\n'),
        'r' => Step::Is('\r'),
        't' => Step::Is('\t'),
        'v' => Step::Is('\u{b}'),
        'u' => return number(c, 4, rest),
        'U' => return number(c, 8, rest),
        'x' => return number(c, 2, rest),
        // It escapes the first octet alone, which makes no character.
        c if !c.is_ascii() => Step::Never,
        c => Step::Is(c),
    })
}

/// The character whose number in hexadecimal follows, of so many digits at
/// most; the letter itself where none does.
fn number(letter: char, digits: usize, rest: &mut &[char]) -> Option<Step> {
    let found = rest.iter().map_while(|c| c.to_digit(16)).take(digits);
    let (count, value) = found.fold((0, 0), |(n, value), digit| (n + 1, value << 4 | digit));
    *rest = &rest[count..];
    match (count, value) {
        (0, _) => Some(Step::Is(letter)),
        // It would end the pattern.
        (_, 0) => None,
        _ => Some(char::from_u32(value).map_or(Step::Never, Step::Is)),
    }
}

/// `<`, one or more that are not `>`, one of `@` and `.`, the steps, `>`, end.
fn matches_framed(steps: &[Step], name: &Name) -> bool {
    let upper = &name.upper;
    if upper.last() != Some(&'>') {
        return false;
    }
    (0..upper.len()).any(|i| {
        let part = matches!(upper[i], '@' | '.');
        let first = upper[..i]
            .iter()
            .rposition(|c| *c == '>')
            .map_or(0, |p| p + 1);
        // Between the "<" and here at least one, and no ">".
        let inside = upper.get(first..i.saturating_sub(1));
        let opened = inside.is_some_and(|inside| inside.contains(&'<'));
        part && opened && run(steps, name, i + 1) == Some(upper.len() - 1)
    })
}

/// Walks the steps from a place; returns where they end. Each takes one
/// character or none, so there is but one way.
fn run(steps: &[Step], name: &Name, mut at: usize) -> Option<usize> {
    for step in steps {
        let here = name.upper.get(at);
        // As it was written: of what is behind GnuPG sees an octet, and none of
        // those beyond ASCII is of a word.
        let before = at.checked_sub(1).and_then(|i| name.plain.get(i));
        let is_after_word = before.is_some_and(|c| c.is_ascii_alphanumeric() || *c == '_');
        let (fits, width) = match step {
            Step::Is(c) => (here == Some(c), 1),
            Step::Never => (false, 1),
            Step::Any => (here.is_some(), 1),
            Step::Of(set, inside) => (here.is_some_and(|c| set.has(*c) == *inside), 1),
            Step::Start => (at == 0, 0),
            Step::End => (here.is_none(), 0),
            Step::WordStart => (here.is_some_and(|c| begins_word(*c)) && !is_after_word, 0),
            // GnuPG's takes any place after a word character for one.
            Step::WordEnd => (is_after_word, 0),
        };
        if !fits {
            return None;
        }
        at += width;
    }
    Some(at)
}

/// GnuPG asks it of the lower eight bits of a character's number, so that a
/// dotted capital I (U+0130) begins a word as a zero (0x30) does.
fn begins_word(c: char) -> bool {
    let [low, ..] = u32::from(c).to_le_bytes();
    low.is_ascii_alphanumeric() || c == '_'
}

impl Set {
    fn has(self, c: char) -> bool {
        match self {
            Self::Digit => c.is_ascii_digit(),
            Self::Word => c.is_ascii_alphanumeric() || c == '_',
            Self::Blank => matches!(c, ' ' | '\t' | '\r' | '\n' | '\u{b}' | '\u{c}'),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FRAMED: &[u8] = b"<[^>]+[@.]example\\.com>$\0";

    fn framed(pattern: &str) -> Vec<u8> {
        format!("<[^>]+[@.]{pattern}>$").into_bytes()
    }

    #[test]
    fn the_frame_ties_to_the_end_of_the_address() {
        let pattern = &FRAMED[..FRAMED.len() - 1];
        for good in [
            "A <a@example.com>",
            "A <a@B.Example.COM>",
            "A <x> <a@example.com>",
            "<a@example.com>",
        ] {
            assert!(matches(pattern, good.as_bytes()), "{good}");
        }
        for bad in [
            "A <a@example.com> B",
            "A <a@example.comx>",
            "A <a@badexample.com>",
            "A a@example.com>",
            "A <@example.com>",
            "A <a> b@example.com>",
            "A <a@exampleXcom>",
            "",
        ] {
            assert!(!matches(pattern, bad.as_bytes()), "{bad}");
        }
        assert!(matches(&framed("example.com"), b"A <a@exampleXcom>"));
    }

    #[test]
    fn operators_are_plain_characters() {
        assert!(!matches(b".*", b"anybody"));
        assert!(matches(b".*", b"a*"));
        assert!(!matches(b"a|b", b"a"));
        assert!(matches(b"a|b", b"xA|Bx"));
        assert!(!matches(&framed(".*"), b"A <a@example.com>"));
        assert!(!matches(b"^Bob", b"Bob"));
        assert!(matches(b"bob", b"xBOBx"));
        assert!(matches(b"", b"anybody"));
    }

    #[test]
    fn escapes_are_those_of_gnupg() {
        assert!(matches(b"\\d\\D", b"x7y"));
        assert!(matches(b"\\Abob\\Z", b"bob"));
        assert!(!matches(b"\\Abob\\Z", b"bobx"));
        assert!(matches(b"\\<bob", b"a bob"));
        assert!(!matches(b"\\<bob", b"abob"));
        assert!(!matches(b"bob\\", b"bob\\"));
    }

    #[test]
    fn words_are_those_of_gnupg() {
        // U+0130 and U+4E41 end in an octet that is a digit, a letter; U+4E5F in
        // an underscore, which is asked of the whole.
        assert!(matches("\\<\u{130}".as_bytes(), "a \u{130}".as_bytes()));
        assert!(matches(b"\\<.", "\u{4e41}".as_bytes()));
        assert!(!matches(b"\\<.", "\u{4e2d}".as_bytes()));
        assert!(!matches(b"\\<.", "\u{4e5f}".as_bytes()));
        assert!(!matches(b"\\<.", "\u{e9}".as_bytes()));
        // The capital of U+0131 is an I, but what stands before is not made one.
        assert!(matches(b"\\<x", "\u{131}x".as_bytes()));
        assert!(!matches(b"\\>x", "\u{131}x".as_bytes()));
        assert!(matches(b"\\<.x", "\u{131}x".as_bytes()));
    }

    #[test]
    fn what_is_escaped_is_not_put_into_capitals() {
        assert!(matches(b"\\B", b"b") && matches(b"\\B", b"B"));
        assert!(!matches(b"\\k", b"k") && !matches(b"\\k", b"K"));
        assert!(!matches(b"\\k", b"\\k"));
        assert!(!matches("\\É".as_bytes(), "É".as_bytes()));
        assert!(matches(b"\\}", b"}"));
    }

    #[test]
    fn characters_by_number() {
        assert!(matches(b"\\x41", b"a") && matches(b"\\x41b", b"xAbx"));
        assert!(matches(b"\\u0041", b"anybody") && matches(b"\\u41", b"A"));
        assert!(matches(b"\\U00000041", b"a"));
        assert!(matches(b"\\u00c9", "é".as_bytes()));
        assert!(!matches(b"\\x61", b"a"), "no capital");
        assert!(!matches(b"\\x41", b"x41"));
        // Without digits the letter stands for itself: a capital fits.
        assert!(matches(b"\\Uz", b"uz") && !matches(b"\\xz", b"xz"));
        assert!(!matches(b"\\u0", b"u0") && !matches(b"a\\x00b", b"a"));
        assert!(!matches(b"\\UFFFFFFFF", b"anything"));
    }

    proptest! {
        #[test]
        fn matching_is_total(pattern: Vec<u8>, name: Vec<u8>) {
            let _ = matches(&pattern, &name);
            let _ = matches(&[FRAME_START, &pattern, FRAME_END].concat(), &name);
        }

        /// The frame as a regular expression would have it.
        #[test]
        fn the_frame_is_what_it_says(name in "[<>@.a]{0,9}") {
            let naive = (0..name.len()).any(|open| {
                let rest = &name[open..];
                (2..rest.len()).any(|i| {
                    rest.starts_with('<')
                        && !rest[1..i].contains('>')
                        && matches!(rest.as_bytes()[i], b'@' | b'.')
                        && &rest[i + 1..] == "a>"
                })
            });
            prop_assert_eq!(matches(&framed("a"), name.as_bytes()), naive);
        }
    }
}
