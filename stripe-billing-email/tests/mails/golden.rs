//! Every mail in every language, as it was last looked at. `STRIPE_BILLING_WRITE_GOLDEN=1` writes
//! them anew.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use stripe_billing_email::{EmailNotifier, Mailbox};

fn files(folder: &Path) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    for language in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if language.is_dir() {
            let files = std::fs::read_dir(&language).unwrap().map(|entry| entry.unwrap().path());
            found.extend(files.map(|file| file.strip_prefix(folder).unwrap().to_owned()));
        }
    }
    found
}

#[test]
fn every_mail_in_every_language_is_as_it_was_last_looked_at() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let folder = tempfile::tempdir().unwrap();
    let notifier = EmailNotifier::in_memory(&Mailbox::default(), "Acme <billing@acme.test>")
        .reply_to("help@acme.test")
        .postal_address("Acme GmbH, Lindenstraße 1, 10969 Berlin")
        .time_zone("Europe/Berlin")
        .billing_page("https://acme.test/billing")
        .operator_page("https://acme.test/operator")
        .unsubscribe(|_| Some("https://acme.test/unsubscribe?token=sample".to_owned()))
        .build()
        .unwrap();
    let index = std::fs::read_to_string(notifier.preview(folder.path()).unwrap()).unwrap();
    let written = files(folder.path());
    assert_eq!(written.len(), 22 * 6 * 2);
    for file in &written {
        assert!(index.contains(&format!("\"{}\"", file.display())), "{file:?} is in the index");
    }
    if std::env::var_os("STRIPE_BILLING_WRITE_GOLDEN").is_some() {
        for file in &written {
            let to = golden.join(file);
            std::fs::create_dir_all(to.parent().unwrap()).unwrap();
            std::fs::copy(folder.path().join(file), to).unwrap();
        }
        return;
    }
    assert_eq!(files(&golden), written);
    let read = |folder: &Path, file| std::fs::read_to_string(folder.join(file)).unwrap();
    for file in &written {
        assert_eq!(read(&golden, file), read(folder.path(), file), "{}", file.display());
    }
}
