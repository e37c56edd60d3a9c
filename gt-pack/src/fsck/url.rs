//! Addresses of submodules that would be taken for something else.
//!
//! A line feed in one becomes a line of the credential protocol
//! (CVE-2020-5260), an empty host another host (CVE-2020-11008), a dash in
//! front an option (CVE-2018-17456).

/// Tells whether git refuses a submodule's address.
pub(super) fn is_bad(url: &[u8]) -> bool {
    if url.starts_with(b"-") {
        return true;
    }
    let is_relative = dot_slash(url) || dotdot_slash(url);
    if is_relative || url.starts_with(b"git://") {
        let (climbs, next) = climb(url);
        return decoded_has_line_feed(url) || climbs && matches!(next.first(), Some(b':' | b'/'));
    }
    match curl_url(url) {
        Some(inner) => is_malformed(inner) || decoded_has_line_feed(inner),
        None => false,
    }
}

fn dot_slash(url: &[u8]) -> bool {
    matches!(url, [b'.', b'/' | b'\\', ..])
}

fn dotdot_slash(url: &[u8]) -> bool {
    matches!(url, [b'.', b'.', b'/' | b'\\', ..])
}

/// Drops `./` and `../` in front, and tells whether there was a `../`.
fn climb(mut url: &[u8]) -> (bool, &[u8]) {
    let mut climbs = false;
    loop {
        if dotdot_slash(url) {
            climbs = true;
            url = &url[3..];
        } else if dot_slash(url) {
            url = &url[2..];
        } else {
            return (climbs, url);
        }
    }
}

/// Returns what git hands to curl.
fn curl_url(url: &[u8]) -> Option<&[u8]> {
    for scheme in ["http", "https", "ftp", "ftps"] {
        if let Some(rest) = url.strip_prefix(scheme.as_bytes()) {
            if let Some(inner) = rest.strip_prefix(b"::") {
                return Some(inner);
            }
            if rest.starts_with(b"://") {
                return Some(url);
            }
        }
    }
    None
}

fn decoded_has_line_feed(url: &[u8]) -> bool {
    url.contains(&b'\n')
        || url
            .windows(3)
            .any(|three| three[0] == b'%' && escape(&three[1..]) == Some(b'\n'))
}

fn escape(digits: &[u8]) -> Option<u8> {
    let text = std::str::from_utf8(digits.get(..2)?).ok()?;
    // A sign is no digit.
    let all = text.bytes().all(|b| b.is_ascii_hexdigit());
    all.then(|| u8::from_str_radix(text, 16).ok()).flatten()
}

/// Tells whether there is no scheme, no host, a host of other characters, a
/// port that is none, a broken escape, or a path above its root.
fn is_malformed(url: &[u8]) -> bool {
    let Some(colon) = url.windows(3).position(|three| three == b"://") else {
        return true;
    };
    let scheme = &url[..colon];
    let in_scheme = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'.' | b'-');
    if !scheme.first().is_some_and(u8::is_ascii_alphabetic) || !scheme.iter().all(in_scheme) {
        return true;
    }
    let rest = &url[colon + 3..];
    let end = |bytes: &[u8], at: &[u8]| {
        let found = bytes.iter().position(|b| at.contains(b));
        found.unwrap_or(bytes.len())
    };
    let (place, path) = rest.split_at(end(rest, b"/?#"));
    let (user, host) = match place.iter().position(|b| *b == b'@') {
        Some(at) => (&place[..at], &place[at + 1..]),
        None => (&[][..], place),
    };
    is_broken(user) || is_bad_place(host, scheme.eq_ignore_ascii_case(b"file")) || {
        let (path, behind) = path.split_at(end(path, b"?#"));
        is_broken(path) || is_broken(behind) || climbs_out(path)
    }
}

fn is_broken(text: &[u8]) -> bool {
    text.iter()
        .enumerate()
        .any(|(n, b)| *b == b'%' && escape(&text[n + 1..]).is_none())
}

/// Of files the host may be left out, and then there is no port.
fn is_bad_place(place: &[u8], is_file: bool) -> bool {
    // The last colon, where no bracket closes behind it: a bracket that stays
    // open is a letter of the host.
    let last = place.iter().rposition(|b| matches!(b, b':' | b']'));
    let (host, port) = match last.filter(|at| place[*at] == b':') {
        Some(at) => (&place[..at], &place[at + 1..]),
        None => (place, &[][..]),
    };
    let in_host =
        |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b'[' | b':' | b']');
    let digits = std::str::from_utf8(port).unwrap_or("x");
    let is_port = port.is_empty()
        || port.iter().all(u8::is_ascii_digit) && digits.parse::<u16>().is_ok_and(|n| n > 0);
    match place.first() {
        None | Some(b':') => !is_file || !port.is_empty(),
        Some(_) => !host.iter().all(in_host) || !is_port,
    }
}

/// Dots may be written as escapes.
fn climbs_out(path: &[u8]) -> bool {
    let mut depth = 0_i64;
    for part in path.split(|b| *b == b'/').skip(1) {
        let mut plain = Vec::new();
        let mut rest = part;
        while let Some((&byte, after)) = rest.split_first() {
            match (byte, escape(after)) {
                (b'%', Some(decoded)) => {
                    plain.push(decoded);
                    rest = &after[2..];
                }
                _ => {
                    plain.push(byte);
                    rest = after;
                }
            }
        }
        match &plain[..] {
            b"." => {}
            b".." => depth -= 1,
            _ => depth += 1,
        }
        if depth < 0 {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn good_and_bad() {
        for url in [
            "https://example.org/a/../b.git",
            "../sibling",
            "..\\sibling",
            "./below",
            "git://example.org/a",
            "http://user:p%40ss@[::1]:8080/x?y#z",
            "git@example.org:a/b",
            "ssh://example.org/a%0ab",
            "file:///x",
            "/local",
            "https::https://example.org/",
            "http://[::1/",
            "http://h:0080/",
            "http::file:///x",
            "",
        ] {
            assert!(!is_bad(url.as_bytes()), "{url}");
        }
        for url in [
            "-u./payload",
            "../%0a",
            "./a\nb",
            "git://h/%0ax",
            "https://h/%0a",
            "https://h/\n",
            "../../:x",
            "..//x",
            "https:///x",
            "http://",
            "https::x",
            "https://h:0/",
            "https://h:99999/",
            "https://h:x/",
            "https://h/%zz",
            "https://h/../x",
            "https://h/%2e%2E/x",
            "https://a b/",
            "http://:80/",
            "http::file://a b/",
            "http::file://:80/",
        ] {
            assert!(is_bad(url.as_bytes()), "{url}");
        }
    }
}
