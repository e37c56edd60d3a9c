//! The counts of many torrents at once (BEP 48).

use std::borrow::Cow;
use std::collections::BTreeMap;

use gt_wire::InfoHash;
use gt_wire::bencode::{Kind, Node, Value};

use crate::announce::{AnswerError, count, dictionary, words};
use crate::limits;
use crate::query::{self, Error, Query};

/// Which torrents' counts are asked for. A tracker may understand an empty
/// list as all of its torrents; ours does not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request(pub Vec<InfoHash>);

impl Request {
    /// Writes the query of an HTTP scrape, without the question mark.
    pub fn to_query(&self) -> String {
        let mut query = String::new();
        for hash in &self.0 {
            query::push(&mut query, "info_hash", &hash.0);
        }
        query
    }

    /// Reads the query of an HTTP scrape.
    ///
    /// # Errors
    /// Where an info-hash has not 20 bytes, or there are more than
    /// [`limits::SCRAPED`].
    pub fn parse(query: &str) -> Result<Self, Error> {
        let query = Query::parse(query);
        let hashes = query.all("info_hash");
        if hashes.len() > limits::SCRAPED {
            return Err(Error::Torrents(hashes.len()));
        }
        let hash = |raw: &Cow<'_, [u8]>| query::twenty("info_hash", raw).map(InfoHash);
        hashes.iter().map(hash).collect::<Result<_, _>>().map(Self)
    }
}

/// What a tracker answers to a scrape.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Answer {
    /// The counts of those torrents that it knows.
    Counts(BTreeMap<InfoHash, Counts>),
    /// The tracker refuses, in its own words.
    Failure(String),
}

/// The counts of one torrent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Peers that have everything.
    pub complete: u64,
    /// How often a peer has said that its download is complete.
    pub downloaded: u64,
    /// Peers that lack something.
    pub incomplete: u64,
}

impl Answer {
    /// Writes the bencoded body of an HTTP answer.
    pub fn write(&self) -> Vec<u8> {
        let entry = match self {
            Self::Failure(reason) => ("failure reason", Value::bytes(reason)),
            Self::Counts(counts) => {
                let files = counts
                    .iter()
                    .map(|(hash, counts)| (hash.0, counts.to_value()));
                ("files", Value::dict(files))
            }
        };
        Value::dict([entry]).encode()
    }

    /// Reads the bencoded body of an HTTP answer; missing counts are 0.
    ///
    /// # Errors
    /// Where the bytes are not bencoded, or are no scrape.
    pub fn read(body: &[u8]) -> Result<Self, AnswerError> {
        let document = dictionary(body)?;
        let dict = document.root();
        if let Some(reason) = words(dict, "failure reason")? {
            return Ok(Self::Failure(reason));
        }
        let wrong = || AnswerError::Field {
            key: "files",
            expected: "a dictionary of dictionaries by info-hash",
        };
        let files = dict.get(b"files").ok_or_else(wrong)?;
        if files.kind() != Kind::Dict {
            return Err(wrong());
        }
        let file = |(hash, file): (&[u8], Node<'_>)| {
            let hash = <[u8; 20]>::try_from(hash).map_err(|_| wrong())?;
            if file.kind() != Kind::Dict {
                return Err(wrong());
            }
            let one = |key| Ok::<_, AnswerError>(count(file, key)?.unwrap_or(0));
            let counts = Counts {
                complete: one("complete")?,
                downloaded: one("downloaded")?,
                incomplete: one("incomplete")?,
            };
            Ok((InfoHash(hash), counts))
        };
        files
            .entries()
            .map(file)
            .collect::<Result<_, _>>()
            .map(Self::Counts)
    }
}

impl Counts {
    fn to_value(self) -> Value {
        Value::dict([
            ("complete", Value::number(self.complete)),
            ("downloaded", Value::number(self.downloaded)),
            ("incomplete", Value::number(self.incomplete)),
        ])
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn parses_the_query_it_writes(hashes in prop::collection::vec(any::<[u8; 20]>(), 0..=limits::SCRAPED)) {
            let request = Request(hashes.into_iter().map(InfoHash).collect());
            prop_assert_eq!(Request::parse(&request.to_query()), Ok(request));
        }

        #[test]
        fn reads_the_answer_it_writes(counts in prop::collection::btree_map(
            any::<[u8; 20]>().prop_map(InfoHash),
            any::<[u32; 3]>().prop_map(|[complete, downloaded, incomplete]| Counts {
                complete: complete.into(),
                downloaded: downloaded.into(),
                incomplete: incomplete.into(),
            }),
            0..20,
        )) {
            let answer = Answer::Counts(counts);
            prop_assert_eq!(Answer::read(&answer.write()), Ok(answer));
        }
    }

    #[test]
    fn refusal_round_trips() {
        let answer = Answer::Failure("not here".into());
        assert_eq!(Answer::read(&answer.write()), Ok(answer));
    }

    #[test]
    fn refuses_what_is_none() {
        for body in [
            &b"de"[..],
            b"d5:filesi1ee",
            b"d5:filesd3:abcdeee",
            b"d5:filesd20:aaaaaaaaaaaaaaaaaaaai1eee",
        ] {
            let error = Answer::read(body).unwrap_err();
            assert!(
                matches!(error, AnswerError::Field { key: "files", .. }),
                "{error}"
            );
        }
        assert!(Request::parse("info_hash=short").is_err());
        let many = vec![InfoHash([7; 20]); limits::SCRAPED + 1];
        let error = Request::parse(&Request(many).to_query()).unwrap_err();
        assert_eq!(error.to_string(), "expected at most 74 torrents, got 75");
    }
}
