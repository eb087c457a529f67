//! Embeds the page and Musher's configuration; works before the page was built.
// A build script says why it stops by panicking.
#![allow(clippy::expect_used)]

use std::{fs, path::Path};

fn main() {
    // `generate_context!` does not compile without the folder of the page: a placeholder lets
    // `cargo check` and `cargo test` run first.
    let index = Path::new("ui/dist/index.html");
    if !index.exists() {
        fs::create_dir_all("ui/dist").expect("ui/dist can be made");
        fs::write(
            index,
            "<!doctype html><title>Musher</title>The page is not built: run `cargo xtask run`.",
        )
        .expect("ui/dist can be written");
    }
    // A new file in dist alone would not be embedded again otherwise.
    println!("cargo:rerun-if-changed=ui/dist");
    println!("cargo:rerun-if-changed=src-tauri/permissions");
    tauri_build::try_build(
        tauri_build::Attributes::new()
            .capabilities_path_pattern("./src-tauri/capabilities/**/*")
            // Naming our own commands puts them under the capabilities, too: what is not granted there
            // is refused.
            .app_manifest(
                tauri_build::AppManifest::new()
                    .permissions_path_pattern("./src-tauri/permissions/**/*.toml"),
            ),
    )
    .expect("tauri.conf.json and the capabilities are valid");
}
