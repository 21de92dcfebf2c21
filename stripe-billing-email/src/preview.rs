use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{fs, io};

use crate::language::Language;
use crate::notifier::EmailNotifier;
use crate::sample;

impl EmailNotifier {
    /// Writes a sample of every mail in every language to a folder, with this notifier's templates,
    /// sender and pages: `<language>/<kind>.html` and `.txt`, and an `index.html` to look through
    /// them. Returns the index.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn preview(&self, folder: &Path) -> io::Result<PathBuf> {
        let mut rows = String::new();
        for kind in Self::KINDS {
            let _ = write!(rows, "<tr><th>{}</th>", kind.as_str());
            for language in Language::ALL {
                let mail = self
                    .compose(&sample::full(kind, language), language)
                    .map_err(io::Error::other)?;
                let under = folder.join(language.tag());
                fs::create_dir_all(&under)?;
                let text = format!("Subject: {}\n\n{}", mail.subject, mail.text);
                fs::write(under.join(format!("{}.txt", kind.as_str())), text)?;
                fs::write(under.join(format!("{}.html", kind.as_str())), &mail.html)?;
                let path = format!("{language}/{}", kind.as_str());
                // Writing to a string cannot fail.
                let _ = write!(
                    rows,
                    "<td><a href=\"{path}.html\">{language}</a> <a href=\"{path}.txt\">text</a></td>"
                );
            }
            rows.push_str("</tr>\n");
        }
        let index = folder.join("index.html");
        let page = format!(
            "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"color-scheme\" \
             content=\"light dark\"><title>Billing mails</title>\n<style>body{{font:15px/1.5 \
             system-ui,sans-serif;margin:2rem}}th{{text-align:left;padding-right:1rem;font-weight:600}}\
             td{{padding:.2rem .8rem}}</style>\n<h1>Billing mails</h1>\n<table>\n{rows}</table></html>\n"
        );
        fs::write(&index, page)?;
        Ok(index)
    }
}
