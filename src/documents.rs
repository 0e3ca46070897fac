//! Documents that are made from the code, and held against it: `make docs` writes them anew.

use std::{env, fs, path::Path};

/// Holds `file` of the repository against `text`, or writes it where `UPDATE_DOCS` is set.
pub(crate) fn current(file: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    if env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, text).expect("the document can be written");
        return;
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    let differs = written.lines().zip(text.lines()).position(|(old, new)| old != new);
    assert!(
        written == text,
        "{file} is stale (line {}): `make docs` makes it anew",
        differs.unwrap_or_else(|| written.lines().count().min(text.lines().count())) + 1
    );
}
