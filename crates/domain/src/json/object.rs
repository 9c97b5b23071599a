//! JSON objects with members in ECMAScript order.

use std::collections::HashMap;

use super::{node::Node, text::Text};

/// Members in the order of `JSON.stringify`, with unique keys.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Object<'a>(Vec<(Text<'a>, Node<'a>)>);

impl<'a> Object<'a> {
    /// Iterates over the members in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&Text<'a>, &Node<'a>)> {
        self.0.iter().map(|(key, value)| (key, value))
    }

    /// Returns the value of a key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Node<'a>> {
        self.by_form(Text::new(key).form())
    }

    /// Returns the value of a key in its canonical form, which most keys have.
    pub(crate) fn by_form(&self, form: &str) -> Option<&Node<'a>> {
        let mut members = self.0.iter();
        let (_, value) = members.find(|(known, _)| known.form() == form)?;
        Some(value)
    }

    /// Removes a member and keeps the order of the others.
    pub fn remove(&mut self, key: &str) -> Option<Node<'a>> {
        let key = Text::new(key);
        let place = self.0.iter().position(|(known, _)| *known == key)?;
        Some(self.0.remove(place).1)
    }

    /// Returns the number of members.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<'a> IntoIterator for Object<'a> {
    type Item = (Text<'a>, Node<'a>);
    type IntoIter = std::vec::IntoIter<Self::Item>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'a> FromIterator<(Text<'a>, Node<'a>)> for Object<'a> {
    fn from_iter<I: IntoIterator<Item = (Text<'a>, Node<'a>)>>(members: I) -> Self {
        let mut builder = ObjectBuilder::default();
        for (key, value) in members {
            builder.insert(key, value);
        }
        builder.finish()
    }
}

/// Number of members from which a hash index finds duplicates: comparing each
/// key with all earlier ones would take quadratic time.
const INDEXED_FROM: usize = 16;

/// Collects members in the order in which they are written.
#[derive(Default)]
pub(super) struct ObjectBuilder<'a> {
    members: Vec<(Text<'a>, Node<'a>)>,
    /// Position of each key, from [`INDEXED_FROM`] members on.
    places: HashMap<Text<'a>, usize>,
    has_index_key: bool,
}

impl<'a> ObjectBuilder<'a> {
    /// Inserts a member; returns true if it replaces one.
    pub(super) fn insert(&mut self, key: Text<'a>, value: Node<'a>) -> bool {
        let place = self.place(&key);
        if let Some((_, known)) = place.and_then(|place| self.members.get_mut(place)) {
            *known = value;
            return true;
        }
        self.has_index_key |= key.array_index().is_some();
        if self.members.len() >= INDEXED_FROM {
            self.places.insert(key.clone(), self.members.len());
        }
        self.members.push((key, value));
        false
    }

    pub(super) fn finish(mut self) -> Object<'a> {
        if self.has_index_key {
            // The sort is stable, so all other keys keep their order.
            self.members
                .sort_by_key(|(key, _)| key.array_index().map_or(u64::MAX, u64::from));
        }
        Object(self.members)
    }

    /// Returns the position of the key if it is present.
    fn place(&mut self, key: &Text<'a>) -> Option<usize> {
        if self.members.len() < INDEXED_FROM {
            return self.members.iter().position(|(known, _)| known == key);
        }
        if self.places.is_empty() {
            let keys = self.members.iter().map(|(key, _)| key.clone());
            self.places = keys.zip(0..).collect();
        }
        self.places.get(key).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object<'a>(members: impl IntoIterator<Item = (&'a str, f64)>) -> Vec<(String, f64)> {
        let members = members
            .into_iter()
            .map(|(key, value)| (Text::new(key), Node::Number(value)));
        let object: Object<'_> = members.collect();
        object
            .iter()
            .map(|(key, value)| match value {
                Node::Number(number) => (key.form().to_owned(), *number),
                other => panic!("{other:?}"),
            })
            .collect()
    }

    #[test]
    fn repeated_key_keeps_its_first_position_and_last_value() {
        for size in [2, INDEXED_FROM - 1, INDEXED_FROM, INDEXED_FROM + 1, 1_000] {
            let keys: Vec<_> = (0..size).map(|number| format!("k{number}")).collect();
            let twice = keys
                .iter()
                .chain(&keys)
                .map(String::as_str)
                .zip((0u16..).map(f64::from));
            let expected: Vec<_> = keys
                .iter()
                .cloned()
                .zip((0u16..).skip(size).map(f64::from))
                .collect();
            assert_eq!(object(twice), expected);
        }
    }

    #[test]
    fn index_keys_come_first_in_ascending_order() {
        let order: Vec<_> = object([("b", 0.0), ("10", 1.0), ("a", 2.0), ("9", 3.0), ("01", 4.0)])
            .into_iter()
            .map(|(key, _)| key)
            .collect();
        assert_eq!(order, ["9", "10", "b", "a", "01"]);
    }

    #[test]
    fn member_is_found_by_its_unescaped_key() {
        let members = [("a\"b", Node::Bool(true)), ("c", Node::Null)];
        let object: Object<'_> = members
            .into_iter()
            .map(|(key, value)| (Text::new(key), value))
            .collect();
        assert_eq!(object.get("a\"b"), Some(&Node::Bool(true)));
        assert_eq!(object.get("a"), None);
    }
}
