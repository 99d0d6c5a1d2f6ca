//! How serde walks maps, lists and choices of the tree.

use serde::de::value::StrDeserializer;
use serde::de::{self, DeserializeSeed, IntoDeserializer, Visitor};

use super::{Decoder, Failed};
use crate::spec::node::{Entry, Node};

pub(super) struct MapAccess<'n, 't, I> {
    pub(super) decoder: Decoder<'n, 't>,
    pub(super) entries: I,
    pub(super) value: Option<&'n Entry>,
}

impl<'n, I: Iterator<Item = &'n Entry>> de::MapAccess<'n> for MapAccess<'n, '_, I> {
    type Error = Failed;

    fn next_key_seed<K: DeserializeSeed<'n>>(&mut self, seed: K) -> Result<Option<K::Value>, Failed> {
        self.value = self.entries.next();
        let key =
            self.value.map(|entry| -> StrDeserializer<'n, Failed> { entry.key.as_str().into_deserializer() });
        key.map(|key| seed.deserialize(key)).transpose()
    }

    fn next_value_seed<V: DeserializeSeed<'n>>(&mut self, seed: V) -> Result<V::Value, Failed> {
        let entry = self.value.take().ok_or(Failed::Hidden)?;
        seed.deserialize(self.decoder.child(entry))
    }
}

pub(super) struct SeqAccess<'n, 't> {
    pub(super) decoder: Decoder<'n, 't>,
    pub(super) items: std::slice::Iter<'n, Node>,
}

impl<'n> de::SeqAccess<'n> for SeqAccess<'n, '_> {
    type Error = Failed;

    fn next_element_seed<T: DeserializeSeed<'n>>(&mut self, seed: T) -> Result<Option<T::Value>, Failed> {
        let item = self.items.next().map(|node| Decoder { node, wanted: None, ..self.decoder });
        item.map(|item| seed.deserialize(item)).transpose()
    }
}

/// A choice: a text is a form without settings, a map's one entry a form with settings.
pub(super) struct EnumAccess<'n, 't> {
    pub(super) variant: &'n str,
    pub(super) value: Option<Decoder<'n, 't>>,
    pub(super) decoder: Decoder<'n, 't>,
}

impl<'n> de::EnumAccess<'n> for EnumAccess<'n, '_> {
    type Error = Failed;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'n>>(self, seed: V) -> Result<(V::Value, Self), Failed> {
        let variant: StrDeserializer<'n, Failed> = self.variant.into_deserializer();
        Ok((seed.deserialize(variant)?, self))
    }
}

impl<'n> de::VariantAccess<'n> for EnumAccess<'n, '_> {
    type Error = Failed;

    fn unit_variant(self) -> Result<(), Failed> {
        match self.value {
            None => Ok(()),
            Some(_) => Err(self.decoder.wrong_type("text")),
        }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'n>>(self, seed: T) -> Result<T::Value, Failed> {
        match self.value {
            Some(value) => seed.deserialize(value),
            None => Err(self.decoder.wrong_type("a map")),
        }
    }

    fn tuple_variant<V: Visitor<'n>>(self, _: usize, _: V) -> Result<V::Value, Failed> {
        Err(Failed::Hidden)
    }

    fn struct_variant<V: Visitor<'n>>(self, _: &'static [&'static str], _: V) -> Result<V::Value, Failed> {
        Err(Failed::Hidden)
    }
}
