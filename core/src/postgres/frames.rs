//! Framing: where a message ends, and the texts in it.
//!
//! ```text
//! type (1 byte) │ length (4 bytes, itself included) │ body          after the startup
//!                 length (4 bytes, itself included) │ body          before
//! ```

/// Type and length field.
pub const HEAD_BYTES: usize = 5;
/// Longest message that PostgreSQL takes: a length of 2^30 − 1 (`MaxAllocSize`), and its type.
pub const MESSAGE_BYTES_MAX: usize = 1 << 30;

/// The beginning of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Its type.
    pub kind: u8,
    /// All of its bytes, the head's included.
    pub total_bytes: usize,
}

/// A length that no message has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a message of type {kind:#04x} says that it is {length} bytes long: expected 4 to 1073741823")]
pub struct BadLength {
    /// Type of the message.
    pub kind: u8,
    /// What it says.
    pub length: u32,
}

/// The head of the message at the beginning of `bytes`; none while it is not whole.
///
/// # Errors
/// [`BadLength`].
pub fn head(bytes: &[u8]) -> Result<Option<Head>, BadLength> {
    let [kind, a, b, c, d, ..] = *bytes else { return Ok(None) };
    let length = u32::from_be_bytes([a, b, c, d]);
    let total_bytes = 1 + length as usize;
    if length < 4 || total_bytes > MESSAGE_BYTES_MAX {
        return Err(BadLength { kind, length });
    }
    Ok(Some(Head { kind, total_bytes }))
}

/// Reads the fields of a body, one after the other.
#[derive(Clone, Copy, Debug)]
pub struct Fields<'a>(pub &'a [u8]);

impl<'a> Fields<'a> {
    /// A text up to its zero byte; none where there is none.
    pub fn text(&mut self) -> Option<&'a [u8]> {
        let end = self.0.iter().position(|byte| *byte == 0)?;
        let (text, rest) = self.0.split_at(end);
        self.0 = &rest[1..];
        Some(text)
    }

    /// One byte.
    pub fn byte(&mut self) -> Option<u8> {
        let (byte, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*byte)
    }

    /// Two bytes, as a number.
    pub fn u16(&mut self) -> Option<u16> {
        let (number, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u16::from_be_bytes(*number))
    }

    /// Four bytes, as a number.
    pub fn i32(&mut self) -> Option<i32> {
        let (number, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(i32::from_be_bytes(*number))
    }

    /// That many bytes.
    pub fn bytes(&mut self, count: usize) -> Option<&'a [u8]> {
        let (bytes, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(bytes)
    }
}

/// Writes a message: its type, its length, what `body` appends.
pub fn put(out: &mut Vec<u8>, kind: u8, body: impl FnOnce(&mut Vec<u8>)) {
    out.push(kind);
    put_sized(out, body);
}

/// The same without a type, as before the startup.
pub fn put_sized(out: &mut Vec<u8>, body: impl FnOnce(&mut Vec<u8>)) {
    let at = out.len();
    out.extend_from_slice(&[0; 4]);
    body(out);
    let length = u32::try_from(out.len() - at).expect("own messages are short");
    out[at..at + 4].copy_from_slice(&length.to_be_bytes());
}

/// Appends a text and its zero byte. A zero within ends it: what is quoted may hold anything.
pub fn put_text(out: &mut Vec<u8>, text: &str) {
    out.extend(text.bytes().take_while(|byte| *byte != 0));
    out.push(0);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_needs_five_bytes_and_a_length_that_messages_have() {
        assert_eq!(head(b"Q\0\0\0"), Ok(None));
        assert_eq!(head(b"Q\0\0\0\x05x"), Ok(Some(Head { kind: b'Q', total_bytes: 6 })));
        assert_eq!(head(b"Q\0\0\0\x03"), Err(BadLength { kind: b'Q', length: 3 }));
        assert_eq!(head(b"d\x3f\xff\xff\xff"), Ok(Some(Head { kind: b'd', total_bytes: 1 << 30 })));
        assert_eq!(head(b"d\x40\0\0\0"), Err(BadLength { kind: b'd', length: 1 << 30 }));
        assert_eq!(head(b"d\xff\xff\xff\xff"), Err(BadLength { kind: b'd', length: u32::MAX }));
    }

    #[test]
    fn fields_end_where_the_body_ends() {
        let mut fields = Fields(b"ab\0\x01\x02\x03\x04\x05");
        assert_eq!(fields.text(), Some(&b"ab"[..]));
        assert_eq!(fields.u16(), Some(0x0102));
        assert_eq!(fields.byte(), Some(3));
        assert_eq!((fields.i32(), fields.text(), fields.bytes(3)), (None, None, None));
        assert_eq!(fields.bytes(2), Some(&b"\x04\x05"[..]));
    }

    #[test]
    fn what_is_put_is_read_again() {
        let mut out = vec![7];
        put(&mut out, b'C', |body| put_text(body, "SELECT 1"));
        assert_eq!(head(&out[1..]), Ok(Some(Head { kind: b'C', total_bytes: out.len() - 1 })));
        assert_eq!(Fields(&out[6..]).text(), Some(&b"SELECT 1"[..]));
    }
}
