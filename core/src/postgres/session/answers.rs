//! What the server's answers say, as far as anybody asks.

use crate::postgres::frames::Fields;

/// `CommandComplete`: the command, and the rows that it returned or changed.
pub(super) fn command(body: &[u8]) -> (&[u8], Option<u64>) {
    let tag = Fields(body).text().unwrap_or(body);
    let end = tag.iter().rposition(|byte| !byte.is_ascii_digit() && *byte != b' ').map_or(0, |at| at + 1);
    let last = tag.rsplit(|byte| *byte == b' ').next().unwrap_or_default();
    let rows = str::from_utf8(last).ok().and_then(|number| number.parse().ok());
    (&tag[..end], rows)
}

/// `ErrorResponse`: the code, and whether the session is over.
pub(super) fn error(body: &[u8]) -> (&str, bool) {
    let (mut code, mut fatal) = ("", false);
    let mut fields = Fields(body);
    while let Some(kind) = fields.byte().filter(|kind| *kind != 0) {
        let Some(text) = fields.text() else { break };
        match kind {
            b'C' => code = str::from_utf8(text).unwrap_or_default(),
            b'V' => fatal = matches!(text, b"FATAL" | b"PANIC"),
            _ => {}
        }
    }
    (code, fatal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_stand_at_the_end_of_a_tag() {
        assert_eq!(command(b"INSERT 0 5\0"), (&b"INSERT"[..], Some(5)));
        assert_eq!(command(b"SELECT 12\0"), (&b"SELECT"[..], Some(12)));
        assert_eq!(command(b"START TRANSACTION\0"), (&b"START TRANSACTION"[..], None));
        assert_eq!(command(b"\0"), (&b""[..], None));
    }

    #[test]
    fn an_error_tells_its_code_and_whether_it_is_the_last_one() {
        assert_eq!(error(b"SFEHLER\0VERROR\0C23505\0Mdoppelt\0\0"), ("23505", false));
        assert_eq!(error(b"VFATAL\0C57P01\0\0"), ("57P01", true));
        assert_eq!(error(b"C"), ("", false));
    }
}
