use std::error::Error;
use std::fmt;

/// What is wrong with the configuration: every mistake at once. It shows no URL and no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HooksError {
    mistakes: Vec<String>,
}

impl HooksError {
    pub(crate) fn new(mistakes: Vec<String>) -> Self {
        Self { mistakes }
    }

    /// The mistakes, each saying what to do.
    pub fn mistakes(&self) -> &[String] {
        &self.mistakes
    }
}

impl fmt::Display for HooksError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "webhooks cannot be sent:")?;
        self.mistakes.iter().try_for_each(|mistake| write!(f, "\n- {mistake}"))
    }
}

impl Error for HooksError {}

/// Why a fact was not taken by every endpoint, in words for operators.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NotTaken(pub(crate) String);

impl fmt::Display for NotTaken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for NotTaken {}
