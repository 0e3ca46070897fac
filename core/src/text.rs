//! Text that comes from elsewhere, before it is stored, answered or printed: a terminal, a log and a page show it, and obey
//! nothing in it.

use std::{borrow::Cow, fmt::Write as _};

/// Whether `character` is seen and does nothing: no control character (escapes of terminals begin with one), nothing that
/// turns or hides what stands beside it.
pub fn is_plain(character: char) -> bool {
    let hides = matches!(character,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}');
    !character.is_control() && !hides
}

/// `text` with what is not plain written out (`\u{1b}`), and cut after `chars_max` characters.
pub fn shown(text: &str, chars_max: usize) -> String {
    written_out(text, chars_max, is_plain)
}

/// As [`shown`]; lines and tabs stay.
pub fn shown_lines(text: &str, chars_max: usize) -> String {
    written_out(text, chars_max, |character| character == '\n' || character == '\t' || is_plain(character))
}

/// `text` with what is not plain written out as JSON's strings have it (`\u001b`), so that JSON stays JSON; lines and tabs
/// stay. Borrowed where there is nothing to write out.
pub fn escaped(text: &str) -> Cow<'_, str> {
    let stays = |character| character == '\n' || character == '\t' || is_plain(character);
    if text.chars().all(stays) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 8);
    for character in text.chars() {
        if stays(character) {
            escaped.push(character);
        } else {
            for unit in character.encode_utf16(&mut [0; 2]) {
                // Writing to a string cannot fail.
                let _ = write!(escaped, "\\u{unit:04x}");
            }
        }
    }
    Cow::Owned(escaped)
}

fn written_out(text: &str, chars_max: usize, stays: impl Fn(char) -> bool) -> String {
    let mut shown = String::with_capacity(text.len().min(chars_max));
    for (at, character) in text.chars().enumerate() {
        if at == chars_max {
            shown.push('…');
            break;
        }
        if stays(character) {
            shown.push(character);
        } else {
            shown.extend(character.escape_unicode());
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_obey_is_written_out() {
        assert_eq!(shown("\u{1b}[31mred\u{7}\r\n\u{9b}2J", 100), "\\u{1b}[31mred\\u{7}\\u{d}\\u{a}\\u{9b}2J");
        assert_eq!(shown("a\u{202e}b\u{200b}c\u{feff}", 100), "a\\u{202e}b\\u{200b}c\\u{feff}");
        assert_eq!(shown("Käse, 東京, 🙂: a_b-c", 100), "Käse, 東京, 🙂: a_b-c");
        assert_eq!(shown_lines("a\n\tb\r\u{1b}", 100), "a\n\tb\\u{d}\\u{1b}");
        let once = shown("\u{1b}[0m", 100);
        assert_eq!(shown(&once, 100), once);
    }

    #[test]
    fn json_stays_json() {
        assert_eq!(
            escaped("\u{7f}\u{9b}a\u{202e}\u{e0001}\r"),
            "\\u007f\\u009ba\\u202e\\udb40\\udc01\\u000d"
        );
        assert!(matches!(escaped("{\"a\":\t\"ä\"}\n"), Cow::Borrowed(_)));
    }

    #[test]
    fn it_is_cut_by_characters_and_says_so() {
        assert_eq!(shown("äöü", 3), "äöü");
        assert_eq!(shown("äöüß", 3), "äöü…");
        assert_eq!(shown_lines("", 0), "");
        assert_eq!(shown("a", 0), "…");
    }
}
