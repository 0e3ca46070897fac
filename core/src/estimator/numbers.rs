//! Bytes and floating-point numbers in a snapshot, to the bit.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Bytes that stand as one text, two hexadecimal digits each.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Bytes(pub(super) Vec<u8>);

/// Numbers that come back bit for bit: decimal JSON may lose the last bit and knows no infinity. They
/// stand as one text, 16 hexadecimal digits each.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Numbers(pub(super) Vec<f64>);

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let digit = |half: u8| char::from(b"0123456789abcdef"[usize::from(half)]);
        let text: String = self.0.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect();
        serializer.serialize_str(&text)
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;

        impl de::Visitor<'_> for Text {
            type Value = Bytes;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("hexadecimal digits, two a byte")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Bytes, E> {
                parse(text.as_bytes())
                    .map(Bytes)
                    .ok_or_else(|| E::custom("other text than hexadecimal digits"))
            }
        }

        deserializer.deserialize_str(Text)
    }
}

fn parse(text: &[u8]) -> Option<Vec<u8>> {
    let half = |digit: u8| char::from(digit).to_digit(16).map(|half| half as u8);
    let (pairs, rest) = text.as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    pairs.iter().map(|[high, low]| Some(half(*high)? << 4 | half(*low)?)).collect()
}

impl Serialize for Numbers {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Bytes(self.0.iter().flat_map(|number| number.to_be_bytes()).collect()).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Numbers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Bytes(bytes) = Bytes::deserialize(deserializer)?;
        let (numbers, rest) = bytes.as_chunks::<8>();
        if !rest.is_empty() {
            return Err(de::Error::custom("half a number"));
        }
        Ok(Self(numbers.iter().map(|bytes| f64::from_be_bytes(*bytes)).collect()))
    }
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
