//! A text of SQL, whatever it is: it is cut, split, told and normalised, and no string of it is left.
#![no_main]

use evenkeel_core::postgres::lexed::Lexed;
use evenkeel_core::postgres::understood::Understand;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let understood = Lexed::default().understand(text);
    for part in &understood.parts {
        assert!(!part.sure_read && !part.text.is_empty());
        // Text in quotes is a name: a string would be `$1`.
        let outside: String = part.text.split('"').step_by(2).collect();
        assert!(!outside.contains('\''), "{}", part.text);
    }
});
