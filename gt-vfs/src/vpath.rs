//! Names of files inside a [`Vfs`](crate::Vfs).

use std::fmt;

use crate::disguise;

/// The longest path, in bytes.
pub const MAX_PATH: usize = 4096;
/// The longest component, in bytes: what common file systems can hold.
pub const MAX_COMPONENT: usize = 255;

/// A relative path of plain components, joined by `/`, as bytes.
///
/// Whoever holds one knows that it cannot climb out of a folder, is not
/// absolute, and holds no name that a file system turns into another one.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VPath(Box<[u8]>);

impl VPath {
    /// Parses a path whose components are joined by `/`.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn parse(path: &[u8]) -> Result<Self, Error> {
        if path.len() > MAX_PATH {
            return Err(Error::TooLong(path.len()));
        }
        path.split(|b| *b == b'/').try_for_each(check_component)?;
        Ok(Self(path.into()))
    }

    /// Joins components, none of which may hold a `/`.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn from_components<'a>(
        components: impl IntoIterator<Item = &'a [u8]>,
    ) -> Result<Self, Error> {
        let mut path = Vec::new();
        for (n, component) in components.into_iter().enumerate() {
            if component.contains(&b'/') {
                return Err(Error::Component(shown(component), "a separator inside"));
            }
            if path.len() + component.len() > MAX_PATH {
                return Err(Error::TooLong(path.len() + component.len()));
            }
            if n > 0 {
                path.push(b'/');
            }
            path.extend_from_slice(component);
        }
        Self::parse(&path)
    }

    /// Returns the whole path.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Iterates over the components, of which there is at least one.
    pub fn components(&self) -> impl DoubleEndedIterator<Item = &[u8]> {
        self.0.split(|b| *b == b'/')
    }

    /// Returns the last component.
    pub fn name(&self) -> &[u8] {
        self.components().next_back().unwrap_or(&[])
    }
}

fn check_component(name: &[u8]) -> Result<(), Error> {
    let fault = if name.is_empty() {
        "an empty component"
    } else if name == b"." || name == b".." {
        "a step in the folder tree"
    } else if name.len() > MAX_COMPONENT {
        "more than 255 bytes"
    } else if name.iter().any(|b| b.is_ascii_control()) {
        "a control character"
    } else if name.contains(&b'\\') {
        "a backslash, which separates on some systems"
    } else if disguise::is_dotgit(name) {
        "a name that becomes .git"
    } else if disguise::ntfs_trim(name).len() != name.len() {
        "a dot or space at the end, which some file systems drop"
    } else {
        return Ok(());
    };
    Err(Error::Component(shown(name), fault))
}

fn shown(name: &[u8]) -> String {
    name[..name.len().min(64)].escape_ascii().to_string()
}

impl fmt::Display for VPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.0))
    }
}

impl fmt::Debug for VPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VPath({})", self.0.escape_ascii())
    }
}

/// Why bytes are no [`VPath`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The whole is too long.
    #[error("expected a path of at most {MAX_PATH} bytes, got {0}")]
    TooLong(usize),
    /// One component cannot be used.
    #[error("expected a plain file name, got {1}: \"{0}\"")]
    Component(String, &'static str),
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn refuses_what_escapes() {
        for path in [
            "",
            "/",
            "/etc/passwd",
            "a//b",
            "a/",
            "..",
            "a/../b",
            "./a",
            "a\\b",
            "a\0",
            "a\nb",
            ".git/hooks/x",
            "x/.GIT/config",
            "x/git~1/y",
            "a.",
            "a ",
            "x/... ",
        ] {
            assert!(VPath::parse(path.as_bytes()).is_err(), "{path:?}");
        }
        assert!(VPath::parse(&[b'a'; 256]).is_err());
        assert!(VPath::parse(&b"a/".repeat(3000)).is_err());
    }

    #[test]
    fn takes_plain_names() {
        for path in [
            "a",
            "reels/0-3.bundle",
            ".gitignore",
            "a/.b",
            "x:2,S",
            "\u{e9}",
            "..a",
        ] {
            assert_eq!(
                VPath::parse(path.as_bytes()).unwrap().as_bytes(),
                path.as_bytes()
            );
        }
        assert!(VPath::parse(b"\xff\xfe").is_ok());
    }

    proptest! {
        #[test]
        fn components_join_to_the_same(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            if let Ok(path) = VPath::parse(&bytes) {
                let again = VPath::from_components(path.components()).unwrap();
                prop_assert_eq!(&again, &path);
                let joined = std::path::Path::new("a/folder").join(path.to_string());
                prop_assert!(joined.components().all(|c| c != std::path::Component::ParentDir));
            }
        }
    }
}
