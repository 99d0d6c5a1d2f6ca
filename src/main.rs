//! The `tokenform` program; everything is in the library.

fn main() -> std::process::ExitCode {
    tokenform::cli::main()
}
