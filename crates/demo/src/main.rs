//! The executable `musher-demo-agent`; everything is in the library, so that a test can read it.

fn main() -> std::process::ExitCode {
    musher_demo::main()
}
