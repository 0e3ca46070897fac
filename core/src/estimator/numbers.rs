//! Floating-point numbers in a snapshot, to the bit.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Numbers that come back bit for bit: decimal JSON may lose the last bit and knows no infinity. They
/// stand as one text, 16 hexadecimal digits each.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Numbers(pub(super) Vec<f64>);

const DIGITS: usize = 16;

impl Serialize for Numbers {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut text = String::with_capacity(self.0.len() * DIGITS);
        for number in &self.0 {
            let bits = number.to_bits();
            let digit = |at: usize| char::from(b"0123456789abcdef"[(bits >> (60 - 4 * at) & 15) as usize]);
            text.extend((0..DIGITS).map(digit));
        }
        serializer.serialize_str(&text)
    }
}

impl<'de> Deserialize<'de> for Numbers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;

        impl de::Visitor<'_> for Text {
            type Value = Numbers;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "numbers of {DIGITS} hexadecimal digits each")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Numbers, E> {
                parse(text.as_bytes())
                    .map(Numbers)
                    .ok_or_else(|| E::invalid_value(de::Unexpected::Str("other text"), &self))
            }
        }

        deserializer.deserialize_str(Text)
    }
}

fn parse(text: &[u8]) -> Option<Vec<f64>> {
    let chunks = text.chunks_exact(DIGITS);
    if !chunks.remainder().is_empty() {
        return None;
    }
    chunks
        .map(|digits| {
            let bits = digits.iter().try_fold(0u64, |bits, digit| {
                Some(bits << 4 | u64::from(char::from(*digit).to_digit(16)?))
            })?;
            Some(f64::from_bits(bits))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bit_comes_back() {
        let numbers = Numbers(vec![0.0, -0.0, 0.1 + 0.2, f64::MIN_POSITIVE / 8.0, f64::MAX, -1.0 / 3.0]);
        let text = serde_json::to_string(&numbers).unwrap();
        let back: Numbers = serde_json::from_str(&text).unwrap();
        let bits = |numbers: &Numbers| numbers.0.iter().map(|n| n.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&back), bits(&numbers));
    }

    #[test]
    fn other_text_is_an_error() {
        for text in ["\"012345\"", "\"000000000000000g\"", "7", "\"é00000000000000\""] {
            assert!(serde_json::from_str::<Numbers>(text).is_err(), "{text}");
        }
    }
}
