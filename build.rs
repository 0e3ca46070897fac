//! The page is embedded from web/dist: a program built without it, or with another one, is out of date.

use std::path::Path;

fn main() {
    // Cargo takes a missing path for one that has changed, at every build; in web/ it sees the folder appear.
    let watched = if Path::new("web/dist").exists() { "web/dist" } else { "web" };
    println!("cargo::rerun-if-changed={watched}");
}
