//! Gives the shared library its soname: `libkith.so.0.MINOR` while 0.x (every minor may break the ABI), `libkith.so.MAJOR` after.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let part = |name: &str| std::env::var(name).unwrap_or_default();
    let major = part("CARGO_PKG_VERSION_MAJOR");
    let abi = if major == "0" { format!("0.{}", part("CARGO_PKG_VERSION_MINOR")) } else { major };
    match part("CARGO_CFG_TARGET_OS").as_str() {
        "windows" => {}
        "macos" => println!("cargo:rustc-cdylib-link-arg=-Wl,-install_name,@rpath/libkith.{abi}.dylib"),
        _ => println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,libkith.so.{abi}"),
    }
}
