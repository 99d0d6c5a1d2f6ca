//! Reads a plan out of a file that has one member more than the plan: `seal`, wherever it stands.
//! All others are as strict as the plan's own types.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, IntoDeserializer, MapAccess, Visitor};
use serde::{Deserialize, forward_to_deserialize_any};

use crate::plan::document::Plan;

pub(super) fn plan(bytes: &[u8]) -> Result<Plan, serde_json::Error> {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let plan = Plan::deserialize(Unsealed(&mut reader))?;
    reader.end().map(|()| plan)
}

/// Shows what it wraps without `seal`: a deserializer, then its visitor, then its map.
struct Unsealed<T>(T);

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Unsealed<D> {
    type Error = D::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.0.deserialize_map(Unsealed(visitor))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit
        unit_struct newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

impl<'de, V: Visitor<'de>> Visitor<'de> for Unsealed<V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.expecting(f)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<V::Value, A::Error> {
        self.0.visit_map(Unsealed(map))
    }
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Unsealed<A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, A::Error> {
        loop {
            match self.0.next_key::<String>()? {
                Some(key) if key == "seal" => self.0.next_value::<IgnoredAny>()?,
                Some(key) => return seed.deserialize(key.into_deserializer()).map(Some),
                None => return Ok(None),
            };
        }
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, A::Error> {
        self.0.next_value_seed(seed)
    }
}
