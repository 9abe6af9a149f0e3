//! Do the rooms of `src` keep to the arrows, the places for `unsafe`, and the other rules of the house?
//!
//! The rules are read from the table in ARCHITECTURE.md, so document and code cannot part. Code under `#[cfg(test)]` is free.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// One line of the table.
#[derive(Debug, Default, PartialEq)]
struct Room {
    /// Rooms (`store`) and parts of rooms (`index::config`).
    may_use: Vec<String>,
    /// Modules that may hold `unsafe`; `all` stands for every one. The room's own `mod.rs` is called `mod`.
    may_be_unsafe: Vec<String>,
}

type Rooms = BTreeMap<String, Room>;

/// The most lines a file may have.
const LONGEST: usize = 800;

/// Reads the table whose head is `| room | ... | may use | unsafe in |`.
fn rooms_of(document: &str) -> Rooms {
    let mut rooms = Rooms::new();
    let words = |cell: &str| -> Vec<String> {
        let words = cell.split(',').map(|word| word.trim().trim_matches('`').to_owned());
        words.filter(|word| !word.is_empty() && word != "-").collect()
    };
    let table = document.lines().skip_while(|line| !line.starts_with("| room |"));
    for line in table.skip(2).take_while(|line| line.starts_with('|')) {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        assert_eq!(cells.len(), 4, "a line of the room table has room, question, may use, unsafe in: {line}");
        let room = Room { may_use: words(cells[2]), may_be_unsafe: words(cells[3]) };
        rooms.insert(cells[0].trim_matches('`').to_owned(), room);
    }
    rooms
}

/// The text without comments and without what follows the first `#[cfg(test)] mod`; line numbers stay.
fn product_code(text: &str) -> Vec<&str> {
    let mut code = Vec::new();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        let opens_tests = |next: &&str| next.trim_start().starts_with("mod ") && next.trim_end().ends_with('{');
        if line.trim() == "#[cfg(test)]" && lines.peek().is_some_and(opens_tests) {
            break;
        }
        code.push(line.split("//").next().unwrap_or(""));
    }
    code
}

/// The paths that a line names from the crate's root: `a::b` of `crate::a::b::c`, each of `crate::{a::b, c}`,
/// and of `super::super::a` where the file lies `depth` modules below the root.
fn paths_from_root(line: &str, depth: usize) -> Vec<String> {
    let mut found = Vec::new();
    let is_word = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
    for word in line.split(|c: char| !is_word(c)).filter(|word| word.contains("::")) {
        let ups = word.matches("super::").count();
        let rest = if let Some(rest) = word.strip_prefix("crate::") {
            rest
        } else if ups >= depth && word.starts_with("super::") {
            word.rsplit("super::").next().unwrap_or("")
        } else {
            continue;
        };
        if rest.is_empty() {
            found.push("{".to_owned()); // a group; judged by the caller
        } else {
            found.push(rest.split("::").take(2).collect::<Vec<_>>().join("::"));
        }
    }
    found
}

/// What is wrong with one file, `path` relative to `src`.
fn violations(path: &str, text: &str, rooms: &Rooms) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut say = |line: usize, what: String| wrong.push(format!("src/{path}:{line}: {what}"));
    let modules: Vec<&str> = path.trim_end_matches(".rs").split('/').collect();
    let room_name = modules[0];
    let lines = text.lines().count();
    if lines > LONGEST {
        say(lines, format!("{lines} lines; a file has at most {LONGEST}: split it by what changes together"));
    }
    if !text.starts_with("//!") {
        say(1, "no `//!` head that says which question the file answers".to_owned());
    }
    if modules.len() == 1 || modules.contains(&"tests") {
        return wrong; // lib.rs only lists the rooms; test modules are free
    }
    let Some(room) = rooms.get(room_name) else {
        say(1, format!("the room {room_name} is not in the table of ARCHITECTURE.md"));
        return wrong;
    };
    let module = modules[1];
    let depth = modules.len() - usize::from(modules.last() == Some(&"mod"));
    let may_be_unsafe = room.may_be_unsafe.iter().any(|allowed| allowed == "all" || allowed == module);

    for (number, line) in product_code(text).into_iter().enumerate().map(|(i, line)| (i + 1, line)) {
        for target in paths_from_root(line, depth) {
            let target_room = target.split("::").next().unwrap_or("");
            let allowed = target_room == room_name || room.may_use.iter().any(|to| *to == target_room || *to == target);
            if target == "{" {
                say(number, "write one `use crate::ROOM` per room, so that the arrow can be read".to_owned());
            } else if !rooms.contains_key(target_room) {
                say(number, format!("`crate::{target}` goes around the rooms: name the room it comes from"));
            } else if !allowed {
                say(number, format!("{room_name} may not use {target} (it may use: {})", room.may_use.join(", ")));
            }
        }
        let word = |wanted: &str| line.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word == wanted);
        if word("unsafe") && !line.contains("forbid(") && !may_be_unsafe {
            say(number, format!("`unsafe` in {room_name}::{module}, which the table does not list for it"));
        }
        if line.contains("extern \"C\" fn") && line.contains("pub") && room_name != "ffi" {
            say(number, "the C layer is the room ffi".to_owned());
        }
        let is_arch = line.contains("std::arch") || line.contains("core::arch");
        if is_arch && room_name != "simd" && !(room_name == "util" && ["float_mode", "memory"].contains(&module)) {
            say(number, "instructions of a processor belong to simd".to_owned());
        }
        if line.contains("rayon::") && !(room_name == "util" && module == "pool") && room_name != "build" {
            say(number, "threads come from util::pool".to_owned());
        }
        let starts_thread = line.contains("thread::Builder") || line.contains("thread::spawn");
        if starts_thread && !(room_name == "util" && ["pool", "worker"].contains(&module)) {
            say(number, "threads come from util::pool and util::worker".to_owned());
        }
        if ["println!", "eprintln!", "print!", "eprint!", "dbg!"]
            .iter()
            .any(|print| word(&print[..print.len() - 1]) && line.contains(print))
        {
            say(number, "the library never prints".to_owned());
        }
    }
    wrong
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Every `.rs` file below `directory`, relative to it, with its text.
fn sources(directory: &Path) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut open = vec![directory.to_owned()];
    while let Some(next) = open.pop() {
        for entry in fs::read_dir(&next).unwrap().map(|entry| entry.unwrap().path()) {
            if entry.is_dir() {
                open.push(entry);
            } else if entry.extension().is_some_and(|extension| extension == "rs") {
                let name = entry.strip_prefix(directory).unwrap().to_str().unwrap().replace('\\', "/");
                found.insert(name, fs::read_to_string(&entry).unwrap());
            }
        }
    }
    found
}

fn table() -> Rooms {
    rooms_of(&fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap())
}

#[test]
fn the_sources_keep_the_rules_of_the_house() {
    let rooms = table();
    let sources = sources(&root().join("src"));
    assert!(sources.len() > 10, "src was not found");
    let wrong: Vec<String> = sources.iter().flat_map(|(path, text)| violations(path, text, &rooms)).collect();
    assert!(wrong.is_empty(), "\n{}\nThe rules stand in ARCHITECTURE.md.", wrong.join("\n"));
}

#[test]
fn the_table_names_what_exists() {
    let sources = sources(&root().join("src"));
    for (name, room) in table() {
        let of_room = format!("{name}/");
        assert!(sources.keys().any(|path| path.starts_with(&of_room)), "the table lists the room {name}, src has none");
        for module in room.may_be_unsafe.iter().filter(|module| *module != "all") {
            let files = [format!("{name}/{module}.rs"), format!("{name}/{module}/")];
            let mut texts = sources.iter().filter(|(path, _)| files.iter().any(|file| path.starts_with(file)));
            assert!(
                texts.any(|(_, text)| text.contains("unsafe")),
                "{name}::{module} may be unsafe by the table but is not: take it off"
            );
        }
    }
}

#[test]
fn nothing_points_back_up() {
    let rooms = table();
    // Depth first; a room met again on the way down closes a circle. Parts (`index::config`) are leaves: they use no room above.
    fn walk<'a>(room: &'a str, rooms: &'a Rooms, way: &mut Vec<&'a str>) {
        assert!(!way.contains(&room), "a circle of arrows: {} -> {room}", way.join(" -> "));
        way.push(room);
        for next in &rooms.get(room).unwrap_or_else(|| panic!("{room} is used but not in the table")).may_use {
            if !next.contains("::") {
                walk(next, rooms, way);
            }
        }
        way.pop();
    }
    for room in rooms.keys() {
        walk(room, &rooms, &mut Vec::new());
    }
}

/// The rules catch what they are for.
#[test]
fn broken_rules_are_found() {
    let rooms = rooms_of(
        "| room | answers | may use | unsafe in |\n|---|---|---|---|\n\
         | `ffi` | C? | index, util | all |\n| `index` | what? | `store`, util | rows |\n\
         | `store` | where? | index::config, util | - |\n| `util` | tools? | - | memory |\n\nafter",
    );
    assert_eq!(rooms.len(), 4);
    let found = |path: &str, line: &str| violations(path, &format!("//! Head?\n{line}\n"), &rooms).len();
    for (path, line) in [
        ("store/mod.rs", "use crate::index::Index;"),
        ("store/keys.rs", "fn f() { crate::ffi::enter() }"),
        ("store/keys.rs", "use super::super::index::Index;"),
        ("store/mod.rs", "use super::index::Index;"),
        ("store/mod.rs", "use crate::{util, index};"),
        ("store/mod.rs", "use crate::Index;"),
        ("attic/mod.rs", "fn f() {}"),
        ("index/mod.rs", "unsafe { f() }"),
        ("index/mod.rs", "pub extern \"C\" fn f() {}"),
        ("index/mod.rs", "use std::arch::x86_64::*;"),
        ("index/mod.rs", "rayon::join(f, g);"),
        ("index/mod.rs", "println!(\"hello\");"),
    ] {
        assert!(found(path, line) > 0, "not found: {path}: {line}");
    }
    for (path, line) in [
        ("store/mod.rs", "use crate::index::config::Options;"),
        ("index/mod.rs", "use crate::store::Store; // not crate::ffi"),
        ("index/rows.rs", "unsafe { f() }"),
        ("index/mod.rs", "#[cfg(test)]\nmod tests {\n    use crate::ffi::enter;\n    unsafe { f() }\n}"),
        ("store/tests/big.rs", "use crate::ffi::enter;"),
        ("ffi/search.rs", "use super::enter; pub extern \"C\" fn f() { unsafe { g() } }"),
        ("lib.rs", "pub use index::Index;"),
    ] {
        assert_eq!(found(path, line), 0, "found: {path}: {line}");
    }
    assert!(!violations("index/mod.rs", "fn f() {}\n", &rooms).is_empty(), "a file without a head");
    assert!(
        !violations("index/mod.rs", &format!("//! Head?\n{}", "\n".repeat(LONGEST)), &rooms).is_empty(),
        "a long file"
    );
}
