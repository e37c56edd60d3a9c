//! The first publication of a repository: its charter.

use std::io;
use std::path::Path;

use gt_trust::seal::Subject;
use gt_trust::{Charter, Rid, Time};

use super::{Error, Wish};
use crate::git::Git;
use crate::signing::Sealer;
use crate::state::{Sealed, State};

/// Founds the repository: writes, seals and keeps its first charter.
pub(super) fn found(
    git: &Git,
    state: &State,
    wish: &Wish,
    sealer: &Sealer,
    now: Time,
) -> Result<Sealed<Charter>, Error> {
    let mut nonce = [0; 32];
    getrandom::fill(&mut nonce).map_err(|e| io::Error::other(e.to_string()))?;
    let format = match git.ask(["rev-parse", "--show-object-format"])?.as_str() {
        "sha1" => gt_trust::ObjectFormat::Sha1,
        "sha256" => gt_trust::ObjectFormat::Sha256,
        other => return Err(Error::ObjectFormat(other.to_owned())),
    };
    let name = match &wish.name {
        Some(name) => name.clone(),
        None => name_of(git, state.common_dir())?,
    };
    let text = Charter::found(&name, nonce, format, sealer.delegate().clone())
        .map_err(|e| Error::Text(e.to_string()))?;
    let rid = Rid::of_charter(text.as_bytes());
    let subject = Subject::of_charter(rid, &text);
    let seal = sealer.seal(&subject, format, text.as_bytes(), now)?;
    let seals = vec![seal.as_bytes().to_vec()];
    if !sealer.certificate().is_empty() {
        state.keep_keyring(sealer.certificate())?;
    }
    state.keep_charter(&text, &seals)?;
    Ok(Sealed { text, seals })
}

/// Returns a name for people: that of the folder which holds the work tree,
/// or of the bare repository.
fn name_of(git: &Git, common_dir: &Path) -> Result<String, Error> {
    let bare = git.ask(["rev-parse", "--is-bare-repository"])? == "true";
    let folder = if bare {
        common_dir
    } else {
        common_dir.parent().unwrap_or(common_dir)
    };
    let name = folder
        .file_name()
        .map(|n| n.to_string_lossy().into_owned())
        .unwrap_or_default();
    let name: String = name
        .trim_end_matches(".git")
        .chars()
        .filter(|c| !c.is_control())
        .collect();
    Ok(match name.trim() {
        "" => "repository".to_owned(),
        name => name.to_owned(),
    })
}
