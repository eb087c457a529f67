//! `cargo xtask run`: from a checkout to a window; without a display, to the same work in the
//! terminal.

use anyhow::{Context, Result, bail};
use std::fs;
use std::path::Path;

use crate::{page, place, shell, system};

pub fn command(args: &[String]) -> Result<()> {
    if !system::has_display() && !args.is_empty() {
        bail!(
            "`{}` is for the window, and there is no display here. Without it, the demo runs in the \
             terminal.",
            args.join(" ")
        );
    }
    system::ensure(&system::of_this_system(system::TO_BUILD))?;
    system::ensure_node()?;
    page::install()?;
    page::build()?;
    // All programs at once: the keeper and the demo agent are looked for beside the window's.
    // Without xtask, whose own file is in use.
    let build = ["build", "--workspace", "--exclude", "xtask", "--bins"];
    shell::run(shell::cargo().args(build))?;
    if system::has_display() {
        shell::run(ours("musher-desktop").args(args))
    } else {
        in_the_terminal()
    }
}

fn ours(program: &str) -> std::process::Command {
    shell::command(&place::program("debug", program).to_string_lossy())
}

/// The main job without a window: the demo agent in a repository made for it.
fn in_the_terminal() -> Result<()> {
    println!("There is no display here that answers (DISPLAY, WAYLAND_DISPLAY): the demo agent");
    println!("works in the terminal instead, in a repository made for it.\n");
    // Not in target/: the path of a Unix socket may have 107 bytes at most.
    let folder = tempfile::Builder::new().prefix("musher-demo-").tempdir()?;
    let folder = folder.path();
    let repository = folder.join("repository");
    make_repository(&repository)
        .with_context(|| format!("making a repository in {}", folder.display()))?;
    let mut run = ours("musher");
    run.args(["run", "Say hello to whoever reads the README", "--runtime", "demo"]);
    run.args(["--answer", "allow", "--repo"]).arg(&repository);
    run.arg("--data-dir").arg(folder.join("data"));
    shell::run(&mut run)?;
    say_what_next();
    Ok(())
}

fn make_repository(repository: &Path) -> Result<()> {
    fs::create_dir_all(repository)?;
    fs::write(repository.join("README.md"), "# A repository to throw away\n")?;
    let git = |args: &[&str]| {
        let mut git = shell::command("git");
        git.args(["-c", "user.name=Musher", "-c", "user.email=musher@localhost"]);
        shell::run(git.args(["-c", "commit.gpgsign=false"]).args(args).current_dir(repository))
    };
    git(&["init", "--quiet", "--initial-branch=main"])?;
    git(&["add", "README.md"])?;
    git(&["commit", "--quiet", "--message", "Begin"])
}

fn say_what_next() {
    let musher = place::program("debug", "musher");
    let musher = musher.display();
    println!("\nWhat the agent made for it is removed again.");
    println!("\nThe window's page works from here, too, in a browser of yours:");
    println!("  {musher} serve --port 4777");
    println!("It prints the address, with its token. From another machine of yours, first:");
    println!("  ssh -L 4777:127.0.0.1:4777 THIS-MACHINE");
    println!("\nAnd a run of your own: {musher} run PROMPT --repo DIR    ({musher} --help)");
}
