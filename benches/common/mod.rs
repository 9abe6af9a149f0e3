//! What several benches need: the options they are called with, and vectors of .npy files.

use kith::distance::Element;
use std::collections::HashMap;

/// The options of the command line: `--name value`.
pub(crate) fn options() -> HashMap<String, String> {
    let mut options = HashMap::new();
    let mut arguments = std::env::args().skip(1);
    while let Some(name) = arguments.next() {
        // cargo adds one of its own.
        if let Some(name) = name.strip_prefix("--")
            && name != "bench"
        {
            options.insert(name.to_owned(), arguments.next().unwrap_or_default());
        }
    }
    options
}

pub(crate) struct Array {
    map: memmap2::Mmap,
    start: usize,
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    pub(crate) element: Element,
}

impl Array {
    pub(crate) fn open(path: &str) -> Self {
        let file = std::fs::File::open(path).unwrap_or_else(|e| panic!("{path}: {e}"));
        // SAFETY: a benchmark's input file, which nobody changes meanwhile.
        let map = unsafe { memmap2::Mmap::map(&file) }.unwrap();
        let header = usize::from(u16::from_le_bytes([map[8], map[9]]));
        let text = std::str::from_utf8(&map[10..10 + header]).unwrap();
        let element = if text.contains("<f4") {
            Element::F32
        } else if text.contains("|u1") {
            Element::U8
        } else {
            panic!("{path}: {text}")
        };
        let shape = text.split_once("'shape': (").unwrap().1.split_once(')').unwrap().0;
        let mut shape = shape.split(',').map(|part| part.trim().parse::<usize>().unwrap());
        let (rows, columns) = (shape.next().unwrap(), shape.next().unwrap());
        Self { start: 10 + header, map, rows, columns, element }
    }

    /// The vectors as `element`; converts u8 to f32 if asked to.
    pub(crate) fn vectors(&self, element: Element) -> std::borrow::Cow<'_, [u8]> {
        let bytes = &self.map[self.start..];
        match (self.element, element) {
            (from, to) if from == to => bytes.into(),
            (Element::U8, Element::F32) => {
                bytes.iter().flat_map(|&byte| f32::from(byte).to_le_bytes()).collect::<Vec<u8>>().into()
            }
            (from, to) => panic!("{from:?} as {to:?}"),
        }
    }
}
