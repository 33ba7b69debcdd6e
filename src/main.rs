//! The `twopass` program: parse, run, exit code.

use std::process::ExitCode;

mod cli;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // What a damaged shard makes a decoder say is part of the error that names the shard.
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if !twopass::panics::are_caught() {
            hook(panic);
        }
    }));
    cli::main()
}
