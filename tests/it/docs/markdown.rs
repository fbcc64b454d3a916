//! Parses Markdown documents: their fenced blocks, and in them commands with their output.

use std::fs;
use std::path::{Path, PathBuf};

const FENCE: &str = "```";
/// The prompt before a command in a `console` block. All other text in it is output.
const PROMPT: &str = "$ ";

/// A Markdown file of this repository.
pub struct Document {
    /// Its path, from the root of the repository.
    pub name: String,
    /// Its text.
    pub text: String,
}

/// A fenced block.
pub struct Block {
    /// The word after the fence; empty when there is none.
    pub language: String,
    pub lines: Vec<String>,
    /// The line number of its first line.
    first: usize,
}

/// A command and the output that the document shows for it.
pub struct Step {
    pub line: usize,
    pub command: String,
    pub output: String,
}

impl Document {
    /// All documents: README, those beside it, and those in `docs/`.
    pub fn all() -> Vec<Document> {
        let mut paths: Vec<PathBuf> = [root().to_owned(), root().join("docs")]
            .iter()
            .flat_map(|directory| fs::read_dir(directory).expect("the repository is there"))
            .map(|entry| entry.expect("the repository can be read").path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "md"))
            .collect();
        paths.sort();
        assert!(paths.len() > 5, "only {paths:?}");
        paths.iter().map(|path| Document::read(path)).collect()
    }

    /// Reads one document.
    pub fn named(name: &str) -> Document {
        Document::read(&root().join(name))
    }

    fn read(path: &Path) -> Document {
        let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let name = path.strip_prefix(root()).expect("it is in the repository").display().to_string();
        Document { name, text }
    }

    /// Its fenced blocks, in order.
    pub fn blocks(&self) -> Vec<Block> {
        let mut blocks = Vec::new();
        let mut open: Option<Block> = None;
        for (number, line) in (1..).zip(self.text.lines()) {
            match (line.strip_prefix(FENCE), open.as_mut()) {
                (Some(_), Some(_)) => blocks.extend(open.take()),
                (Some(language), None) => {
                    open = Some(Block { language: language.trim().to_owned(), lines: Vec::new(), first: number + 1 });
                }
                (None, Some(block)) => block.lines.push(line.to_owned()),
                (None, None) => {}
            }
        }
        assert!(open.is_none(), "{}: a block does not end", self.name);
        blocks
    }

    /// The commands of its blocks in a language, with their output.
    pub fn steps(&self, language: &str) -> Vec<Step> {
        self.blocks().iter().filter(|block| block.language == language).flat_map(Block::steps).collect()
    }

    /// The text between backquotes outside of blocks.
    pub fn inline_code(&self) -> Vec<String> {
        let mut is_open = false;
        let prose = self.text.lines().filter(|line| {
            let is_fence = line.starts_with(FENCE);
            is_open ^= is_fence;
            !is_fence && !is_open
        });
        prose.flat_map(|line| line.split('`').skip(1).step_by(2)).map(str::to_owned).collect()
    }
}

impl Block {
    /// Its commands. In a block without prompts every line is a command. A command that ends with a backslash continues
    /// in the next line.
    fn steps(&self) -> Vec<Step> {
        let has_prompts = self.lines.iter().any(|line| line.starts_with(PROMPT));
        let mut steps: Vec<Step> = Vec::new();
        let mut continues = false;
        for (line, text) in (self.first..).zip(&self.lines) {
            let command = if has_prompts { text.strip_prefix(PROMPT) } else { Some(text.as_str()) };
            match (command, steps.last_mut()) {
                (_, Some(step)) if continues => step.command.push_str(&format!("\n{text}")),
                (Some(command), _) => {
                    steps.push(Step { line, command: command.to_owned(), output: String::new() });
                }
                (None, Some(step)) => {
                    step.output.push_str(text);
                    step.output.push('\n');
                }
                (None, None) => panic!("line {line}: output before the first command"),
            }
            continues = (continues || command.is_some()) && text.ends_with('\\');
        }
        steps.retain(|step| !step.command.trim().is_empty() && !step.command.starts_with('#'));
        steps
    }
}

/// The root of the repository.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
