//! What readers of the documents rely on: files that are named are there, links lead somewhere, lines have an end.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::root;

/// Longest line, in characters.
const LINE_MAX: usize = 120;
/// Made by programs, as wide as their tables.
const MADE: [&str; 3] = ["docs/measured", "docs/configuration.md", "docs/metrics.md"];
/// What is in no clone of the repository.
const NOT_OURS: [&str; 5] = [".git", "target", "node_modules", "dist", "data"];
/// What a path in backquotes begins with.
const FOLDERS: [&str; 11] = [
    "src/", "actors/", "core/", "tests/", "docs/", "redis/", "web/", "fuzz/", "benches/", "compose/", ".ci/",
];

fn documents() -> Vec<(String, String)> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
            let (path, name) = (entry.path(), entry.file_name());
            if path.is_dir() && !NOT_OURS.contains(&&*name.to_string_lossy()) {
                walk(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                found.push(path);
            }
        }
    }
    let mut paths = Vec::new();
    walk(root(), &mut paths);
    let name = |path: &Path| path.strip_prefix(root()).unwrap().display().to_string();
    let mut documents: Vec<_> =
        paths.iter().map(|path| (name(path), fs::read_to_string(path).unwrap())).collect();
    documents.sort();
    assert!(documents.len() > 15, "{documents:?}");
    documents
}

#[test]
fn lines_of_documents_have_an_end() {
    let mut long = Vec::new();
    for (name, text) in documents() {
        if MADE.iter().any(|made| name.starts_with(made)) {
            continue;
        }
        for (number, line) in text.lines().enumerate() {
            // Tables, pictures and links cannot be broken.
            let whole = ["|", "![", "["].iter().any(|begin| line.trim_start().starts_with(begin));
            if !whole && line.chars().count() > LINE_MAX {
                long.push(format!("{name}:{}: {line}", number + 1));
            }
        }
    }
    assert_eq!(long, Vec::<String>::new());
}

/// What stands in backquotes, code blocks aside.
fn quoted(text: &str) -> Vec<String> {
    let prose = text.split("```").step_by(2).collect::<String>();
    prose.lines().flat_map(|line| line.split('`').skip(1).step_by(2)).map(str::to_owned).collect()
}

/// What a recipe says `NAME` for is not there yet: its folder is.
fn is_there(path: &str) -> bool {
    let path = root().join(path.trim_end_matches("/*").trim_end_matches("/**"));
    if path.to_string_lossy().contains("NAME") {
        path.parent().is_some_and(Path::exists)
    } else {
        path.exists()
    }
}

#[test]
fn files_that_documents_name_are_there() {
    let mut seen = 0;
    let mut missing = Vec::new();
    let is_path = |word: &String| {
        FOLDERS.iter().any(|folder| word.starts_with(folder)) && !word.contains([' ', '<', '{', '…'])
    };
    // What was there when it was released stays told.
    for (name, text) in documents().iter().filter(|(name, _)| name != "CHANGELOG.md") {
        for path in quoted(text).iter().filter(|word| is_path(word)) {
            seen += 1;
            if !is_there(path) {
                missing.push(format!("{name}: `{path}`"));
            }
        }
    }
    assert_eq!(missing, Vec::<String>::new());
    assert!(seen > 60, "{seen} paths were found");
}

#[test]
fn recipes_name_files_that_are_there_also_without_their_folder() {
    let names: Vec<_> = super::all_rust_files().into_iter().map(|(name, _)| name).collect();
    for document in ["CONTRIBUTING.md", "docs/architecture.md"] {
        let text = fs::read_to_string(root().join(document)).unwrap();
        let is_rust = |word: &String| Path::new(word).extension().is_some_and(|extension| extension == "rs");
        let files = quoted(&text).into_iter().filter(|word| is_rust(word) && !word.contains("NAME"));
        for file in files.filter(|word| !FOLDERS.iter().any(|folder| word.starts_with(folder))) {
            assert!(names.iter().any(|name| name.ends_with(&format!("/{file}"))), "{document}: `{file}`");
        }
    }
}

#[test]
fn links_of_documents_lead_to_files_that_are_there() {
    let mut seen = 0;
    let mut broken = Vec::new();
    for (name, text) in documents() {
        let folder = root().join(&name).parent().unwrap().to_owned();
        for link in text.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(link, _)| link) {
            let file = link.split('#').next().unwrap_or_default();
            if file.is_empty() || file.contains(':') {
                continue;
            }
            seen += 1;
            if !folder.join(file).exists() {
                broken.push(format!("{name}: {link}"));
            }
        }
    }
    assert_eq!(broken, Vec::<String>::new());
    assert!(seen > 30, "{seen} links were found");
}
