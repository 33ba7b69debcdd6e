use super::args::JobArgs;
pub fn run(_: &JobArgs) -> anyhow::Result<std::process::ExitCode> {
    todo!()
}
