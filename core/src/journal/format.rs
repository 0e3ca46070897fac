//! What a later evenkeel wrote. It is whole, and nobody but that one can read it: it is left as it is.

/// Something is of a later format than this evenkeel knows.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{what} is of format {theirs}, and this evenkeel knows up to format {ours}: it goes on with the evenkeel that wrote it, or \
     a later one; nothing was changed"
)]
pub struct NewerFormat {
    /// What it is, for people.
    pub what: String,
    /// Its format.
    pub theirs: u64,
    /// The latest one that is known here.
    pub ours: u64,
}
