//! The files that a scenario names, gathered so that a run directory can be run again from what it holds.

use crate::scenario::WorkflowSource;
use crate::scenario::catalogue::{self, CatalogueError, Origin};
use std::collections::BTreeMap;
use std::path::Path;

/// Folder of a run directory that holds them.
pub const FOLDER: &str = "inputs";

/// Texts of files by the names under which a run directory holds them: `inputs/ours.json`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Inputs {
    texts: BTreeMap<String, String>,
}

impl Inputs {
    /// Keeps every file of `source` and returns the same source with the names under which they are kept.
    ///
    /// # Errors
    /// A file can't be read.
    pub fn keep(
        &mut self,
        source: &WorkflowSource,
        origin: &Origin,
    ) -> Result<WorkflowSource, CatalogueError> {
        let mut kept = source.clone();
        let own = [&mut kept.definition, &mut kept.durations, &mut kept.task_definitions];
        for name in own.into_iter().flatten().chain(kept.steps.values_mut()) {
            let text = catalogue::named_by(origin, name)?;
            *name = self.add(name, text);
        }
        Ok(kept)
    }

    /// The files: name and text.
    pub fn files(&self) -> impl Iterator<Item = (&str, &str)> {
        self.texts.iter().map(|(name, text)| (name.as_str(), text.as_str()))
    }

    /// The name under which `text` is kept: that of its file, with a number when another text has it already.
    fn add(&mut self, name: &str, text: String) -> String {
        let path = Path::new(name);
        let part = |part: Option<&std::ffi::OsStr>| part.map(|p| p.to_string_lossy().into_owned());
        let stem = part(path.file_stem()).unwrap_or_else(|| "input".to_owned());
        let kind = part(path.extension()).map_or_else(String::new, |kind| format!(".{kind}"));
        let names = (1..).map(|number| match number {
            1 => format!("{FOLDER}/{stem}{kind}"),
            number => format!("{FOLDER}/{stem}-{number}{kind}"),
        });
        let is_free = |name: &String| self.texts.get(name).is_none_or(|known| *known == text);
        let name = names.into_iter().find(is_free).unwrap_or_default();
        self.texts.insert(name.clone(), text);
        name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_text_is_kept_once_and_another_of_that_name_beside_it() {
        let mut inputs = Inputs::default();
        assert_eq!(inputs.add("../a/table.csv", "1".to_owned()), "inputs/table.csv");
        assert_eq!(inputs.add("table.csv", "1".to_owned()), "inputs/table.csv");
        assert_eq!(inputs.add("b/table.csv", "2".to_owned()), "inputs/table-2.csv");
        assert_eq!(inputs.files().count(), 2);
    }
}
