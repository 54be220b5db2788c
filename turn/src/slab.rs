use alloc::vec::Vec;

/// Things with numbers. A number names one thing alone, also after it is gone.
#[derive(Debug, Clone)]
pub(crate) struct Slab<T> {
    entries: Vec<(u32, Option<T>)>,
    free: Vec<u32>,
}

/// The number of a thing: its place, and how many were there before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Number {
    pub(crate) place: u32,
    pub(crate) turn: u32,
}

impl<T> Slab<T> {
    pub(crate) fn new() -> Self {
        Self {
            entries: Vec::new(),
            free: Vec::new(),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len() - self.free.len()
    }

    pub(crate) fn insert(&mut self, thing: T) -> Number {
        let place = self.free.pop().unwrap_or_else(|| {
            self.entries.push((0, None));
            self.entries.len() as u32 - 1
        });
        let (turn, entry) = &mut self.entries[place as usize];
        *entry = Some(thing);
        Number { place, turn: *turn }
    }

    pub(crate) fn get(&self, number: Number) -> Option<&T> {
        let (turn, thing) = self.entries.get(number.place as usize)?;
        thing.as_ref().filter(|_| *turn == number.turn)
    }

    pub(crate) fn get_mut(&mut self, number: Number) -> Option<&mut T> {
        let (turn, thing) = self.entries.get_mut(number.place as usize)?;
        thing.as_mut().filter(|_| *turn == number.turn)
    }

    pub(crate) fn remove(&mut self, number: Number) -> Option<T> {
        let (turn, entry) = self.entries.get_mut(number.place as usize)?;
        let thing = entry.take_if(|_| *turn == number.turn)?;
        *turn = turn.wrapping_add(1);
        self.free.push(number.place);
        Some(thing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_never_names_a_later_thing() {
        let mut slab = Slab::new();
        let first = slab.insert('a');
        assert_eq!(slab.remove(first), Some('a'));
        let second = slab.insert('b');
        assert_eq!(first.place, second.place);
        assert_eq!(slab.get(first), None);
        assert_eq!(slab.remove(first), None);
        assert_eq!((slab.get(second), slab.len()), (Some(&'b'), 1));
        assert!(slab.get_mut(Number { place: 9, turn: 0 }).is_none());
    }
}
