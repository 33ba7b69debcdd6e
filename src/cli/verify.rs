pub fn run(_: &std::path::Path, _: bool) -> anyhow::Result<std::process::ExitCode> {
    todo!()
}
