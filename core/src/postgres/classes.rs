//! Which class a statement is of, and so whether it may wait: rules in their order, the first that fits.

use std::collections::{BTreeMap, BTreeSet};

use super::understood::Kind;
use crate::units::ids::QueryId;

/// What statements of a class have in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Class {
    /// As rules, the journal and the page call it.
    pub name: String,
    /// Whether its statements may wait.
    pub deferrable: bool,
    /// How long one of them waits at most, in milliseconds.
    pub max_delay_ms: u64,
    /// Of two that wait, the one with the higher priority goes first.
    pub priority: i32,
    /// Whose statements they are.
    pub tenant: String,
}

/// A text with `*` for any characters and `?` for one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Glob(String);

impl Glob {
    /// Every text is a glob.
    pub fn new(pattern: impl Into<String>) -> Self {
        Self(pattern.into())
    }

    /// Whether the whole of `text` fits. Time: at most the product of both lengths.
    pub fn fits(&self, text: &str) -> bool {
        let pattern: Vec<char> = self.0.chars().collect();
        let text: Vec<char> = text.chars().collect();
        let (mut in_pattern, mut in_text) = (0, 0);
        // Behind the last `*`, and the text that it has taken so far ends here.
        let mut again = None;
        while in_text < text.len() {
            match pattern.get(in_pattern) {
                Some('*') => {
                    in_pattern += 1;
                    again = Some((in_pattern, in_text));
                }
                Some(&character) if character == '?' || character == text[in_text] => {
                    in_pattern += 1;
                    in_text += 1;
                }
                _ => {
                    let Some((behind_star, taken)) = again else { return false };
                    in_pattern = behind_star;
                    in_text = taken + 1;
                    again = Some((behind_star, in_text));
                }
            }
        }
        pattern[in_pattern..].iter().all(|character| *character == '*')
    }
}

/// What a statement must be to be of a class. What is empty is not asked; all that is asked must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rule {
    /// The session's user: any of these.
    pub users: Vec<Glob>,
    /// Its database: any of these.
    pub databases: Vec<Glob>,
    /// Its `application_name`, as the server said last: any of these.
    pub applications: Vec<Glob>,
    /// Tags of the text's comments: each of these.
    pub tags: BTreeMap<String, Glob>,
    /// Which query: any of these.
    pub queries: BTreeSet<QueryId>,
    /// What it does, as [`Kind::name`] says: any of these.
    pub kinds: BTreeSet<String>,
    /// The name of the class.
    pub class: String,
}

/// What is known of a statement, or of a transaction at its BEGIN.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// Who is logged in.
    pub user: &'a str,
    /// Where.
    pub database: &'a str,
    /// `application_name`, as the server said last.
    pub application: &'a str,
    /// Of the text's comments.
    pub tags: &'a BTreeMap<String, String>,
    /// Which query; none of a transaction, and of a text that was not parsed for its length.
    pub query: Option<QueryId>,
    /// What it does; none of a transaction.
    pub kind: Option<&'a Kind>,
}

impl Rule {
    fn fits(&self, facts: &Facts<'_>) -> bool {
        let any = |globs: &[Glob], text: &str| globs.is_empty() || globs.iter().any(|glob| glob.fits(text));
        any(&self.users, facts.user)
            && any(&self.databases, facts.database)
            && any(&self.applications, facts.application)
            && self.tags.iter().all(|(key, glob)| facts.tags.get(key).is_some_and(|value| glob.fits(value)))
            && (self.queries.is_empty() || facts.query.is_some_and(|query| self.queries.contains(&query)))
            && (self.kinds.is_empty() || facts.kind.is_some_and(|kind| self.kinds.contains(kind.name())))
    }
}

/// What a rule may call a kind: each name that [`Kind::name`] gives.
pub const KIND_NAMES: [&str; 27] = [
    "select",
    "insert",
    "update",
    "delete",
    "merge",
    "begin",
    "commit",
    "rollback",
    "rollback to",
    "savepoint",
    "prepare transaction",
    "finish prepared",
    "set",
    "reset",
    "show",
    "prepare",
    "execute",
    "deallocate",
    "copy",
    "cursor",
    "notify",
    "lock",
    "procedure",
    "explain",
    "maintain",
    "schema",
    "other",
];

/// What is wrong with classes and rules.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClassesError {
    /// Two classes have one name.
    #[error("class `{0}` is there twice")]
    Twice(String),
    /// A rule, counted from 0, names a class that is not there.
    #[error("there is no class `{class}`: expected one of {}", known.join(", "))]
    Unknown {
        /// Of the rules; none: the class of what no rule fits.
        rule: Option<usize>,
        /// What it names.
        class: String,
        /// What is there.
        known: Vec<String>,
    },
}

/// Classes and the rules that lead to them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Classes {
    all: Vec<Class>,
    /// With the place of each rule's class.
    rules: Vec<(Rule, usize)>,
    otherwise: usize,
}

/// The class of what no rule fits, where nothing else is said.
pub const INTERACTIVE: &str = "interactive";
/// The class of what may wait, where nothing else is said.
pub const BATCH: &str = "batch";
/// How long a statement of the class `batch` waits at most, where nothing else is said.
pub const BATCH_MAX_DELAY_MS: u64 = 60_000;
/// The tenant, where nothing else is said.
pub const TENANT: &str = "main";

impl Default for Classes {
    /// Without a file: `batch` by the tag `class='batch'` or an application name `batch*`; everything else interactive.
    fn default() -> Self {
        let class = |name: &str, deferrable, max_delay_ms| Class {
            name: name.to_owned(),
            deferrable,
            max_delay_ms,
            priority: 0,
            tenant: TENANT.to_owned(),
        };
        let rule = || Rule { class: BATCH.to_owned(), ..Rule::default() };
        Self {
            all: vec![class(INTERACTIVE, false, 0), class(BATCH, true, BATCH_MAX_DELAY_MS)],
            rules: vec![
                (Rule { tags: BTreeMap::from([("class".to_owned(), Glob::new(BATCH))]), ..rule() }, 1),
                (Rule { applications: vec![Glob::new("batch*")], ..rule() }, 1),
            ],
            otherwise: 0,
        }
    }
}

impl Classes {
    /// `rules` in their order, and the class of what none of them fits.
    ///
    /// # Errors
    /// A class that is there twice, or that is named and not there.
    pub fn new(classes: Vec<Class>, rules: Vec<Rule>, otherwise: &str) -> Result<Self, ClassesError> {
        for (at, class) in classes.iter().enumerate() {
            if classes[..at].iter().any(|other| other.name == class.name) {
                return Err(ClassesError::Twice(class.name.clone()));
            }
        }
        let place = |name: &str, rule| {
            classes.iter().position(|class| class.name == name).ok_or_else(|| ClassesError::Unknown {
                rule,
                class: name.to_owned(),
                known: classes.iter().map(|class| class.name.clone()).collect(),
            })
        };
        let otherwise = place(otherwise, None)?;
        let placed = rules.into_iter().enumerate();
        let rules = placed.map(|(at, rule)| {
            let class = place(&rule.class, Some(at))?;
            Ok((rule, class))
        });
        Ok(Self { rules: rules.collect::<Result<_, ClassesError>>()?, all: classes, otherwise })
    }

    /// All of them.
    pub fn all(&self) -> &[Class] {
        &self.all
    }

    /// The class of a statement.
    pub fn of(&self, facts: &Facts<'_>) -> &Class {
        let rule = self.rules.iter().find(|(rule, _)| rule.fits(facts));
        &self.all[rule.map_or(self.otherwise, |(_, class)| *class)]
    }

    /// The class of a transaction, by what is known at its BEGIN: its session, and the tags on BEGIN. Rules that ask for a
    /// query or a kind do not fit.
    pub fn of_session(
        &self,
        user: &str,
        database: &str,
        application: &str,
        tags: &BTreeMap<String, String>,
    ) -> &Class {
        self.of(&Facts { user, database, application, tags, query: None, kind: None })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn tags(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    fn class(name: &str) -> Class {
        Class {
            name: name.to_owned(),
            deferrable: true,
            max_delay_ms: 1000,
            priority: 0,
            tenant: "t".to_owned(),
        }
    }

    #[test]
    fn without_a_file_batches_are_known_by_tag_and_by_application() {
        let classes = Classes::default();
        let of = |application: &str, pairs: &[(&str, &str)]| {
            classes.of_session("u", "d", application, &tags(pairs)).name.clone()
        };
        assert_eq!(of("psql", &[]), INTERACTIVE);
        assert_eq!(of("batch_x", &[]), BATCH);
        assert_eq!(of("my batch", &[]), INTERACTIVE);
        assert_eq!(of("psql", &[("class", "batch")]), BATCH);
        assert_eq!(of("psql", &[("class", "batches")]), INTERACTIVE);
        let batch = classes.of_session("u", "d", "batch", &tags(&[]));
        assert!(batch.deferrable && batch.max_delay_ms == 60_000);
    }

    #[test]
    fn the_first_rule_that_fits_counts_and_asks_for_all_that_it_names() {
        let query = QueryId::of_statement("d", "a", "f");
        let rules = vec![
            Rule { queries: BTreeSet::from([query]), class: "one".to_owned(), ..Rule::default() },
            Rule {
                users: vec![Glob::new("etl"), Glob::new("cron*")],
                kinds: BTreeSet::from(["select".to_owned()]),
                class: "two".to_owned(),
                ..Rule::default()
            },
            Rule { databases: vec![Glob::new("dwh")], class: "one".to_owned(), ..Rule::default() },
        ];
        let classes = Classes::new(vec![class("one"), class("two"), class("rest")], rules, "rest").unwrap();
        let none = BTreeMap::new();
        let of = |user, database, query, kind: Option<&Kind>| {
            classes.of(&Facts { user, database, application: "", tags: &none, query, kind }).name.clone()
        };
        assert_eq!(of("etl", "dwh", Some(query), Some(&Kind::Select)), "one");
        assert_eq!(of("cron1", "dwh", None, Some(&Kind::Select)), "two");
        assert_eq!(of("cron1", "dwh", None, Some(&Kind::Insert)), "one");
        assert_eq!(of("cron1", "x", None, None), "rest");
        assert_eq!(of("bob", "x", None, Some(&Kind::Select)), "rest");
    }

    #[test]
    fn what_is_named_must_be_there_once() {
        let rule = Rule { class: "x".to_owned(), ..Rule::default() };
        let unknown = Classes::new(vec![class("a"), class("b")], vec![rule], "a").unwrap_err();
        assert_eq!(unknown.to_string(), "there is no class `x`: expected one of a, b");
        assert_eq!(
            Classes::new(vec![class("a"), class("a")], vec![], "a"),
            Err(ClassesError::Twice("a".to_owned()))
        );
        assert!(Classes::new(vec![class("a")], vec![], "b").is_err());
    }

    /// What a glob means, said again by recursion.
    fn fits(pattern: &[char], text: &[char]) -> bool {
        match pattern.split_first() {
            None => text.is_empty(),
            Some(('*', rest)) => (0..=text.len()).any(|at| fits(rest, &text[at..])),
            Some((&c, rest)) => !text.is_empty() && (c == '?' || c == text[0]) && fits(rest, &text[1..]),
        }
    }

    proptest! {
        #[test]
        fn globs_fit_as_their_meaning_says(pattern in "[ab*?é]{0,8}", text in "[abé]{0,10}") {
            let chars = |text: &str| text.chars().collect::<Vec<_>>();
            prop_assert_eq!(Glob::new(pattern.clone()).fits(&text), fits(&chars(&pattern), &chars(&text)));
        }
    }
}
