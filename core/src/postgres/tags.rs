//! What comments of a text say, and the text without them.

use std::{borrow::Cow, collections::BTreeMap};

use super::{
    lexer::{Lexer, TokenKind},
    statements::{split, tokens},
};

/// Most tags of a text; later ones are left out.
pub const TAGS_MAX: usize = 32;
/// Longest key and longest value of a tag, in bytes as they stand in the text; a longer one is no tag.
pub const TAG_BYTES_MAX: usize = 256;

/// `text` with a blank in place of each comment, and the tags of all comments: `key='value'` as SQLCommenter writes them,
/// with %-escapes undone. Of two with the same key the first counts.
pub fn without_comments(text: &str) -> (Cow<'_, str>, BTreeMap<String, String>) {
    let mut tags = BTreeMap::new();
    let may_hold = text.as_bytes().windows(2).any(|pair| pair == b"--" || pair == b"/*");
    if !may_hold {
        return (Cow::Borrowed(text), tags);
    }
    let mut cut = String::new();
    let mut from = 0;
    for token in Lexer::new(text).filter(|token| token.kind == TokenKind::Comment) {
        read(token.of(text), &mut tags);
        cut.push_str(&text[from..token.start]);
        cut.push(' ');
        from = token.end;
    }
    if from == 0 {
        return (Cow::Borrowed(text), tags);
    }
    cut.push_str(&text[from..]);
    // What tags leave behind, at the beginning or the end, would make two texts of one.
    let blanks = cut.len() - cut.trim_start().len();
    cut.drain(..blanks);
    cut.truncate(cut.trim_end().len());
    (Cow::Owned(cut), tags)
}

/// What `truth` the comments of each statement of `text` say, where there are several and `tags` have one. A comment
/// belongs to the statement in which it stands; behind the last semicolon, to the last one.
pub fn truths(text: &str, tags: &BTreeMap<String, String>) -> Vec<Option<String>> {
    if !tags.contains_key("truth") {
        return Vec::new();
    }
    let tokens = tokens(text);
    let statements = split(text, &tokens);
    let Some((_, but_last)) = statements.split_last().filter(|(_, but_last)| !but_last.is_empty()) else {
        return Vec::new();
    };
    let end = |last: usize| tokens.iter().find(|token| token.start >= last).map_or(last, |token| token.start);
    let ends: Vec<_> = but_last.iter().filter_map(|one| Some(end(one.tokens.last()?.end))).collect();
    let mut truths = vec![None; statements.len()];
    for comment in Lexer::new(text).filter(|token| token.kind == TokenKind::Comment) {
        let mut said = BTreeMap::new();
        read(comment.of(text), &mut said);
        let truth = &mut truths[ends.partition_point(|end| *end <= comment.start)];
        *truth = truth.take().or_else(|| said.remove("truth"));
    }
    truths
}

fn read(comment: &str, tags: &mut BTreeMap<String, String>) {
    let mut rest = comment;
    while let Some(at) = rest.find("='") {
        let key = key_before(&rest[..at]);
        let value = &rest[at + 2..];
        let Some(end) = end_of(value) else { return };
        let fits = !key.is_empty() && key.len() <= TAG_BYTES_MAX && end <= TAG_BYTES_MAX;
        if fits && tags.len() < TAGS_MAX {
            tags.entry(decoded(key)).or_insert_with(|| decoded(&value[..end]));
        }
        rest = &value[end + 1..];
    }
}

fn key_before(text: &str) -> &str {
    let of_key = |c: char| c.is_ascii_alphanumeric() || "_-.%".contains(c);
    &text[text.trim_end_matches(of_key).len()..]
}

/// Where the value ends: at the first quote that is not escaped.
fn end_of(value: &str) -> Option<usize> {
    let mut escaped = false;
    for (at, byte) in value.bytes().enumerate() {
        match byte {
            b'\'' if !escaped => return Some(at),
            b'\\' => escaped = !escaped,
            _ => escaped = false,
        }
    }
    None
}

/// %-escapes and `\'` undone.
fn decoded(text: &str) -> String {
    let text = text.replace("\\'", "'");
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let escape = (first == b'%').then(|| after.get(..2)).flatten();
        let byte = escape.and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok());
        bytes.push(byte.unwrap_or(first));
        rest = if byte.is_some() { &after[2..] } else { after };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags(text: &str) -> Vec<(String, String)> {
        without_comments(text).1.into_iter().collect()
    }

    fn pair(key: &str, value: &str) -> (String, String) {
        (key.to_owned(), value.to_owned())
    }

    #[test]
    fn tags_are_read_from_comments_alone() {
        assert_eq!(tags("/*class='batch'*/ select 1"), [pair("class", "batch")]);
        assert_eq!(tags("select 1 -- class='batch'"), [pair("class", "batch")]);
        assert_eq!(tags("select '/*class=''batch''*/'"), []);
        assert_eq!(tags("select $$--class='batch'\n$$"), []);
        assert_eq!(tags("select \"/*class='batch'*/\""), []);
        assert_eq!(
            tags("select 1 /*a='x%20y%2Fz',route='%2Fpolls%3A',q='it\\'s',traceparent='00-5b-01'*/"),
            [
                pair("a", "x y/z"),
                pair("q", "it's"),
                pair("route", "/polls:"),
                pair("traceparent", "00-5b-01")
            ]
        );
        assert_eq!(tags("/*a='1'*/ select 1 /*a='2'*/"), [pair("a", "1")]);
        assert_eq!(tags("/* ='x' a=' */ select"), []);
        assert_eq!(tags("/* a='%zz%' */"), [pair("a", "%zz%")]);
    }

    #[test]
    fn a_text_is_the_same_whatever_its_comments_say() {
        let cut = |text| without_comments(text).0.into_owned();
        assert_eq!(cut("select 1 /*traceparent='1'*/"), cut("select 1 /*traceparent='2'*/"));
        assert_eq!(cut("/*a*/select 1--b"), "select 1");
        assert_eq!(cut("select/**/1"), "select 1");
        assert_eq!(cut("select '--'"), "select '--'");
        // The comment is in the middle of one literal.
        assert_eq!(cut("select 'a' -- b\n'c'"), "select 'a' -- b\n'c'");
    }

    #[test]
    fn of_several_statements_each_has_the_truth_of_its_own_comments() {
        let truths = |text| {
            let told = truths(text, &without_comments(text).1);
            told.into_iter().map(Option::unwrap_or_default).collect::<Vec<_>>()
        };
        let none: [&str; 0] = [];
        assert_eq!(truths("select 1 /*truth='a'*/;"), none, "one statement has the text's");
        assert_eq!(truths("select 1 /*class='a'*/; select 2"), none);
        assert_eq!(truths("/*truth='a'*/ select 1; select 2 /*truth='b'*/"), ["a", "b"]);
        assert_eq!(truths("select 1 /*truth='a'*/ ;; /*truth='b'*/ select 2; commit"), ["a", "b", ""]);
        assert_eq!(truths("begin; select ';' /*truth='a'*/; commit; -- truth='b'"), ["", "a", "b"]);
        assert_eq!(truths("select 1 /*truth='a'*/ /*truth='b'*/; select 2"), ["a", ""]);
    }

    #[test]
    fn tags_are_bounded() {
        let many = (0..1000).map(|at| format!("k{at}='v'")).collect::<Vec<_>>().join(",");
        assert_eq!(tags(&format!("/*{many}*/")).len(), TAGS_MAX);
        assert_eq!(tags(&format!("/*a='{}'*/", "x".repeat(TAG_BYTES_MAX + 1))), []);
    }
}
