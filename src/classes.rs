//! The file of classes (`--classes`): which statements of a real database may wait, and for how long.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use evenkeel_core::{
    postgres::classes::{
        BATCH_MAX_DELAY_MS, Class, Classes, ClassesError, Glob, INTERACTIVE, KIND_NAMES, Rule, TENANT,
    },
    units::{ids::QueryId, span::Given},
};
use serde::Deserialize;
use toml::Spanned;

use crate::{
    config::{parse, read_text},
    exit::ExitError,
};

/// What the file may say; unknown keys are refused.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    otherwise: Option<Spanned<String>>,
    #[serde(default)]
    class: Vec<ClassTable>,
    #[serde(default)]
    rule: Vec<RuleTable>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ClassTable {
    name: Spanned<String>,
    #[serde(default)]
    deferrable: bool,
    max_delay: Option<Spanned<Given>>,
    #[serde(default)]
    priority: i32,
    tenant: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleTable {
    class: Spanned<String>,
    #[serde(default)]
    user: OneOrMore,
    #[serde(default)]
    database: OneOrMore,
    #[serde(default)]
    application: OneOrMore,
    #[serde(default)]
    tags: BTreeMap<String, String>,
    #[serde(default)]
    query: Vec<QueryId>,
    #[serde(default)]
    kind: Vec<Spanned<String>>,
}

/// `"a"` or `["a", "b"]`.
#[derive(Default, Deserialize)]
#[serde(untagged, expecting = "expected a text or a list of texts")]
enum OneOrMore {
    #[default]
    None,
    One(String),
    More(Vec<String>),
}

impl OneOrMore {
    fn globs(self) -> Vec<Glob> {
        match self {
            Self::None => Vec::new(),
            Self::One(one) => vec![Glob::new(one)],
            Self::More(more) => more.into_iter().map(Glob::new).collect(),
        }
    }
}

/// Reads the file of classes.
///
/// # Errors
/// The file cannot be read, or says something that it cannot say: with its line and key; exit code 2.
pub fn read(path: &Path) -> Result<Classes, ExitError> {
    let text = read_text(path)?;
    let file: File = parse(path, &text)?;
    let refuse = |at: usize, key: &str, why: &str| {
        let line = text.get(..at).unwrap_or_default().matches('\n').count() + 1;
        ExitError::usage(format!("{}, line {line}: `{key}`: {why}", path.display()))
    };
    let mut classes =
        file.class.into_iter().map(|table| class(table, &refuse)).collect::<Result<Vec<_>, _>>()?;
    if !classes.iter().any(|class| class.name == INTERACTIVE) {
        classes.push(Class {
            name: INTERACTIVE.to_owned(),
            deferrable: false,
            max_delay_ms: 0,
            priority: 0,
            tenant: TENANT.to_owned(),
        });
    }
    let places: Vec<_> = file.rule.iter().map(|rule| rule.class.span().start).collect();
    let rules = file.rule.into_iter().map(|table| rule(table, &refuse)).collect::<Result<_, _>>()?;
    let otherwise = file.otherwise.as_ref().map_or(INTERACTIVE, |name| name.get_ref().as_str());
    Classes::new(classes, rules, otherwise).map_err(|error| match &error {
        ClassesError::Unknown { rule: Some(rule), .. } => refuse(places[*rule], "class", &error.to_string()),
        ClassesError::Unknown { rule: None, .. } => refuse(
            file.otherwise.as_ref().map_or(0, |name| name.span().start),
            "otherwise",
            &error.to_string(),
        ),
        ClassesError::Twice(_) => ExitError::usage(format!("{}: {error}", path.display())),
    })
}

/// Says where a value stands, which key it is of, and what is wrong with it.
type Refuse<'a> = dyn Fn(usize, &str, &str) -> ExitError + 'a;

fn class(table: ClassTable, refuse: &Refuse<'_>) -> Result<Class, ExitError> {
    let at = table.name.span().start;
    let name = table.name.into_inner();
    if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || "_-".contains(c)) {
        return Err(refuse(at, "name", "a class is named by letters, digits, `_` and `-`"));
    }
    let max_delay_ms = match table.max_delay {
        Some(delay) if !table.deferrable => {
            return Err(refuse(
                delay.span().start,
                "max_delay",
                "only a class with `deferrable = true` has one",
            ));
        }
        Some(delay) => match *delay.get_ref() {
            Given::Ms(ms) => ms.ceil() as u64,
            Given::Ticks(_) => {
                return Err(refuse(
                    delay.span().start,
                    "max_delay",
                    "expected a time with its unit, as \"60s\"",
                ));
            }
        },
        None if table.deferrable => BATCH_MAX_DELAY_MS,
        None => 0,
    };
    let tenant = table.tenant.unwrap_or_else(|| TENANT.to_owned());
    Ok(Class { name, deferrable: table.deferrable, max_delay_ms, priority: table.priority, tenant })
}

fn rule(table: RuleTable, refuse: &Refuse<'_>) -> Result<Rule, ExitError> {
    for kind in &table.kind {
        if !KIND_NAMES.contains(&kind.get_ref().as_str()) {
            let why =
                format!("there is no kind `{}`: expected one of {}", kind.get_ref(), KIND_NAMES.join(", "));
            return Err(refuse(kind.span().start, "kind", &why));
        }
    }
    Ok(Rule {
        users: table.user.globs(),
        databases: table.database.globs(),
        applications: table.application.globs(),
        tags: table.tags.into_iter().map(|(key, value)| (key, Glob::new(value))).collect(),
        queries: BTreeSet::from_iter(table.query),
        kinds: table.kind.into_iter().map(Spanned::into_inner).collect(),
        class: table.class.into_inner(),
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use evenkeel_core::postgres::{
        classes::{BATCH, Facts},
        understood::Kind,
    };

    use std::fmt::Write as _;

    use super::*;
    use crate::documents;

    /// A key of the file: where, its name, a value, what it is.
    const KEYS: [(&str, &str, &str, &str); 13] = [
        (
            "",
            "otherwise",
            "\"interactive\"",
            "The class of statements that no rule fits. `interactive` is there without being written: its statements never wait.",
        ),
        (
            "class",
            "name",
            "\"batch\"",
            "A class: statements that are treated alike. Letters, digits, `_` and `-`.",
        ),
        ("class", "deferrable", "true", "Whether its statements may wait. Without it they do not."),
        (
            "class",
            "max_delay",
            "\"60s\"",
            "How long one of them waits at most: a time with its unit (250ms, 60s, 5m). 60s without it.",
        ),
        (
            "class",
            "priority",
            "0",
            "Of two statements that wait, the one with the higher priority goes first. 0 without it.",
        ),
        ("class", "tenant", "\"main\"", "Whose statements they are. `main` without it."),
        (
            "rule",
            "class",
            "\"batch\"",
            "A rule leads to a class. Rules are tried in their order, and the first that fits counts. A rule fits if all that it asks for holds; what it does not name, it does not ask for.",
        ),
        (
            "rule",
            "user",
            "[\"etl\", \"cron*\"]",
            "Users of the database: a text, or a list of which one must fit. `*` stands for any characters, `?` for one.",
        ),
        ("rule", "database", "\"warehouse\"", "Databases, as users."),
        ("rule", "application", "\"batch*\"", "`application_name` as the session has it now, as users."),
        (
            "rule",
            "tags",
            "{ class = \"batch\" }",
            "Tags in the statement's comments, as SQLCommenter writes them: /*class='batch'*/. Each must be there and fit.",
        ),
        (
            "rule",
            "query",
            "[\"0b0f6ab4-9ac4-5d0c-8d3f-0d6c6c1d9a11\"]",
            "Queries by their ids, as the page and `/api/v1/queries` show them. Transactions never fit.",
        ),
        ("rule", "kind", "[\"select\", \"maintain\"]", "What the statement does. Transactions never fit."),
    ];

    fn wrapped(text: &str) -> String {
        let mut lines = vec![String::from("#")];
        for word in text.split(' ') {
            if lines.last().unwrap().len() + 1 + word.len() > 116 {
                lines.push(String::from("#"));
            }
            let line = lines.last_mut().unwrap();
            line.push(' ');
            line.push_str(word);
        }
        lines.join("\n") + "\n"
    }

    fn example() -> String {
        let mut text = "# classes.toml: which statements of a real database may wait. Every key is here.\n\
            # Copy it, take the # away from what you need, and start with --classes FILE. SIGHUP reads it again; a file\n\
            # that is wrong leaves the last good one in force. docs/classes.md says more.\n\
            # Made from the code by `make docs`.\n"
            .to_owned();
        let mut last = "";
        for (table, key, value, what) in KEYS {
            text.push('\n');
            if table != last {
                let _ = writeln!(text, "#[[{table}]]");
                last = table;
            }
            text += &wrapped(what);
            if key == "kind" {
                text += &wrapped(&format!("One of {}.", KIND_NAMES.join(", ")));
            }
            let _ = writeln!(text, "#{key} = {value}");
        }
        text
    }

    fn said(text: &str) -> Result<Classes, String> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("classes.toml");
        std::fs::write(&file, text).unwrap();
        read(&file).map_err(|error| error.message)
    }

    #[test]
    fn documents_classes_example_has_every_key_and_can_be_used() {
        let example = example();
        documents::current("classes.toml.example", &example);
        let set =
            example.lines().filter_map(|line| line.strip_prefix('#').filter(|line| !line.starts_with(' ')));
        let classes = said(&set.collect::<Vec<_>>().join("\n")).unwrap();
        assert_eq!(classes.all()[0].max_delay_ms, 60_000);
        for table in ["", "class", "rule"] {
            let text = if table.is_empty() {
                "no_such_key = 1".to_owned()
            } else {
                format!("[[{table}]]\nno_such_key = 1")
            };
            let refused = said(&text).unwrap_err();
            let (_, expected) = refused.split_once("expected one of").expect("the keys");
            // The tables themselves are explained by their keys.
            let key = |key: &&str| table == "rule" || !["class", "rule"].contains(key);
            let expected: Vec<_> = expected.split('`').skip(1).step_by(2).filter(key).collect();
            let explained: Vec<_> = KEYS.iter().filter(|key| key.0 == table).map(|key| key.1).collect();
            assert_eq!(explained, expected, "{table}");
        }
    }

    #[test]
    fn a_file_says_what_waits() {
        let classes = said(
            "[[class]]\nname = 'night'\ndeferrable = true\nmax_delay = '5m'\npriority = -1\n\
             [[rule]]\nclass = 'interactive'\nuser = 'boss'\n\
             [[rule]]\nclass = 'night'\nuser = ['etl', 'cron?']\nkind = ['insert']\n",
        )
        .unwrap();
        let none = BTreeMap::new();
        let of = |user, kind| {
            let facts =
                Facts { user, database: "d", application: "", tags: &none, query: None, kind: Some(kind) };
            classes.of(&facts).name.clone()
        };
        assert_eq!(of("etl", &Kind::Insert), "night");
        assert_eq!(of("cron1", &Kind::Insert), "night");
        assert_eq!(of("cron1", &Kind::Select), INTERACTIVE);
        assert_eq!(of("boss", &Kind::Insert), INTERACTIVE);
        assert_eq!(classes.all()[0].max_delay_ms, 300_000);
        assert!(said("").unwrap().all().iter().all(|class| class.name != BATCH));
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        for (text, says) in [
            ("otherwise = 'x'", "line 1: `otherwise`: there is no class `x`: expected one of interactive"),
            ("\n[[rule]]\nclass = 'x'", "line 3: `class`: there is no class `x`"),
            ("[[rule]]\nuser = 'x'", "missing field `class`"),
            (
                "[[rule]]\nclass = 'interactive'\nuser = 1",
                "line 3: `user`: expected a text or a list of texts",
            ),
            ("[[rule]]\nclass = 'interactive'\nkind = ['selct']", "line 3: `kind`: there is no kind `selct`"),
            ("[[rule]]\nclass = 'interactive'\nquery = ['x']", "line 3: `query`"),
            ("[[rule]]\nclass = 'interactive'\nusers = 'x'", "line 3: `users`: unknown field `users`"),
            (
                "[[class]]\nname = 'a'\ndeferrable = true\nmax_delay = 60",
                "line 4: `max_delay`: expected a time",
            ),
            ("[[class]]\nname = 'a'\nmax_delay = '60s'", "line 3: `max_delay`: only a class with"),
            ("[[class]]\nname = 'a b'", "line 2: `name`"),
            ("[[class]]\nname = 'a'\n[[class]]\nname = 'a'", "class `a` is there twice"),
            ("[[class]\n", "line 1"),
        ] {
            let said = said(text).unwrap_err();
            assert!(said.contains("classes.toml") && said.contains(says), "{text}: {said}");
        }
    }
}
