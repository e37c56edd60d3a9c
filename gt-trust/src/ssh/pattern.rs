//! Lists of patterns as OpenSSH matches them (ssh_config(5), PATTERNS).

/// Tells whether a text matches a list of patterns, joined by commas: at least
/// one, and none of those with a `!` before them.
pub(super) fn matches_list(text: &[u8], list: &str) -> bool {
    let mut found = false;
    for pattern in list.split(',') {
        match pattern.strip_prefix('!') {
            Some(not) if matches(text, not.as_bytes()) => return false,
            Some(_) => {}
            None => found |= matches(text, pattern.as_bytes()),
        }
    }
    found
}

/// Matches `*` with any text and `?` with any byte. It steps back to the last
/// star only, so that no pattern costs more than its length times the text's.
fn matches(text: &[u8], pattern: &[u8]) -> bool {
    let (mut t, mut p) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(c) if *c == b'?' || *c == text[t] => {
                p += 1;
                t += 1;
            }
            _ => match &mut star {
                Some((at, from)) => {
                    *from += 1;
                    (p, t) = (*at + 1, *from);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_openssh() {
        for (text, list, expected) in [
            ("a@b", "a@b", true),
            ("a@b", "*@b", true),
            ("a@b", "?@b", true),
            ("aa@b", "?@b", false),
            ("a@b", "x,*@b", true),
            ("a@b", "*@b,!a@*", false),
            ("a@b", "!a@*,*@b", false),
            ("c@b", "!a@*,*@b", true),
            ("c@b", "!a@*", false),
            ("git", "file,git", true),
            ("git", "g*t*", true),
            ("", "*", true),
            ("A@b", "a@b", false),
        ] {
            assert_eq!(
                matches_list(text.as_bytes(), list),
                expected,
                "{text} {list}"
            );
        }
    }

    #[test]
    fn many_stars_cost_little() {
        let text = vec![b'a'; 20_000];
        assert!(!matches(
            &text,
            "a*".repeat(500)
                .replace("aa", "a")
                .as_bytes()
                .iter()
                .copied()
                .chain(*b"b")
                .collect::<Vec<_>>()
                .as_slice()
        ));
    }
}
