//! The keeper for this crate's own tests; the real executable is `musher-keeper`.

fn main() -> std::process::ExitCode {
    musher_process::keeper_main()
}
