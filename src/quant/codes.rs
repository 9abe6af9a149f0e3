//! Where do the codes of an index lie, and what does one say about a query?

use super::coding::{Rule, code_bytes};
use super::{Codec, FACTORS, Query, Width, Workspace};
use crate::distance::{Element, Nibbles, Packing, Quarters, Signs, Singles, looked_up, product, product4};
use crate::simd::Simd;
use crate::util::error::{Error, Result};
use crate::util::memory::Segments;

/// A codec and a code for every slot that is written.
#[derive(Debug)]
pub(crate) struct Codes {
    pub(crate) codec: Codec,
    rows: Segments,
}

impl Codes {
    pub(crate) fn new(codec: Codec) -> Self {
        let rows = Segments::new(codec.stride());
        Self { codec, rows }
    }

    /// Codes that were written before: by a save.
    pub(crate) fn from_parts(codec: Codec, rows: Segments) -> Self {
        Self { codec, rows }
    }

    /// The code of a slot that is live, removed or linked.
    pub(crate) fn code(&self, slot: u32) -> &[u8] {
        // SAFETY: the record has `stride` bytes, and is not written any more once the slot can be seen.
        unsafe { std::slice::from_raw_parts(self.rows.address(slot), self.codec.stride()) }
    }

    /// Makes room for `slots` slots.
    pub(crate) fn grow(&self, slots: usize) -> Result<()> {
        self.rows.grow(slots)
    }

    /// Gives the memory of the codes of slots from `slots` on back to the system. Nobody may use them, or be allocated one, meanwhile.
    pub(crate) fn release(&self, slots: u32) {
        self.rows.release(slots as usize);
    }

    /// Writes the code of a slot's vector, before anybody else can see the slot.
    pub(crate) fn write(&self, slot: u32, (element, vector): (Element, &[u8]), scale: f32, work: &mut Workspace) {
        debug_assert!(self.rows.holds(slot));
        // SAFETY: the record exists (`grow`), is `stride` bytes, and the slot is not visible yet: only the thread that fills it, or
        // the one that codes a resting index, touches it.
        let code = unsafe { std::slice::from_raw_parts_mut(self.rows.address(slot), self.codec.stride()) };
        self.codec.encode(element, vector, scale, work, code);
    }

    /// Whether the code of a slot is what its vector's is.
    pub(crate) fn is_of(
        &self,
        slot: u32,
        (element, vector): (Element, &[u8]),
        scale: f32,
        work: &mut Workspace,
    ) -> bool {
        let mut again = std::mem::take(&mut work.reduced);
        again.clear();
        again.resize(self.codec.stride(), 0);
        self.codec.encode(element, vector, scale, work, &mut again);
        let same = *again == *self.code(slot);
        work.reduced = again;
        same
    }

    /// Memory held for `slots` slots.
    pub(crate) fn bytes(&self, slots: u32) -> usize {
        self.rows.bytes(slots as usize) + self.codec.bytes() + size_of::<Self>() - size_of::<Codec>()
    }

    /// The most memory that slots `slots..more` can add.
    pub(crate) fn growth(&self, slots: usize, more: usize) -> usize {
        self.rows.growth(slots, more)
    }

    /// Bytes of codes that lie in foreign bytes.
    pub(crate) fn mapped(&self, slots: u32) -> usize {
        self.rows.mapped(slots as usize)
    }

    /// Estimates for a query.
    pub(crate) fn estimator<'a>(&'a self, query: &'a Query) -> Estimator<'a> {
        Estimator { codes: self, query }
    }
}

/// Checks bytes of codes of `stride` bytes that lie `position` bytes behind the start of all, a multiple of 4.
pub(crate) fn check_codes(stride: usize, position: u64, bytes: &[u8]) -> Result<()> {
    let (words, _) = bytes.as_chunks::<4>();
    for (i, &word) in words.iter().enumerate() {
        let at = position + 4 * i as u64;
        let within = (at % stride as u64) as usize;
        if within >= stride - FACTORS && !f32::from_le_bytes(word).is_finite() {
            return Err(Error::corrupt(format!("section codes: record {} has no finite factors", at / stride as u64)));
        }
    }
    Ok(())
}

/// Tells distances of slots from one query, nearly.
#[derive(Clone, Copy)]
pub(crate) struct Estimator<'a> {
    codes: &'a Codes,
    query: &'a Query,
}

impl Estimator<'_> {
    /// Where a slot's code lies.
    #[inline(always)]
    pub(crate) fn address(&self, slot: u32) -> *const u8 {
        self.codes.rows.address(slot).cast_const()
    }

    /// Bytes of a code.
    #[inline(always)]
    pub(crate) fn stride(&self) -> usize {
        self.codes.rows.stride()
    }

    /// # Safety
    /// - The slot's code is written.
    #[inline(always)]
    pub(crate) unsafe fn one<S: Simd>(&self, s: S, slot: u32) -> f32 {
        let row = self.address(slot);
        let (query, lines) = (self.query.weights.bytes().as_ptr(), self.codes.codec.lines);
        // SAFETY: the caller's promise; codes and query have as many lines as the codec says, packed as its width says.
        unsafe {
            let product = match &self.codes.codec.rule {
                Rule::Rounded(Width::Four) => product::<S, Nibbles>(s, query, row, lines),
                Rule::Rounded(Width::Two) => product::<S, Quarters>(s, query, row, lines),
                Rule::Rounded(Width::One) => product::<S, Singles>(s, query, row, lines),
                Rule::Product(_) => looked_up(query, [row], code_bytes(lines))[0],
                Rule::Signs(angles) => {
                    angles.cosine(product::<S, Signs>(s, query, row, lines) - self.bits_of_factors(row))
                }
            };
            self.estimate(row, product)
        }
    }

    /// # Safety
    /// - The slots' codes are written.
    #[inline(always)]
    pub(crate) unsafe fn four<S: Simd>(&self, s: S, slots: [u32; 4]) -> [f32; 4] {
        let rows = [self.address(slots[0]), self.address(slots[1]), self.address(slots[2]), self.address(slots[3])];
        // SAFETY: as in `one`.
        unsafe {
            match &self.codes.codec.rule {
                Rule::Rounded(Width::Four) => self.packed::<S, Nibbles>(s, rows),
                Rule::Rounded(Width::Two) => self.packed::<S, Quarters>(s, rows),
                Rule::Rounded(Width::One) => self.packed::<S, Singles>(s, rows),
                Rule::Product(_) => {
                    let bytes = code_bytes(self.codes.codec.lines);
                    self.estimates(rows, looked_up(self.query.weights.bytes().as_ptr(), rows, bytes))
                }
                Rule::Signs(angles) => {
                    let query = self.query.weights.bytes().as_ptr();
                    let mut cosines = product4::<S, Signs>(s, query, rows, self.codes.codec.lines);
                    for (cosine, row) in cosines.iter_mut().zip(rows) {
                        *cosine = angles.cosine(*cosine - self.bits_of_factors(row));
                    }
                    self.estimates(rows, cosines)
                }
            }
        }
    }

    /// # Safety
    /// - The rows are written codes, and `P` is how codes of this width are packed.
    #[inline(always)]
    unsafe fn packed<S: Simd, P: Packing>(&self, s: S, rows: [*const u8; 4]) -> [f32; 4] {
        // SAFETY: the caller's promise; codes and query have as many lines as the codec says.
        unsafe {
            let products = product4::<S, P>(s, self.query.weights.bytes().as_ptr(), rows, self.codes.codec.lines);
            self.estimates(rows, products)
        }
    }

    /// Bits that are set in the last bytes of a code, which are no signs.
    /// # Safety
    /// - `row` is a written code.
    #[inline(always)]
    unsafe fn bits_of_factors(&self, row: *const u8) -> i32 {
        // SAFETY: the last 8 bytes of a code are two floats.
        unsafe { row.add(self.stride() - FACTORS).cast::<u64>().read_unaligned() }.count_ones() as i32
    }

    /// # Safety
    /// - The rows are written codes.
    #[inline(always)]
    unsafe fn estimates(&self, rows: [*const u8; 4], products: [i32; 4]) -> [f32; 4] {
        let Query { add, scale, offset, .. } = *self.query;
        let at = self.stride() - FACTORS;
        let (mut own, mut factors, mut estimates) = ([0.0; 4], [0.0; 4], [0.0; 4]);
        for r in 0..4 {
            // SAFETY: the caller's promise; the last 8 bytes of a code are two floats.
            [own[r], factors[r]] = unsafe { rows[r].add(at).cast::<[f32; 2]>().read_unaligned() };
        }
        // As in `estimate`, for all of them at once.
        for r in 0..4 {
            estimates[r] = add + own[r] + factors[r] * (scale * products[r] as f32 - offset);
        }
        estimates
    }

    /// # Safety
    /// - `row` is a written code.
    #[inline(always)]
    unsafe fn estimate(&self, row: *const u8, product: i32) -> f32 {
        let Query { add, scale, offset, .. } = *self.query;
        // SAFETY: the last 8 bytes of a code are two floats.
        let [own, factor] = unsafe { row.add(self.stride() - FACTORS).cast::<[f32; 2]>().read_unaligned() };
        add + own + factor * (scale * product as f32 - offset)
    }
}
