//! Whether bytes can be the name of a ref (git: `check-ref-format`).

/// Tells whether `name`, which has more than one component, is well formed.
pub(super) fn is_good(name: &[u8]) -> bool {
    !name.ends_with(b".") && !name.contains(&0) && name.split(|b| *b == b'/').all(is_good_component)
}

fn is_good_component(part: &[u8]) -> bool {
    let forbidden = |b: &u8| *b < 0x20 || *b == 0x7f || b" :?[\\^~*".contains(b);
    !part.is_empty()
        && !part.starts_with(b".")
        && !part.ends_with(b".lock")
        && !part.iter().any(forbidden)
        && !part.windows(2).any(|two| two == b".." || two == b"@{")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_tags() {
        for name in ["v1.0", "a/b", "@", "\u{fc}", "a.lockx", "-x"] {
            assert!(is_good(format!("refs/tags/{name}").as_bytes()), "{name}");
        }
        for name in [
            "", ".a", "a..b", "a b", "a~1", "a^", "a:b", "a?", "a*", "a[", "a\\b", "a@{b", "a.",
            "a/", "/a", "a//b", "a.lock", "a.lock/b", "a\u{7f}", "a\tb",
        ] {
            assert!(!is_good(format!("refs/tags/{name}").as_bytes()), "{name}");
        }
    }
}
