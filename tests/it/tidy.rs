//! Style that clippy cannot see: who may import whom, what the core may not touch, what no file may hold.

mod documents;

use std::{
    fs,
    path::{Path, PathBuf},
};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn rust_files(folder: &str) -> Vec<(String, String)> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    let mut paths = Vec::new();
    walk(&root().join(folder), &mut paths);
    let name = |path: &Path| path.strip_prefix(root()).unwrap().display().to_string();
    let mut files: Vec<_> =
        paths.iter().map(|path| (name(path), fs::read_to_string(path).unwrap())).collect();
    files.sort();
    assert!(!files.is_empty(), "{folder} holds no Rust file");
    files
}

fn all_rust_files() -> Vec<(String, String)> {
    ["src", "actors", "core", "tests"].into_iter().flat_map(rust_files).collect()
}

/// Lines of code that contain one of `words`; comments do not count.
fn uses(files: &[(String, String)], words: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for (name, text) in files {
        for (number, line) in text.lines().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            if words.iter().any(|word| code.contains(word)) {
                found.push(format!("{name}:{}: {}", number + 1, line.trim()));
            }
        }
    }
    found
}

fn dependencies(manifest: &str) -> Vec<String> {
    let manifest: toml::Table = fs::read_to_string(root().join(manifest)).unwrap().parse().unwrap();
    manifest["dependencies"].as_table().unwrap().keys().cloned().collect()
}

#[test]
fn imports_go_one_way() {
    let core = dependencies("core/Cargo.toml");
    assert!(
        !core.iter().any(|name| name.starts_with("evenkeel")),
        "the core imports nothing of ours: {core:?}"
    );
    let actors = dependencies("actors/Cargo.toml");
    assert!(actors.contains(&"evenkeel-core".to_owned()));
    assert!(!actors.contains(&"evenkeel".to_owned()));
}

/// Folders of a crate in the order in which they may import: each only from those before it.
const CORE: &[&str] = &[
    "units",
    "text",
    "chance",
    "mutant",
    "journal",
    "server",
    "estimator",
    "scheduler",
    "leveller",
    "foreign",
    "circle",
    "insight",
    "invariants",
    "world",
    "simulate",
    "postgres",
];
const ACTORS: &[&str] = &[
    "clock",
    "address",
    "reread",
    "ports",
    "messages",
    "supervise",
    "stores",
    "remote",
    "databases",
    "server",
    "postgres",
    "leveller",
    "simulation",
];

const PROGRAM: &[&str] =
    &["exit", "output", "telemetry", "tokens", "config", "classes", "http", "run", "cli", "main"];

/// The rooms of `source` that each room names after `crate::`, tests aside.
fn imports(source: &str) -> Vec<(String, String, String)> {
    let mut found = Vec::new();
    for (name, text) in rust_files(source) {
        let inside = name.strip_prefix(source).unwrap().trim_start_matches('/');
        if inside.contains("/tests") || inside == "lib.rs" {
            continue;
        }
        let room = inside.split('/').next().unwrap().trim_end_matches(".rs").to_owned();
        let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        let code: String = code.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
        for after in code.split("crate::").skip(1) {
            let named = |part: &str| {
                part.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>()
            };
            match after.strip_prefix('{') {
                None => found.push((name.clone(), room.clone(), named(after))),
                Some(group) => {
                    let mut depth = 0;
                    let mut first = true;
                    for (at, c) in group.char_indices() {
                        if depth == 0 && first && c.is_alphabetic() {
                            found.push((name.clone(), room.clone(), named(&group[at..])));
                            first = false;
                        }
                        match c {
                            '{' => depth += 1,
                            '}' if depth == 0 => break,
                            '}' => depth -= 1,
                            ',' if depth == 0 => first = true,
                            _ => {}
                        }
                    }
                }
            }
        }
    }
    found
}

#[test]
fn rooms_import_in_one_direction() {
    for (source, order) in [("core/src", CORE), ("actors/src", ACTORS), ("src", PROGRAM)] {
        let place = |room: &str| order.iter().position(|known| *known == room);
        let mut seen = 0;
        for (file, room, imported) in imports(source) {
            let at = place(&room)
                .unwrap_or_else(|| panic!("{file}: the room `{room}` of {source} has no place in the order"));
            let Some(from) = place(&imported) else { continue };
            seen += 1;
            assert!(from <= at, "{file} imports `{imported}`, which comes after `{room}`");
        }
        assert!(seen > 50, "{source}: {seen} imports were found");
    }
}

#[test]
fn actors_and_messages_name_no_store() {
    let mut files = Vec::new();
    for room in ["server", "leveller", "messages", "ports", "remote"] {
        files.extend(rust_files(&format!("actors/src/{room}")));
    }
    assert_eq!(uses(&files, &["stores::", "rusqlite", "redis::"]), Vec::<String>::new());
    // Comments included.
    for (name, text) in
        ["messages", "server", "leveller"].map(|room| rust_files(&format!("actors/src/{room}"))).concat()
    {
        let text = text.to_lowercase();
        for store in ["outbox", "sqlite", "redis"] {
            assert!(!text.contains(store), "{name} names a store: {store}");
        }
    }
}

#[test]
fn the_core_is_pure() {
    // What may enter the core: no clock, IO, async, actor or log comes with any of these.
    let pure = ["libm", "rand_chacha", "rand_core", "serde", "thiserror", "uuid"];
    let core = dependencies("core/Cargo.toml");
    assert!(core.iter().all(|name| pure.contains(&name.as_str())), "{core:?}");
    let impure = [
        "std::fs",
        "std::net",
        "std::env",
        "std::io",
        "std::process",
        "std::thread",
        "std::time",
        "async fn",
        "tokio",
        "actix",
        "redis::",
        "println!",
        "eprintln!",
        "tracing::",
        " log::",
        "HashMap",
        "HashSet",
    ];
    assert_eq!(uses(&rust_files("core/src"), &impure), Vec::<String>::new());
}

#[test]
fn the_world_stays_the_simulators_secret() {
    let mut files = Vec::new();
    for folder in [
        "core/src/estimator",
        "core/src/scheduler",
        "core/src/insight",
        "actors/src/leveller",
        "actors/src/stores",
    ] {
        files.extend(rust_files(folder));
    }
    let secrets = ["world", "World", "Scenario", "SkewNorm", "DailyCurve"];
    assert_eq!(uses(&files, &secrets), Vec::<String>::new());
}

#[test]
fn actors_hold_recipients_and_not_each_others_addresses() {
    let files: Vec<_> = ["server", "leveller", "remote"]
        .iter()
        .flat_map(|half| rust_files(&format!("actors/src/{half}")))
        .collect();
    assert_eq!(uses(&files, &["Addr<", "dyn Any"]), Vec::<String>::new());
}

/// What needs which scope stands at the route that the router finds: nobody adds one beside, or looks at the path's text.
#[test]
fn routes_are_added_in_one_place_and_access_reads_no_path() {
    let http: Vec<_> =
        rust_files("src/http").into_iter().filter(|(name, _)| !name.ends_with("tests.rs")).collect();
    let beside: Vec<_> =
        http.iter().filter(|(name, _)| name != "src/http/routes.rs").cloned().collect::<Vec<_>>();
    let adds = [".service(", ".route(", "web::resource(", "web::scope("];
    assert_eq!(uses(&beside, &adds), Vec::<String>::new());
    // Escapes are refused before the router, whatever the path.
    let access: Vec<_> = http
        .into_iter()
        .filter(|(name, _)| name.starts_with("src/http/access/") && name != "src/http/access/plain.rs")
        .collect();
    assert!(access.len() > 5);
    assert_eq!(uses(&access, &[".path()", "match_pattern", "match_info"]), Vec::<String>::new());
}

/// Longest body of a handler, in lines.
const HANDLER_MAX: usize = 17;

#[test]
fn handlers_of_http_translate_and_do_no_more() {
    let mut seen = 0;
    for (name, text) in rust_files("src/http") {
        let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        if name.ends_with("tests.rs") || name == "src/http/metrics/document.rs" {
            continue;
        }
        let begins = ["\nasync fn ", "\npub(super) async fn ", "\npub(crate) async fn "];
        for handler in begins.iter().flat_map(|begin| code.split(begin).skip(1)) {
            let body = handler.split_once("{\n").map_or("", |(_, rest)| rest);
            let body = body.split_once("\n}\n").map_or(body, |(body, _)| body);
            seen += 1;
            let lines = body.lines().count();
            let called = handler.lines().next().unwrap_or_default();
            assert!(lines <= HANDLER_MAX, "{name}: `{called}` has {lines} lines");
            for repeats in ["for ", "while ", "loop {"] {
                let found = body.lines().any(|line| line.trim_start().starts_with(repeats));
                assert!(!found, "{name}: `{called}` repeats something");
            }
        }
    }
    assert!(seen > 20, "{seen} handlers were found");
}

#[test]
fn nothing_is_left_unfinished_or_skipped() {
    let unfinished = [
        concat!("todo", "!("),
        concat!("unimplemented", "!("),
        concat!("dbg", "!("),
        concat!("#[ig", "nore"),
        concat!("FIX", "ME"),
    ];
    let everywhere: Vec<_> = all_rust_files();
    assert_eq!(uses(&everywhere, &unfinished), Vec::<String>::new());
}

#[test]
fn files_keep_to_one_subject_and_say_which() {
    for (name, text) in all_rust_files() {
        assert!(
            text.lines().count() <= 500,
            "{name} has {} lines: has it one subject?",
            text.lines().count()
        );
        let test_module = name.ends_with("tests.rs") || name.contains("/tests/");
        assert!(test_module || text.starts_with("//!"), "{name} does not say what it is for");
    }
}

#[test]
fn each_crate_opens_with_the_drawing_of_its_part() {
    for name in ["src/lib.rs", "actors/src/lib.rs", "core/src/lib.rs"] {
        let text = fs::read_to_string(root().join(name)).unwrap();
        let head: String = text.lines().take_while(|line| line.starts_with("//!")).collect();
        assert!(head.contains("```text") && head.contains('▶'), "{name} has no drawing");
    }
}

#[test]
fn one_version_of_rust_is_named() {
    let read = |name: &str| fs::read_to_string(root().join(name)).unwrap();
    let toolchain: toml::Table = read("rust-toolchain.toml").parse().unwrap();
    let version = toolchain["toolchain"]["channel"].as_str().unwrap();
    for name in ["Dockerfile", "tests/compose/bases"] {
        assert!(
            read(name).contains(&format!("rust:{version}-slim")),
            "{name} has another Rust than {version}"
        );
    }
    let manifest: toml::Table = read("Cargo.toml").parse().unwrap();
    let least = manifest["workspace"]["package"]["rust-version"].as_str().unwrap();
    assert!(version.starts_with(least), "{version} is built with, {least} is asked for");
}

#[test]
fn the_house_has_the_rooms_that_newcomers_look_for() {
    for name in [
        "Cargo.toml",
        "src",
        "actors",
        "core",
        "docker-compose.yml",
        "redis",
        "tests",
        "README.md",
        "SOLUTION.md",
        "LICENSE",
        "Makefile",
    ] {
        assert!(root().join(name).exists(), "{name} is missing");
    }
    let server = ["queue", "daemon", "monitor", "journal"].map(|actor| format!("server/{actor}"));
    let leveller = ["consumer", "estimator", "scheduler"].map(|actor| format!("leveller/{actor}"));
    for actor in server.iter().chain(&leveller) {
        let file = root().join(format!("actors/src/{actor}.rs"));
        let folder = root().join(format!("actors/src/{actor}/mod.rs"));
        assert!(file.exists() || folder.exists(), "the actor {actor} has no file of its own");
    }
}
