//! Does an insertion go on while somebody holds a row that it wants to be in?

use super::{DIMENSIONS, options};
use crate::index::Index;
use crate::index::config::Kind;
use std::sync::mpsc::channel;
use std::time::Duration;

/// The middle of a cross, or one of its eight ends: the middle is nearer to each than any other end.
fn point(i: usize) -> Vec<u8> {
    let mut point = [0.0_f32; DIMENSIONS];
    if i > 0 {
        point[(i - 1) / 2] = if i.is_multiple_of(2) { 10.0 } else { -10.0 };
    }
    point.into_iter().flat_map(f32::to_le_bytes).collect()
}

#[test]
fn an_insertion_leaves_its_link_to_whoever_edits_the_row() {
    let index = Index::create(&options(Kind::Graph)).unwrap();
    (0..8).for_each(|i| index.insert(i as u64, &point(i)).unwrap());
    let pin = index.pin();
    let core = index.core(&pin);
    let graph = core.graph().unwrap();
    let slot = |key| core.store(&pin).find(key, &pin).unwrap();
    let mut links = Vec::new();

    let held = graph.lock(slot(0));
    let (tell, told) = channel();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            index.insert(8, &point(8)).unwrap();
            tell.send(()).unwrap();
        });
        let went_on = told.recv_timeout(Duration::from_secs(60)).is_ok();
        if went_on {
            held.links(0, &mut links);
        }
        drop(held);
        assert!(went_on, "the insertion waited");
    });
    let without = links.len();
    graph.lock(slot(0)).links(0, &mut links);
    assert_eq!((without, links.len()), (7, 8), "the link was forgotten");
    let mut near = Vec::new();
    graph.neighbours(slot(0), 0, &mut near);
    assert!(near.contains(&slot(8)));
    drop(pin);
    assert!(index.audit().unwrap().is_clean());
}
