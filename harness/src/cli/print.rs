//! What the program knows of itself, printed: the schema of its files, completions for shells, its manual page.

use crate::failure::{Blame, Result};
use crate::scenario::Scenario;
use crate::scenario::suite::Suite;
use clap::CommandFactory;
use serde_json::{Value, json};
use shakedown_reports::exit_code;

/// Print the JSON schema of scenario files, for editors.
#[derive(Debug, clap::Args)]
pub struct SchemaArgs {
    /// Of which files.
    #[arg(value_enum, default_value_t = Of::Scenario)]
    of: Of,
}

/// Files that have a schema.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Of {
    /// Scenarios.
    Scenario,
    /// Suites.
    Suite,
}

/// Print completions for a shell, to be put where it looks for them.
#[derive(Debug, clap::Args)]
pub struct CompletionsArgs {
    /// The shell.
    #[arg(value_enum)]
    shell: clap_complete::Shell,
}

/// Print the manual page of the program and all its commands (roff).
#[derive(Debug, clap::Args)]
pub struct ManArgs {}

/// Prints a schema.
///
/// # Errors
/// Standard output can't be written.
pub fn schema(args: &SchemaArgs) -> Result<u8> {
    let schema = match args.of {
        Of::Scenario => extensible(schemars::schema_for!(Scenario).to_value()),
        Of::Suite => schemars::schema_for!(Suite).to_value(),
    };
    super::print_out(&(serde_json::to_string_pretty(&schema)? + "\n"))?;
    Ok(exit_code::PASSED)
}

/// What a scenario must say, it may also leave to the file that it extends.
fn extensible(mut schema: Value) -> Value {
    let required = schema["required"].take();
    schema["properties"]["extends"] = json!({
        "description": "A file (relative to this one) with what this one does not say: tables are merged.",
        "type": "string",
    });
    if let Some(keywords) = schema.as_object_mut() {
        keywords.remove("required");
        keywords.insert("anyOf".to_owned(), json!([{ "required": ["extends"] }, { "required": required }]));
    }
    schema
}

/// Prints completions.
///
/// # Errors
/// Standard output can't be written.
pub fn completions<C: CommandFactory>(args: &CompletionsArgs) -> Result<u8> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut C::command(), "shakedown", &mut script);
    super::print_out(&String::from_utf8_lossy(&script))?;
    Ok(exit_code::PASSED)
}

/// Prints the manual page: the program, then each command.
///
/// # Errors
/// Standard output can't be written.
pub fn man<C: CommandFactory>(_args: &ManArgs) -> Result<u8> {
    let mut command = C::command();
    command.build();
    let mut page = Vec::new();
    clap_mangen::Man::new(command.clone()).render(&mut page).blame_input()?;
    for one in command.get_subcommands().filter(|one| !one.is_hide_set() && one.get_name() != "help") {
        let title = format!("shakedown-{}", one.get_name());
        clap_mangen::Man::new(one.clone()).title(title).render(&mut page).blame_input()?;
    }
    super::print_out(&String::from_utf8_lossy(&page))?;
    Ok(exit_code::PASSED)
}
