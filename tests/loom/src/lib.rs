//! Do a few threads, in every order that the memory model allows, keep what rows, entry, key map, slot states and snapshots promise?
//!
//! The modules are the library's own sources; only `util` is made of loom's parts.

#[allow(dead_code, reason = "the models use a part of each source")]
pub mod util {
    #[path = "../../../../src/util/error.rs"]
    pub mod error;
    pub mod memory {
        pub(crate) const LINE: usize = 64;
        pub(crate) fn prefetch(_: *const u8) {}
    }
    pub mod epoch;
    pub mod sync;
}

#[allow(dead_code, reason = "as above")]
mod graph {
    #[path = "../../../../src/graph/entry.rs"]
    pub(crate) mod entry;
    pub mod models;
    #[path = "../../../../src/graph/row.rs"]
    pub(crate) mod row;
    #[path = "../../../../src/graph/wishes.rs"]
    mod wishes;
}

#[allow(dead_code, reason = "as above")]
mod index {
    #[path = "../../../../src/index/gate.rs"]
    pub(crate) mod gate;
    pub mod snapshots;
}

#[allow(dead_code, reason = "as above")]
mod store {
    #[path = "../../../../src/store/keys.rs"]
    mod keys;
    #[path = "../../../../src/store/life.rs"]
    pub(crate) mod life;
    pub mod models;
    #[path = "../../../../src/store/reuse.rs"]
    pub(crate) mod reuse;
    pub mod reused;
    #[path = "../../../../src/store/run.rs"]
    mod run;

    use run::Run;
}

pub use graph::models as rows;
pub use index::snapshots;
pub use store::models as slots;
pub use store::reused as places;

/// What the runs of a model came to.
#[derive(Clone, Default)]
struct Outcomes(std::sync::Arc<std::sync::Mutex<std::collections::BTreeMap<String, usize>>>);

impl Outcomes {
    fn note(&self, outcome: &impl std::fmt::Debug) {
        *self.0.lock().unwrap().entry(format!("{outcome:?}")).or_default() += 1;
    }
}

/// Runs a model through its interleavings, with at most this many preemptions of a thread that could go on. Each of the outcomes named
/// must occur: a model whose threads never meet would prove nothing. (loom keeps one last access per cell, so an order in which a thread
/// reads a cell, and another then reads and writes it, does not lead it to try the other order. So in the models the thread
/// that writes runs first, which is the one that starts the others.)
fn explore(preemptions: usize, outcomes: &[&str], model: impl Fn(&Outcomes) + Sync + Send + 'static) {
    let seen = Outcomes::default();
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.max_branches = 100_000;
    let noted = seen.clone();
    builder.check(move || model(&noted));
    let seen = seen.0.lock().unwrap();
    println!("{} runs: {seen:?}", seen.values().sum::<usize>());
    for outcome in outcomes {
        assert!(seen.contains_key(*outcome), "no run came to {outcome}: {seen:?}");
    }
}
