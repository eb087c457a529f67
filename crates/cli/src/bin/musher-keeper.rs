//! The small process that holds one agent's child; see `musher_process`.

fn main() -> std::process::ExitCode {
    musher_process::keeper_main()
}
