use std::fmt;

/// What is wrong with the configuration: every mistake at once. It shows no URL, address or secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EmailError {
    mistakes: Vec<String>,
}

impl EmailError {
    pub(crate) fn new(mut mistakes: Vec<String>) -> Self {
        mistakes.sort();
        mistakes.dedup();
        Self { mistakes }
    }

    /// The mistakes, each saying what to do.
    pub fn mistakes(&self) -> &[String] {
        &self.mistakes
    }
}

impl fmt::Display for EmailError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "mail cannot be sent:")?;
        self.mistakes.iter().try_for_each(|mistake| write!(f, "\n- {mistake}"))
    }
}

impl std::error::Error for EmailError {}
