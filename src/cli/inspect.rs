pub fn run(_: &std::path::Path, _: Option<&str>, _: bool) -> anyhow::Result<std::process::ExitCode> {
    todo!()
}
