use alloc::boxed::Box;
use alloc::vec::Vec;
use core::borrow::Borrow;

/// A map of few entries, in the order of their keys: one sorted vector.
///
/// It has the methods of `BTreeMap` that machines use and compiles to a small part of its code, which counts where a
/// machine travels to a browser. Values are boxed, so that maps with one kind of key are one piece of code, whatever they
/// map to. Inserting and removing move what lies behind: a table that may hold thousands of entries wants a `BTreeMap`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Map<K, V> {
    entries: Vec<(K, Box<V>)>,
}

impl<K, V> Map<K, V> {
    /// An empty map.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            entries: Vec::new(),
        }
    }

    /// How many entries there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Drops every entry.
    pub fn clear(&mut self) {
        self.entries.clear();
    }

    /// Keys with their values, in order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&K, &V)> + ExactSizeIterator + Clone {
        self.entries.iter().map(|(key, value)| (key, &**value))
    }

    /// Keys with their values, in order, the values to be changed.
    pub fn iter_mut(
        &mut self,
    ) -> impl DoubleEndedIterator<Item = (&K, &mut V)> + ExactSizeIterator {
        self.entries
            .iter_mut()
            .map(|(key, value)| (&*key, &mut **value))
    }

    /// The keys, in order.
    pub fn keys(&self) -> impl DoubleEndedIterator<Item = &K> + ExactSizeIterator + Clone {
        self.entries.iter().map(|(key, _)| key)
    }

    /// The values, in the order of their keys.
    pub fn values(&self) -> impl DoubleEndedIterator<Item = &V> + ExactSizeIterator + Clone {
        self.entries.iter().map(|(_, value)| &**value)
    }

    /// The values, to be changed, in the order of their keys.
    pub fn values_mut(&mut self) -> impl DoubleEndedIterator<Item = &mut V> + ExactSizeIterator {
        self.entries.iter_mut().map(|(_, value)| &mut **value)
    }

    /// The values, in the order of their keys.
    pub fn into_values(self) -> impl DoubleEndedIterator<Item = V> + ExactSizeIterator {
        self.entries.into_iter().map(|(_, value)| *value)
    }

    /// The entry with the lowest key.
    #[must_use]
    pub fn first_key_value(&self) -> Option<(&K, &V)> {
        self.entries.first().map(|(key, value)| (key, &**value))
    }

    /// Keeps the entries that `keep` says yes to.
    pub fn retain(&mut self, mut keep: impl FnMut(&K, &mut V) -> bool) {
        let mut at = 0;
        while let Some((key, value)) = self.entries.get_mut(at) {
            if keep(key, value) {
                at += 1;
            } else {
                self.entries.remove(at);
            }
        }
    }

    /// The keys of the entries that `pick` says yes to: for loops that change the map.
    pub fn keys_where(&self, mut pick: impl FnMut(&K, &V) -> bool) -> Vec<K>
    where
        K: Clone,
    {
        let mut picked = Vec::new();
        for (key, value) in &self.entries {
            if pick(key, value) {
                picked.push(key.clone());
            }
        }
        picked
    }

    fn place<Q: Ord + ?Sized>(&self, key: &Q) -> Result<usize, usize>
    where
        K: Borrow<Q>,
    {
        self.entries
            .binary_search_by(|(known, _)| known.borrow().cmp(key))
    }

    /// The value of a key.
    pub fn get<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        let place = self.place(key).ok()?;
        self.entries.get(place).map(|(_, value)| &**value)
    }

    /// The value of a key, to be changed.
    pub fn get_mut<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
    {
        let place = self.place(key).ok()?;
        self.entries.get_mut(place).map(|(_, value)| &mut **value)
    }

    /// Whether a key has a value.
    pub fn contains_key<Q: Ord + ?Sized>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
    {
        self.place(key).is_ok()
    }

    /// Takes a key's value out.
    pub fn remove<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        let place = self.place(key).ok()?;
        Some(*self.entries.remove(place).1)
    }
}

impl<K: Ord, V> Map<K, V> {
    /// Gives a key a value; returns the one that it had.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        match self.place(&key) {
            Ok(place) => {
                let (_, known) = self.entries.get_mut(place)?;
                Some(core::mem::replace(&mut **known, value))
            }
            Err(place) => {
                self.entries.insert(place, (key, Box::new(value)));
                None
            }
        }
    }

    /// The value of a key, which is `value` if it had none.
    pub fn get_or_insert(&mut self, key: K, value: V) -> &mut V {
        let place = self.place(&key).unwrap_or_else(|place| {
            self.entries.insert(place, (key, Box::new(value)));
            place
        });
        &mut self.entries[place].1
    }
}

impl<K, V> Default for Map<K, V> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K: Ord, V> FromIterator<(K, V)> for Map<K, V> {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        let mut map = Self::new();
        for (key, value) in entries {
            map.insert(key, value);
        }
        map
    }
}

/// Sorts a short list by a key, leaving equals in their order.
///
/// It takes a hundredth of the code of the standard library's sort and, up to some dozen entries, no more time.
pub fn sort_by_key<T, K: Ord>(list: &mut [T], key: impl Fn(&T) -> K) {
    for end in 1..list.len() {
        let mut at = end;
        while at > 0 && key(&list[at]) < key(&list[at - 1]) {
            list.swap(at, at - 1);
            at -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::collections::BTreeMap;

    use super::*;
    use crate::Rng;

    #[test]
    fn behaves_like_the_tree() {
        let mut rng = Rng::new([3; 32]);
        let (mut map, mut tree) = (Map::new(), BTreeMap::new());
        for step in 0..2_000u32 {
            let key = rng.below(40);
            match rng.below(4) {
                0 | 1 => assert_eq!(map.insert(key, step), tree.insert(key, step)),
                2 => assert_eq!(map.remove(&key), tree.remove(&key)),
                _ => assert_eq!(
                    map.get_or_insert(key, step),
                    tree.entry(key).or_insert(step)
                ),
            }
            assert!(map.iter().eq(tree.iter()));
            assert_eq!(map.get(&key), tree.get(&key));
        }
        assert_eq!(map.keys_where(|_, &step| step % 2 == 0), even_steps(&tree));
        map.retain(|key, _| key % 3 == 0);
        tree.retain(|key, _| key % 3 == 0);
        assert!(map.iter().eq(tree.iter()));
        assert!(map.into_values().eq(tree.into_values()));
    }

    fn even_steps(tree: &BTreeMap<u32, u32>) -> Vec<u32> {
        let even = tree.iter().filter(|(_, step)| **step % 2 == 0);
        even.map(|(key, _)| *key).collect()
    }

    #[test]
    fn sorting_leaves_equals_in_their_order() {
        let mut list = [(2, 'a'), (1, 'b'), (2, 'c'), (0, 'd'), (1, 'e')];
        sort_by_key(&mut list, |(key, _)| *key);
        assert_eq!(list, [(0, 'd'), (1, 'b'), (1, 'e'), (2, 'a'), (2, 'c')]);
    }
}
