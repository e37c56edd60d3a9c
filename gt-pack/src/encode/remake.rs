//! Making a reel again that somebody else has made, out of objects that are
//! here already.

use std::io::Write;

use gt_vfs::Root;

use super::{Error, MAX_DEPTH, Moment, Options, recipe, reel};
use crate::bundle::Header;
use crate::published::Published;
use crate::repository::{self, Repository};

/// What is known of a reel before it is here.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// Its header, from anybody: a wrong one makes a wrong root.
    pub header: &'a Header,
    /// Its length in bytes.
    pub length: u64,
    /// Its root.
    pub root: Root,
    /// The recipe that it was made by, if a name is given.
    pub recipe: Option<&'a str>,
}

/// Writes the wanted reel into `out`, if this repository and the chain before
/// it lead to the same bytes; tells whether they do. Where they do not, what
/// was written is worthless, and the reel has to be fetched.
///
/// # Errors
/// [`Error`], where it is neither that an object is missing nor that the
/// header is not of this repository.
pub fn remake(
    repository: &dyn Repository,
    published: &dyn Published,
    wanted: &Wanted<'_>,
    options: &Options<'_>,
    out: &mut (dyn Write + Send),
) -> Result<bool, Error> {
    let named = recipe::proven().is_some_and(|name| wanted.recipe == Some(name));
    if !named || wanted.header.format != repository.format() {
        return Ok(false);
    }
    // Refs that a reel does not name did not change, so that their objects
    // are in the chain.
    let moment = Moment {
        tips: wanted.header.tips.clone(),
        named: wanted.header.tips.clone(),
    };
    let mut options = *options;
    options.depth = MAX_DEPTH;
    match reel(repository, published, &moment, &options, out) {
        Ok(Some(made)) => Ok(made.root == wanted.root && made.length == wanted.length),
        Ok(None) => Ok(false),
        Err(Error::Repository(repository::Error::Missing(_))) => Ok(false),
        Err(Error::Kind { .. } | Error::Malformed { .. }) => Ok(false),
        Err(e) => Err(e),
    }
}
