//! Patterns of refs, and the set that is published.

use std::fmt;
use std::str::FromStr;

use super::{Error, RefName};

/// A ref's name, or a folder of refs with `/*` at its end, as UTF-8.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern(String);

impl Pattern {
    /// Tells whether it takes in a ref.
    pub fn matches(&self, name: &RefName) -> bool {
        match self.0.strip_suffix('*') {
            Some(folder) => name.as_bytes().starts_with(folder.as_bytes()),
            None => name.as_bytes() == self.0.as_bytes(),
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Pattern {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        // What stands for the star makes it a name like any other.
        let name = match text.strip_suffix("/*") {
            Some(folder) => format!("{folder}/x"),
            None => text.to_owned(),
        };
        RefName::new(name.as_bytes())?;
        Ok(Self(text.to_owned()))
    }
}

/// Which refs leave the machine: branches, tags, and what the person added
/// (PROTOCOL.md section 5). Nothing else does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Published {
    added: Vec<Pattern>,
}

impl Published {
    /// Returns the set with more patterns.
    #[must_use]
    pub fn with(mut self, patterns: impl IntoIterator<Item = Pattern>) -> Self {
        self.added.extend(patterns);
        self
    }

    /// Tells whether a ref is published.
    pub fn holds(&self, name: &RefName) -> bool {
        name.is_branch() || name.is_tag() || self.added.iter().any(|p| p.matches(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> RefName {
        text.parse().unwrap()
    }

    #[test]
    fn patterns() {
        let heads: Pattern = "refs/heads/*".parse().unwrap();
        assert!(heads.matches(&name("refs/heads/a/b")));
        assert!(!heads.matches(&name("refs/tags/a")));
        let main: Pattern = "refs/heads/main".parse().unwrap();
        assert!(!main.matches(&name("refs/heads/mainline")));
        for bad in [
            "*",
            "refs/*",
            "refs/heads/a*",
            "refs/*/x",
            "refs/gt/*",
            "heads/*",
        ] {
            assert!(bad.parse::<Pattern>().is_err(), "{bad}");
        }
    }

    #[test]
    fn only_branches_tags_and_what_was_added() {
        let set = Published::default();
        assert!(set.holds(&name("refs/heads/main")) && set.holds(&name("refs/tags/v1")));
        assert!(!set.holds(&name("refs/notes/commits")));
        assert!(!set.holds(&name("refs/pull/1/head")));
        let set = set.with(["refs/notes/*".parse().unwrap()]);
        assert!(set.holds(&name("refs/notes/commits")));
        assert!(!set.holds(&name("refs/pull/1/head")));
    }
}
