pub fn run(_: &str) -> anyhow::Result<std::process::ExitCode> {
    todo!()
}
