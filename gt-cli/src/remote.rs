//! Git's remote-helper protocol (gitremote-helpers(7)) over any reader and
//! writer.

use std::io::{self, BufRead, Read as _, Write};

use gt_vfs::{ObjectFormat, ObjectId};

/// The longest line that git may send, in bytes.
const LINE: u64 = 64 * 1024;

/// What the protocol needs from whoever brings the repository.
pub trait Remote {
    /// Says what the refs are now.
    ///
    /// # Errors
    /// A message for the person.
    fn list(&mut self) -> Result<Listing, String>;

    /// Brings every object that the last listing named into the repository.
    ///
    /// # Errors
    /// A message for the person; what was brought so far is kept.
    fn fetch(&mut self, wanted: &[ObjectId]) -> Result<(), String>;

    /// Takes an option; tells whether it is understood.
    fn option(&mut self, option: Choice);
}

/// An option that is understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// Whether progress is shown, whatever the terminal.
    Progress(bool),
    /// How much is said: 0 is errors only, 1 the usual.
    Verbosity(u8),
    /// Only a part of history or of the objects was asked for, which cannot be
    /// had: all of it comes.
    Part,
}

/// The refs of a repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    /// The hash of its objects.
    pub format: ObjectFormat,
    /// The refs by name.
    pub refs: Vec<(Vec<u8>, ObjectId)>,
    /// The ref that HEAD names.
    pub head: Option<Vec<u8>>,
}

/// Answers git until it has no more to ask.
///
/// # Errors
/// See [`Error`]; git shows its own message when the helper ends early.
pub fn serve(
    input: &mut dyn BufRead,
    output: &mut dyn Write,
    remote: &mut dyn Remote,
) -> Result<(), Error> {
    let mut object_format = false;
    let mut wanted = Vec::new();
    while let Some(line) = next_line(input)? {
        let (word, rest) = line.split_once(' ').unwrap_or((&line, ""));
        match (word, rest) {
            ("", _) if wanted.is_empty() => return Ok(()),
            ("", _) => {
                remote.fetch(&wanted).map_err(Error::Remote)?;
                wanted.clear();
                writeln!(output)?;
            }
            ("capabilities", _) => {
                // Pushing is named so that git asks for it, and hears why not;
                // without the name it ends without a word.
                write!(output, "fetch\npush\noption\nobject-format\n\n")?
            }
            ("option", rest) => {
                let answer = option(rest, remote, &mut object_format);
                writeln!(output, "{answer}")?;
            }
            ("list", "") => list(
                output,
                &remote.list().map_err(Error::Remote)?,
                object_format,
            )?,
            ("list", _) => return Err(Error::Push),
            ("fetch", rest) => {
                let id = rest.split(' ').next().unwrap_or_default();
                let id = id.parse().map_err(|_| Error::Line(line.clone()))?;
                wanted.push(id);
                continue;
            }
            _ => return Err(Error::Line(line)),
        }
        output.flush()?;
    }
    Ok(())
}

fn option(rest: &str, remote: &mut dyn Remote, object_format: &mut bool) -> &'static str {
    match rest.split_once(' ').unwrap_or((rest, "")) {
        ("progress", value) => {
            remote.option(Choice::Progress(value == "true"));
            "ok"
        }
        ("verbosity", value) => match value.parse() {
            Ok(level) => {
                remote.option(Choice::Verbosity(level));
                "ok"
            }
            Err(_) => "error expected a number",
        },
        ("object-format", "true") => {
            *object_format = true;
            "ok"
        }
        // All objects of a statement come at once, those of tags among them.
        ("followtags" | "cloning", _) => "ok",
        // Git goes on without and says nothing.
        ("depth" | "deepen-since" | "deepen-not" | "deepen-relative" | "filter", _) => {
            remote.option(Choice::Part);
            "unsupported"
        }
        // Others are no harm.
        _ => "unsupported",
    }
}

fn list(output: &mut dyn Write, listing: &Listing, object_format: bool) -> io::Result<()> {
    if object_format {
        writeln!(output, ":object-format {}", listing.format)?;
    }
    for (name, id) in &listing.refs {
        write!(output, "{id} ")?;
        output.write_all(name)?;
        writeln!(output)?;
    }
    if let Some(head) = &listing.head {
        output.write_all(b"@")?;
        output.write_all(head)?;
        output.write_all(b" HEAD\n")?;
    }
    writeln!(output)
}

fn next_line(input: &mut dyn BufRead) -> Result<Option<String>, Error> {
    let mut line = Vec::new();
    input.take(LINE).read_until(b'\n', &mut line)?;
    if line.is_empty() {
        return Ok(None);
    }
    if line.last() == Some(&b'\n') {
        line.pop();
    } else if line.len() as u64 == LINE {
        return Err(Error::Long);
    }
    String::from_utf8(line)
        .map(Some)
        .map_err(|e| Error::Line(String::from_utf8_lossy(e.as_bytes()).into_owned()))
}

/// Reads the two words that git gives a helper: the remote's name and its
/// address, which is also the name where there is none.
///
/// # Errors
/// [`Error::Argument`] for a word that begins with a dash or holds control
/// characters: it might be taken for an option further on.
pub fn arguments(args: &[std::ffi::OsString]) -> Result<(String, String), Error> {
    let words: Vec<&str> = args
        .iter()
        .skip(1)
        .map(|a| a.to_str().ok_or(Error::Argument))
        .collect::<Result<_, _>>()?;
    if words
        .iter()
        .any(|w| w.starts_with('-') || w.chars().any(char::is_control))
    {
        return Err(Error::Argument);
    }
    match words[..] {
        [name] => Ok((name.to_owned(), name.to_owned())),
        [name, address] => Ok((name.to_owned(), address.to_owned())),
        _ => Err(Error::Words(words.len())),
    }
}

/// Why the conversation with git ended.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A line that is none of the protocol's.
    #[error("expected a command of git's remote-helper protocol, got {0:?}")]
    Line(String),
    /// A line without end.
    #[error("expected a line of at most {LINE} bytes from git, got a longer one")]
    Long,
    /// Pushing.
    #[error(
        "a gt:// address cannot be pushed to yet: run gt publish where the repository is published from"
    )]
    Push,
    /// An argument that might be taken for something else.
    #[error(
        "expected a remote's name and its address, got a word with a dash in front or a control character"
    )]
    Argument,
    /// Too few or too many words.
    #[error(
        "expected a remote's name and its address, got {0} words; git runs this program, people do not"
    )]
    Words(usize),
    /// The repository could not be brought.
    #[error("{0}")]
    Remote(String),
    /// Git's end of the pipe.
    #[error(transparent)]
    Io(#[from] io::Error),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Told {
        choices: Vec<Choice>,
        fetched: Vec<Vec<ObjectId>>,
    }

    fn id(n: u8) -> ObjectId {
        ObjectId::Sha1([n; 20])
    }

    impl Remote for Told {
        fn list(&mut self) -> Result<Listing, String> {
            Ok(Listing {
                format: ObjectFormat::Sha1,
                refs: vec![(b"refs/heads/main".to_vec(), id(1))],
                head: Some(b"refs/heads/main".to_vec()),
            })
        }

        fn fetch(&mut self, wanted: &[ObjectId]) -> Result<(), String> {
            self.fetched.push(wanted.to_vec());
            match wanted {
                [one] if *one == id(9) => Err("nobody has it".into()),
                _ => Ok(()),
            }
        }

        fn option(&mut self, option: Choice) {
            self.choices.push(option);
        }
    }

    fn talk(words: &str) -> (String, Told, Result<(), Error>) {
        let mut told = Told::default();
        let mut out = Vec::new();
        let end = serve(&mut words.as_bytes(), &mut out, &mut told);
        (String::from_utf8(out).unwrap(), told, end)
    }

    #[test]
    fn a_clone_as_git_asks_for_it() {
        let one = id(1);
        let (out, told, end) = talk(&format!(
            "capabilities\noption progress true\noption verbosity 1\noption object-format true\n\
             list\nfetch {one} refs/heads/main\nfetch {} refs/tags/v1\n\n\n",
            id(2)
        ));
        end.unwrap();
        assert_eq!(
            out,
            format!(
                "fetch\npush\noption\nobject-format\n\nok\nok\nok\n:object-format sha1\n\
                 {one} refs/heads/main\n@refs/heads/main HEAD\n\n\n"
            )
        );
        assert_eq!(told.choices, [Choice::Progress(true), Choice::Verbosity(1)]);
        assert_eq!(told.fetched, [vec![id(1), id(2)]]);
    }

    #[test]
    fn depth_is_not_ignored_in_silence() {
        for words in ["option depth 1\n", "option filter blob:none\n"] {
            let (out, told, _) = talk(words);
            assert_eq!(out, "unsupported\n");
            assert_eq!(told.choices, [Choice::Part]);
        }
    }

    #[test]
    fn what_goes_wrong_ends_it() {
        assert!(matches!(talk("list for-push\n").2, Err(Error::Push)));
        assert!(matches!(talk("fetch x y\n\n").2, Err(Error::Line(_))));
        assert!(matches!(talk("dance\n").2, Err(Error::Line(_))));
        let nobody = talk(&format!("fetch {} refs/x\n\n", id(9)));
        assert_eq!(nobody.2.unwrap_err().to_string(), "nobody has it");
        assert_eq!(nobody.0, "");
        assert!(matches!(talk(&"x".repeat(70_000)).2, Err(Error::Long)));
        talk("").2.unwrap();
    }

    #[test]
    fn helper_dash_argument_refused() {
        let words = |w: &[&str]| {
            let all: Vec<_> = std::iter::once(&"git-remote-gt")
                .chain(w)
                .map(Into::into)
                .collect();
            arguments(&all)
        };
        assert!(words(&["origin", "gt://x"]).is_ok());
        for bad in [
            &["-x", "gt://x"][..],
            &["origin", "--upload-pack=x"],
            &["origin", "gt://x\n"],
            &[],
            &["a", "b", "c"],
        ] {
            assert!(words(bad).is_err(), "{bad:?}");
        }
    }
}
