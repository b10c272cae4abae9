//! Entries that are found by a number which is never given twice.

/// Names a transaction of one table. An id that outlived its transaction names nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id {
    index: u32,
    generation: u32,
}

#[derive(Debug)]
pub(super) struct Slab<T> {
    slots: Vec<Slot<T>>,
    free: Vec<u32>,
}

#[derive(Debug)]
struct Slot<T> {
    generation: u32,
    value: Option<T>,
}

impl<T> Slab<T> {
    pub(super) const fn new() -> Self {
        Self { slots: Vec::new(), free: Vec::new() }
    }

    pub(super) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Keeps a value, unless there are `limit` already.
    pub(super) fn insert(&mut self, value: T, limit: usize) -> Option<Id> {
        if self.len() >= limit {
            return None;
        }
        if let Some(index) = self.free.pop() {
            let slot = self.slots.get_mut(usize::try_from(index).ok()?)?;
            slot.value = Some(value);
            return Some(Id { index, generation: slot.generation });
        }
        let index = u32::try_from(self.slots.len()).ok()?;
        self.slots.push(Slot { generation: 0, value: Some(value) });
        Some(Id { index, generation: 0 })
    }

    pub(super) fn get(&self, id: Id) -> Option<&T> {
        let slot = self.slots.get(usize::try_from(id.index).ok()?)?;
        slot.value.as_ref().filter(|_| slot.generation == id.generation)
    }

    pub(super) fn get_mut(&mut self, id: Id) -> Option<&mut T> {
        let slot = self.slots.get_mut(usize::try_from(id.index).ok()?)?;
        slot.value.as_mut().filter(|_| slot.generation == id.generation)
    }

    pub(super) fn remove(&mut self, id: Id) -> Option<T> {
        let slot = self.slots.get_mut(usize::try_from(id.index).ok()?)?;
        if slot.generation != id.generation {
            return None;
        }
        let value = slot.value.take()?;
        slot.generation = slot.generation.wrapping_add(1);
        self.free.push(id.index);
        Some(value)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.slots.iter().filter_map(|slot| slot.value.as_ref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_id_does_not_find_the_new_tenant_of_its_place() {
        let mut slab = Slab::new();
        let old = slab.insert('a', 1).unwrap();
        assert!(slab.insert('b', 1).is_none());
        assert_eq!(slab.remove(old), Some('a'));
        let new = slab.insert('c', 1).unwrap();
        assert_eq!((slab.get(old), slab.get(new)), (None, Some(&'c')));
        assert_eq!(slab.remove(old), None);
    }
}
