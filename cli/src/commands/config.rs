//! `palisade config`: check a configuration file.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args as ClapArgs;

use crate::commands::serve::sections;

#[derive(ClapArgs)]
pub(crate) struct Args {
    /// The file to check, with the variables of this shell over it
    file: PathBuf,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let table = crate::config::load(Some(&args.file), std::env::vars())?;
    sections(&table, table.contains_key("control_plane"), table.contains_key("proxy"))?;
    println!("{} is good", args.file.display());
    Ok(())
}
