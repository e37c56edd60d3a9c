//! Rules for some refs: who may move them, how, and whose signatures the
//! commits must bear.

use std::fmt;
use std::str::FromStr;

use super::Delegate;
use crate::grammar::number;
use crate::refs::Pattern;

/// What holds of the refs that a pattern takes in; written as
/// `<pattern> <who> <threshold> <which moves>`, and `signed-tip` or
/// `signed-commits` after it where signatures are asked for.
///
/// Every rule whose pattern takes a ref in must be fulfilled.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rule {
    /// Which refs.
    pub pattern: Pattern,
    /// Whose seals count.
    pub who: Who,
    /// How many of them are needed.
    pub threshold: u64,
    /// Which moves are allowed.
    pub which: Which,
    /// Which commits must be signed by one of `who`.
    pub signed: Signed,
}

impl Rule {
    /// Returns a rule that asks for no signatures of commits.
    pub fn new(pattern: Pattern, who: Who, threshold: u64, which: Which) -> Self {
        Self {
            pattern,
            who,
            threshold,
            which,
            signed: Signed::No,
        }
    }

    /// Asks for signatures of commits.
    #[must_use]
    pub fn signed(mut self, signed: Signed) -> Self {
        self.signed = signed;
        self
    }

    /// Reads the form that stands after `Rule:` in a charter.
    pub fn parse(text: &str) -> Option<Self> {
        Self::from_line(text)
    }

    /// Tells whether a delegate is one of those whose seals count for it.
    pub fn counts(&self, delegate: &Delegate) -> bool {
        match &self.who {
            Who::Any => true,
            Who::Some(names) => names.contains(delegate),
        }
    }

    pub(super) fn from_line(text: &str) -> Option<Self> {
        let mut words = text.split(' ');
        let rule = Self {
            pattern: words.next()?.parse().ok()?,
            who: words.next()?.parse().ok()?,
            threshold: number(words.next()?)?,
            which: words.next()?.parse().ok()?,
            signed: match words.next() {
                Some(word) => Signed::from_word(word)?,
                None => Signed::No,
            },
        };
        words.next().is_none().then_some(rule)
    }

    /// Tells whether listed delegates, each named once, can fulfil it.
    pub(super) fn fits(&self, delegates: &[Delegate]) -> bool {
        let count = match &self.who {
            Who::Any => delegates.len(),
            Who::Some(names) => {
                let unique = names
                    .iter()
                    .enumerate()
                    .all(|(n, name)| delegates.contains(name) && !names[..n].contains(name));
                if unique { names.len() } else { 0 }
            }
        };
        (1..=count as u64).contains(&self.threshold)
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            pattern,
            who,
            threshold,
            which,
            signed,
        } = self;
        write!(f, "{pattern} {who} {threshold} {which}{}", signed.suffix())
    }
}

/// Whose seals count: `any`, or delegates joined by commas.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Who {
    /// Every delegate's.
    Any,
    /// These delegates'.
    Some(Vec<Delegate>),
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("any"),
            Self::Some(delegates) => {
                let names: Vec<String> = delegates.iter().map(Delegate::to_string).collect();
                f.write_str(&names.join(","))
            }
        }
    }
}

impl FromStr for Who {
    type Err = super::delegate::ParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "any" => Ok(Self::Any),
            _ => text
                .split(',')
                .map(str::parse)
                .collect::<Result<_, _>>()
                .map(Self::Some),
        }
    }
}

/// Which moves of a ref are allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Which {
    /// Forward only.
    FastForward,
    /// None: once set it stays.
    Immutable,
    /// All.
    Free,
}

impl fmt::Display for Which {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::FastForward => "fast-forward",
            Self::Immutable => "immutable",
            Self::Free => "free",
        })
    }
}

impl FromStr for Which {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "fast-forward" => Ok(Self::FastForward),
            "immutable" => Ok(Self::Immutable),
            "free" => Ok(Self::Free),
            _ => Err(()),
        }
    }
}

/// Which commits must be signed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Signed {
    /// None.
    #[default]
    No,
    /// What the ref names: a commit, or an annotated tag.
    Tip,
    /// Every commit that was not published before.
    Every,
}

impl Signed {
    fn from_word(word: &str) -> Option<Self> {
        match word {
            "signed-tip" => Some(Self::Tip),
            "signed-commits" => Some(Self::Every),
            _ => None,
        }
    }

    fn suffix(self) -> &'static str {
        match self {
            Self::No => "",
            Self::Tip => " signed-tip",
            Self::Every => " signed-commits",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_round_trip() {
        let key = "ab".repeat(20);
        for good in [
            "refs/heads/main any 2 fast-forward".to_owned(),
            format!("refs/tags/* openpgp:{key} 1 immutable"),
            "refs/tags/* any 1 immutable signed-tip".to_owned(),
            "refs/heads/* any 1 free signed-commits".to_owned(),
        ] {
            assert_eq!(Rule::from_line(&good).unwrap().to_string(), good);
        }
        assert!(Rule::from_line("refs/tags/* any 1 free ").is_none());
        assert!(Rule::from_line("refs/tags/* any 1 free signed").is_none());
        assert!(Rule::from_line("refs/tags/* any 1 free signed-tip x").is_none());
        assert!(Rule::from_line("refs/tags/* any  1 free").is_none());
    }
}
