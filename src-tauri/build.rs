//! Embeds the page and Musher's configuration; works before the page was built.

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
    tauri_build::try_build(
        tauri_build::Attributes::new()
            .capabilities_path_pattern("./src-tauri/capabilities/**/*"),
    )
    .expect("tauri.conf.json and the capabilities are valid");
}
