//! The names of git's messages and how grave each is (git: `fsck-msgids`).

use std::fmt;

/// How grave a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Not reported.
    Ignore,
    /// Reported, and refused by nobody, `strict` or not.
    Info,
    /// Reported; where [`Policy`](super::Policy) is strict and says nothing
    /// else, an error.
    Warn,
    /// The object is refused.
    Error,
    /// The object is refused, whatever the configuration says.
    Fatal,
}

impl Level {
    /// Tells whether an object with such a finding is refused.
    pub fn refuses(self) -> bool {
        self >= Self::Error
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ignore => "ignore",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
            Self::Fatal => "fatal",
        })
    }
}

macro_rules! ids {
    ($($variant:ident $name:literal $level:ident $what:literal,)*) => {
        /// What can be wrong with an object, by git's names.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Id {
            $(#[doc = $what] $variant,)*
        }

        impl Id {
            /// All of them, the fatal ones first.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// Returns git's name, as `fsck.<name>` takes it.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// Returns how grave it is where nothing is configured.
            pub fn level(self) -> Level {
                match self { $(Self::$variant => Level::$level,)* }
            }
        }
    };
}

ids! {
    NulInHeader "nulInHeader" Fatal "A NUL byte stands in the header lines.",
    UnterminatedHeader "unterminatedHeader" Fatal "The last header line does not end.",
    BadDate "badDate" Error "The date of an identity is no number.",
    BadDateOverflow "badDateOverflow" Error "The date of an identity does not fit.",
    BadEmail "badEmail" Error "The address of an identity does not end.",
    BadName "badName" Error "The name of an identity holds a `>`.",
    BadObjectSha1 "badObjectSha1" Error "The `object` line of a tag is no id.",
    BadParentSha1 "badParentSha1" Error "A `parent` line is no id.",
    BadTimezone "badTimezone" Error "The time zone of an identity is none.",
    BadTree "badTree" Error "A tree cannot be read.",
    BadTreeSha1 "badTreeSha1" Error "The `tree` line is no id.",
    BadType "badType" Error "The `type` line of a tag is no kind.",
    DuplicateEntries "duplicateEntries" Error "A tree has one name twice.",
    MissingAuthor "missingAuthor" Error "A commit has no author.",
    MissingCommitter "missingCommitter" Error "A commit has no committer.",
    MissingEmail "missingEmail" Error "An identity has no address.",
    MissingNameBeforeEmail "missingNameBeforeEmail" Error "An identity begins with its address.",
    MissingObject "missingObject" Error "A tag has no `object` line.",
    MissingSpaceBeforeDate "missingSpaceBeforeDate" Error "No space stands before a date.",
    MissingSpaceBeforeEmail "missingSpaceBeforeEmail" Error "No space stands before an address.",
    MissingTag "missingTag" Error "The `tag` line does not end.",
    MissingTagEntry "missingTagEntry" Error "A tag has no `tag` line.",
    MissingTree "missingTree" Error "A commit has no `tree` line.",
    MissingType "missingType" Error "The `type` line does not end.",
    MissingTypeEntry "missingTypeEntry" Error "A tag has no `type` line.",
    MultipleAuthors "multipleAuthors" Error "A commit has several authors.",
    TreeNotSorted "treeNotSorted" Error "The entries of a tree are out of order.",
    UnknownType "unknownType" Error "An object is of no known kind.",
    ZeroPaddedDate "zeroPaddedDate" Error "A date begins with zeros.",
    GitmodulesMissing "gitmodulesMissing" Error "The blob at `.gitmodules` is not there.",
    GitmodulesBlob "gitmodulesBlob" Error "What lies at `.gitmodules` is no blob.",
    GitmodulesLarge "gitmodulesLarge" Error "The blob at `.gitmodules` is too large.",
    GitmodulesName "gitmodulesName" Error "A submodule's name leads out of its folder.",
    GitmodulesSymlink "gitmodulesSymlink" Error "`.gitmodules` is a symbolic link.",
    GitmodulesUrl "gitmodulesUrl" Error "A submodule's address would be taken for something else.",
    GitmodulesPath "gitmodulesPath" Error "A submodule's path would be taken for an option.",
    GitmodulesUpdate "gitmodulesUpdate" Error "A submodule would run a command.",
    GitattributesMissing "gitattributesMissing" Error "The blob at `.gitattributes` is not there.",
    GitattributesLarge "gitattributesLarge" Error "The blob at `.gitattributes` is too large.",
    GitattributesLineLength "gitattributesLineLength" Error "A line of `.gitattributes` is too long.",
    GitattributesBlob "gitattributesBlob" Error "What lies at `.gitattributes` is no blob.",
    EmptyName "emptyName" Warn "An entry of a tree has no name.",
    FullPathname "fullPathname" Warn "The name of an entry holds a `/`.",
    HasDot "hasDot" Warn "An entry of a tree is named `.`.",
    HasDotdot "hasDotdot" Warn "An entry of a tree is named `..`.",
    HasDotgit "hasDotgit" Warn "An entry is named `.git`, or becomes it on HFS+ or NTFS.",
    LargePathname "largePathname" Warn "The name of an entry is longer than 4,096 bytes.",
    NullSha1 "nullSha1" Warn "An entry of a tree names the null id.",
    NulInCommit "nulInCommit" Warn "A NUL byte stands in the message of a commit.",
    ZeroPaddedFilemode "zeroPaddedFilemode" Warn "A mode begins with zeros.",
    BadFilemode "badFilemode" Info "A mode is none that git writes.",
    BadTagName "badTagName" Info "The name of a tag cannot be that of a ref.",
    GitattributesSymlink "gitattributesSymlink" Info "`.gitattributes` is a symbolic link.",
    GitignoreSymlink "gitignoreSymlink" Info "`.gitignore` is a symbolic link.",
    GitmodulesParse "gitmodulesParse" Info "The blob at `.gitmodules` cannot be read.",
    MailmapSymlink "mailmapSymlink" Info "`.mailmap` is a symbolic link.",
    MissingTaggerEntry "missingTaggerEntry" Info "A tag has no tagger.",
    ExtraHeaderEntry "extraHeaderEntry" Ignore "Lines stand between the tagger and the message.",
}

impl Id {
    /// Returns the message of this name, in any case: git's configuration
    /// reaches its readers in lower case.
    pub fn from_name(name: &str) -> Option<Self> {
        let mut all = Self::ALL.iter().copied();
        all.find(|id| id.name().eq_ignore_ascii_case(name))
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_go_both_ways() {
        for id in Id::ALL {
            assert_eq!(Id::from_name(id.name()), Some(*id));
            assert_eq!(Id::from_name(&id.name().to_lowercase()), Some(*id));
        }
        assert_eq!(Id::from_name("badDate "), None);
    }
}
