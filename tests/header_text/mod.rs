//! How does the text of `include/kith.h` come from `src/ffi`? By cbindgen, and by what it cannot say, added here.

use std::path::PathBuf;

/// The files of the C layer, in the order of the header.
const SOURCES: [&str; 12] = [
    "types", "library", "life", "content", "learning", "upkeep", "search", "tuning", "reading", "disk", "durable",
    "exchange",
];

/// Chapters of the header: title, and the function that opens it.
const CHAPTERS: [(&str, &str); 10] = [
    ("Library", "kith_version"),
    ("Life", "kith_create"),
    ("Content", "kith_insert"),
    ("Learning", "kith_train"),
    ("Upkeep", "kith_maintain"),
    ("Search", "kith_search"),
    ("Reading", "kith_get"),
    ("Disk", "kith_save"),
    ("Durable directories", "kith_open_directory"),
    ("Exchange", "kith_import"),
];

/// Where the package is.
pub(crate) fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The header that the sources make.
pub(crate) fn generate() -> String {
    let mut config = cbindgen::Config::from_file(root().join("cbindgen.toml")).unwrap();
    let after = config.after_includes.as_mut().unwrap();
    for (mark, value) in [
        ("@MAJOR@", env!("CARGO_PKG_VERSION_MAJOR")),
        ("@MINOR@", env!("CARGO_PKG_VERSION_MINOR")),
        ("@PATCH@", env!("CARGO_PKG_VERSION_PATCH")),
    ] {
        *after = after.replace(mark, value);
    }
    let mut builder = cbindgen::Builder::new().with_config(config);
    for source in SOURCES {
        builder = builder.with_src(root().join(format!("src/ffi/{source}.rs")));
    }
    let mut text = Vec::new();
    builder.generate().unwrap().write(&mut text);
    let text = String::from_utf8(text).unwrap();
    let blocks = text.trim_end().split("\n\n").map(touch_up).collect();
    let mut text = in_order(blocks).join("\n\n");
    text.push('\n');
    text
}

/// The names of the functions that a header declares, in its order.
pub(crate) fn functions(header: &str) -> Vec<String> {
    header.split("\n\n").filter_map(function).map(str::to_owned).collect()
}

/// The name of the function that a block declares.
fn function(block: &str) -> Option<&str> {
    let (_, declaration) = block.split_once("KITH_API ")?;
    let name = declaration.split('(').next()?.rsplit([' ', '*']).next()?;
    name.starts_with("kith_").then_some(name)
}

/// One declaration with its comment, as a C programmer would write it: short comments on one line; enumerations without a type
/// name, as they only name constants; unsigned flags; handles and structs without the word struct; a function begun on the line of
/// its KITH_API.
fn touch_up(block: &str) -> String {
    let mut lines: Vec<String> = Vec::new();
    let mut indent = "";
    for line in block.lines() {
        let bare = line.trim_start();
        let before = lines.len();
        if bare == "*/" && before >= 2 && lines[before - 2].trim_start() == "/**" {
            let text = lines.pop().unwrap();
            let open = lines.pop().unwrap();
            lines.push(format!("{open} {} */", text.trim_start().trim_start_matches("* ")));
        } else if line.starts_with("typedef enum kith_") {
            lines.push("enum {".to_owned());
        } else if line.starts_with("} ") && line.ends_with("_values;") {
            lines.push("};".to_owned());
        } else if is_flag(line) {
            lines.push(format!("{line}u"));
        } else if before > 0 && lines[before - 1] == "KITH_API" {
            lines[before - 1] = format!("KITH_API {line}");
            indent = "         ";
        } else {
            lines.push(format!("{indent}{line}"));
        }
    }
    let block = lines.join("\n");
    if function(&block).is_some() { block.replace("struct kith_", "kith_") } else { block }
}

fn is_flag(line: &str) -> bool {
    let number = line.strip_prefix("#define KITH_").and_then(|rest| rest.split_once(' '));
    number.is_some_and(|(name, value)| !name.starts_with("VERSION") && value.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Puts each integer type before its values, and a line before each chapter.
fn in_order(blocks: Vec<String>) -> Vec<String> {
    let name_of = |block: &str| {
        let last = block.lines().last().unwrap_or_default();
        let name = last.strip_prefix("typedef uint32_t ").or_else(|| last.strip_prefix("typedef int32_t "));
        name.map(|name| name.trim_end_matches(';').to_owned())
    };
    let (types, others): (Vec<String>, Vec<String>) = blocks.into_iter().partition(|block| name_of(block).is_some());
    let mut ordered = Vec::new();
    for block in others {
        for kind in &types {
            if block.contains(&format!("Values of {}.", name_of(kind).unwrap())) {
                ordered.push(kind.clone());
            }
        }
        for (title, first) in CHAPTERS {
            if function(&block) == Some(first) {
                ordered.push(format!("/* ---- {title} {} */", "-".repeat(100 - title.len())));
            }
        }
        ordered.push(block);
    }
    ordered
}
