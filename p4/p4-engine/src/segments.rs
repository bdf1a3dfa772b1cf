//! A list that grows without moving: pieces of a fixed length, so that no insert waits for a copy of
//! all that is there, and no more than a piece is held in store.

/// Items of a piece.
const PIECE: usize = 1 << 10;

/// Items of `stride` numbers each.
#[derive(Debug)]
pub(crate) struct Segments<T> {
    pieces: Vec<Box<[T]>>,
    stride: usize,
    len: usize,
}

impl<T: Copy + Default> Segments<T> {
    pub(crate) fn new(stride: usize) -> Self {
        Self {
            pieces: Vec::new(),
            stride,
            len: 0,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Adds an item of defaults.
    pub(crate) fn push(&mut self) {
        if self.len == self.pieces.len() * PIECE {
            let piece = vec![T::default(); PIECE * self.stride];
            self.pieces.push(piece.into_boxed_slice());
        }
        self.len += 1;
    }

    /// An item; empty beyond the end.
    #[inline]
    pub(crate) fn get(&self, at: u32) -> &[T] {
        let (piece, at) = (at as usize / PIECE, at as usize % PIECE * self.stride);
        self.pieces
            .get(piece)
            .and_then(|piece| piece.get(at..at + self.stride))
            .unwrap_or_default()
    }

    /// An item to write; empty beyond the end.
    #[inline]
    pub(crate) fn get_mut(&mut self, at: u32) -> &mut [T] {
        let (piece, at) = (at as usize / PIECE, at as usize % PIECE * self.stride);
        self.pieces
            .get_mut(piece)
            .and_then(|piece| piece.get_mut(at..at + self.stride))
            .unwrap_or_default()
    }

    /// The number at a place of an item.
    #[inline]
    pub(crate) fn number(&self, at: u32, place: usize) -> Option<T> {
        let (piece, at) = (at as usize / PIECE, at as usize % PIECE * self.stride);
        self.pieces.get(piece)?.get(at + place).copied()
    }

    /// The first of an item.
    #[inline]
    pub(crate) fn first(&self, at: u32) -> Option<&T> {
        self.get(at).first()
    }

    #[inline]
    pub(crate) fn first_mut(&mut self, at: u32) -> Option<&mut T> {
        self.get_mut(at).first_mut()
    }
}
