//! Is `include/kith.h` what the sources say, does every compiler take it, and does it name exactly the exported functions?
//!
//! `KITH_BLESS=1 cargo test --test header` writes the header anew.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod header_text;

use header_text::{functions, generate, root};
use std::io::Write;
use std::process::{Command, Stdio};

#[test]
fn the_committed_header_is_what_the_sources_say() {
    let path = root().join("include/kith.h");
    let fresh = generate();
    if std::env::var_os("KITH_BLESS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, &fresh).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    let first = committed.lines().zip(fresh.lines()).enumerate().find(|(_, (old, new))| old != new);
    assert!(
        committed == fresh,
        "include/kith.h is stale: first difference {first:?}; run KITH_BLESS=1 cargo test --test header and look at the diff"
    );
}

/// tests/package/symbols.sh compares the header with the libraries that were built; the list is what a reviewer sees change.
#[test]
fn the_header_declares_the_functions_of_the_list() {
    let list = std::fs::read_to_string(root().join("tests/abi/symbols.txt")).unwrap();
    let list: Vec<&str> = list.lines().collect();
    assert!(list.is_sorted(), "tests/abi/symbols.txt is not sorted");
    let mut declared = functions(&generate());
    declared.sort();
    assert_eq!(declared, list, "left: include/kith.h, right: tests/abi/symbols.txt");
}

/// A function in the C layer that no file of the header's list declares would be exported without a word in the manual.
#[test]
fn every_exported_function_is_in_the_header() {
    let mut exported = Vec::new();
    for file in std::fs::read_dir(root().join("src/ffi")).unwrap() {
        let path = file.unwrap().path();
        if path.file_name().unwrap() == "hooks.rs" {
            continue; // behind the feature test-hooks, never shipped
        }
        let text = std::fs::read_to_string(&path).unwrap();
        for after in text.split("#[unsafe(no_mangle)]").skip(1) {
            let name = after.split("extern \"C\" fn ").nth(1).unwrap();
            exported.push(name.split('(').next().unwrap().to_owned());
        }
    }
    let mut declared = functions(&generate());
    exported.sort();
    declared.sort();
    assert_eq!(exported, declared);
}

/// Functions that `kith.hpp` leaves to C, and why.
const LEFT_TO_C: [(&str, &str); 3] = [
    ("kith_cpu_level", "takes nothing and cannot fail: there is nothing to add"),
    ("kith_status_text", "kith::error has the sentence of the failure; this is for programs that print statuses"),
    ("kith_version", "takes nothing and cannot fail: there is nothing to add"),
];

#[test]
fn the_cpp_layer_has_every_function_or_says_why_not() {
    let text: String = ["kith.hpp", "kith/calls.hpp", "kith/types.hpp"]
        .map(|file| std::fs::read_to_string(root().join("include").join(file)).unwrap())
        .concat();
    // What stands in comments is not called.
    let code: String = text.lines().filter(|line| !line.trim_start().starts_with(['/', '*'])).collect();
    let called = |name: &str| code.contains(&format!("{name}("));
    for name in functions(&generate()) {
        let left = LEFT_TO_C.iter().any(|(left, _)| *left == name);
        assert!(
            called(&name) != left,
            "{name}: kith.hpp calls it: {}; it is on the list of those left to C: {left}",
            called(&name)
        );
    }
}

#[test]
fn every_c_and_cpp_compiler_takes_the_header_alone_and_the_programs_of_the_contract() {
    let mut compilers = 0;
    for (compiler, language, standards) in [
        ("gcc", "c", ["c99", "c11"]),
        ("clang", "c", ["c99", "c11"]),
        ("g++", "c++", ["c++11", "c++17"]),
        ("clang++", "c++", ["c++11", "c++17"]),
    ] {
        if Command::new(compiler).arg("--version").output().is_err() {
            // Written past the test harness, which would swallow it.
            writeln!(std::io::stderr(), "NOT TESTED: include/kith.h with {compiler}, which is not installed").unwrap();
            continue;
        }
        compilers += 1;
        for standard in standards {
            syntax(compiler, language, standard, "#include <kith.h>\ntypedef kith_options header_is_enough;\n");
            let contract = std::fs::read_to_string(root().join("tests/c/contract.c")).unwrap();
            syntax(compiler, language, standard, &contract);
        }
    }
    assert!(compilers > 0, "no C compiler: install gcc or clang");
}

fn syntax(compiler: &str, language: &str, standard: &str, source: &str) {
    let mut child = Command::new(compiler)
        .args(["-x", language, "-fsyntax-only", "-Wall", "-Wextra", "-pedantic", "-Werror"])
        .arg(format!("-std={standard}"))
        .arg("-I")
        .arg(root().join("include"))
        .arg("-")
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(source.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{compiler} -std={standard}:\n{said}");
}
