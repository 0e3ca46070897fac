use std::os::unix::fs::PermissionsExt as _;

use super::*;

#[test]
fn a_token_is_found_by_its_hash_and_kept_nowhere() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tokens");
    let secret = Tokens::create(&file, "grafana", Scope::Read).unwrap();
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(secret.starts_with(PREFIX) && secret.len() == 68 && !text.contains(&secret[4..]), "{text}");
    let tokens = Tokens::read(&file).unwrap();
    let found = tokens.find(&Hashed::of(&secret)).unwrap();
    assert_eq!((found.name.as_str(), found.scope), ("grafana", Scope::Read));
    assert_eq!(tokens.find(&Hashed::of("evk_other")), None);
    assert_eq!(format!("{:?}", Hashed::of(&secret)), "sha256:…");
}

#[test]
fn two_live_tokens_of_one_name_are_enough_to_rotate() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tokens");
    let both = [(); 2].map(|()| Tokens::create(&file, "client", Scope::Control).unwrap());
    let tokens = Tokens::read(&file).unwrap();
    assert!(both.iter().all(|secret| tokens.find(&Hashed::of(secret)).is_some()));
    let third = Tokens::create(&file, "client", Scope::Control).unwrap_err();
    assert!(third.to_string().contains("remove the line"), "{third}");
}

#[test]
fn a_last_line_without_an_end_gets_one() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tokens");
    let first = format!("a read {}", Hashed::of("evk_a"));
    std::fs::write(&file, &first).unwrap();
    let secret = Tokens::create(&file, "b", Scope::Admin).unwrap();
    let text = std::fs::read_to_string(&file).unwrap();
    assert_eq!(text, format!("{first}\nb admin {}\n", Hashed::of(&secret)));
    Tokens::create(&file, "c", Scope::Read).unwrap();
    assert_eq!(std::fs::read_to_string(&file).unwrap().lines().count(), 3, "no line is empty");
    assert_eq!(Tokens::read(&file).unwrap().0.len(), 3);
}

#[test]
fn what_cannot_be_added_leaves_the_file_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tokens");
    for name in ["", "a b", "a/b", "ä", "a#b", "\u{1b}[2J", &"x".repeat(65)] {
        let error = Tokens::create(&file, name, Scope::Read).unwrap_err().to_string();
        assert!(error.contains("cannot be a name") && !error.contains('\u{1b}'), "{error}");
        assert!(error.len() < 200 && !file.exists(), "{error}");
    }
    for broken in ["nonsense", "a read sha256:00\n", "\n\u{0}"] {
        std::fs::write(&file, broken).unwrap();
        let error = Tokens::create(&file, "b", Scope::Read).unwrap_err().to_string();
        assert!(error.contains("line "), "{error}");
        assert_eq!(std::fs::read_to_string(&file).unwrap(), broken);
    }
    assert!(Tokens::create(folder.path(), "b", Scope::Read).is_err(), "a folder is no file");
}

#[test]
fn a_new_file_is_its_owners_alone_and_one_that_is_there_keeps_its_rights() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tokens");
    let mode = || std::fs::metadata(&file).unwrap().permissions().mode() & 0o777;
    Tokens::create(&file, "a", Scope::Read).unwrap();
    assert_eq!(mode(), 0o600);
    // Whoever runs the server may be of the file's group: what was given is not taken back.
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640)).unwrap();
    Tokens::create(&file, "b", Scope::Read).unwrap();
    assert_eq!(mode(), 0o640);
}

#[test]
fn those_who_add_at_once_lose_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tokens");
    let add = |n: usize| {
        let file = file.clone();
        std::thread::spawn(move || Tokens::create(&file, &format!("n{n}"), Scope::Read).unwrap())
    };
    let added: Vec<_> = (0..20).map(add).collect();
    let secrets: Vec<_> = added.into_iter().map(|one| one.join().unwrap()).collect();
    let tokens = Tokens::read(&file).unwrap();
    assert!(secrets.iter().all(|secret| tokens.find(&Hashed::of(secret)).is_some()));
}

#[test]
fn limits_of_the_file_hold_to_the_last_one() {
    let lines = |n: usize| -> String {
        (0..n).fold(String::new(), |text, n| text + &format!("n{n} read {}\n", Hashed::of("a")))
    };
    let parse = |text: &str| Tokens::parse(Path::new("tokens"), text.as_bytes());
    assert_eq!(parse(&lines(TOKENS_MAX)).unwrap().0.len(), TOKENS_MAX);
    assert!(parse(&lines(TOKENS_MAX + 1)).is_err());
    let filled = |bytes: u64| "#".repeat(bytes as usize);
    assert!(parse(&filled(FILE_BYTES_MAX)).unwrap().is_empty());
    let error = parse(&filled(FILE_BYTES_MAX + 1)).unwrap_err();
    assert!(error.to_string().contains("no file of tokens"), "{error}");
    let name = |length: usize| parse(&format!("{} read {}", "n".repeat(length), Hashed::of("a")));
    assert!(name(64).is_ok() && name(65).is_err());
    let marked = format!("\u{feff}a read {}\r\n# b\r\n", Hashed::of("a"));
    assert_eq!(parse(&marked).unwrap().0.len(), 1);
    let error = Tokens::parse(Path::new("tokens"), b"# a\n\n\xff").unwrap_err().to_string();
    assert!(error.contains("line 3") && error.contains("UTF-8"), "{error}");
}

#[test]
fn a_bad_line_is_named_and_not_shown() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tokens");
    for (line, wrong) in [
        ("x read evk_secret", "sha256"),
        ("x write sha256:00", "sha256"),
        ("x", "name scope"),
        (&format!("x write {}", Hashed::of("a")), "unknown scope"),
        (&format!("x evk_secret {}", Hashed::of("a")), "unknown scope"),
        (&format!("a/secret read {}", Hashed::of("a")), "cannot be a name"),
        (&format!("evk_secret{} read {}", "0".repeat(60), Hashed::of("a")), "cannot be a name"),
    ] {
        std::fs::write(&file, format!("# tokens\n{line}\n")).unwrap();
        let error = Tokens::read(&file).unwrap_err().to_string();
        assert!(error.contains("line 2") && error.contains(wrong) && !error.contains("secret"), "{error}");
    }
    let thrice = format!("evk_secret read {}\n", Hashed::of("a")).repeat(3);
    let error = Tokens::parse(&file, thrice.as_bytes()).unwrap_err().to_string();
    assert!(error.contains("line 3: a third token of one name") && !error.contains("secret"), "{error}");
}

#[test]
fn a_file_that_is_too_large_is_said_to_be_so_whatever_stands_in_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tokens");
    // One byte too many: whoever reads less of it takes it for a file that is only wrong.
    let mut content = "nonsense\n".to_owned();
    content += &"#".repeat(FILE_BYTES_MAX as usize + 1 - content.len());
    std::fs::write(&file, &content).unwrap();
    let read = Tokens::read(&file).unwrap_err().to_string();
    let added = Tokens::create(&file, "a", Scope::Read).unwrap_err().to_string();
    assert!(read.contains("no file of tokens") && added == read, "{read}; {added}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), content);
}
