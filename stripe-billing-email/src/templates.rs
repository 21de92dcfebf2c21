//! The looks: templates that are embedded, and those of a folder that replace them one by one.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use minijinja::{AutoEscape, Environment, UndefinedBehavior, Value, context};
use stripe_billing_core::notice::NoticeKind;

use crate::content::{Class, Content, Link};
use crate::language::Language;
use crate::notifier::EmailNotifier;
use crate::words::{SLOTS, Values, Words};

/// The two forms of a mail.
pub(crate) const FORMS: [&str; 2] = ["txt", "html"];
/// What mail clients cut off, or take for spam; in bytes.
pub(crate) const MAX_HTML: usize = 100_000;

/// Templates and words, checked.
#[derive(Debug)]
pub(crate) struct Templates {
    env: Environment<'static>,
    words: BTreeMap<Language, Words>,
}

/// What a template is rendered with, besides the content.
#[derive(Debug)]
pub(crate) struct Frame<'a> {
    pub(crate) kind: NoticeKind,
    pub(crate) key: &'a str,
    pub(crate) livemode: bool,
    pub(crate) address: Option<&'a str>,
    pub(crate) has_reply: bool,
    pub(crate) unsubscribe: Option<&'a str>,
    pub(crate) values: &'a Values,
}

impl Templates {
    /// What is embedded, with what a folder replaces of it.
    ///
    /// # Errors
    /// Every mistake, each with its file.
    pub(crate) fn load(folder: Option<&Path>) -> Result<Self, Vec<String>> {
        let mut mistakes = Vec::new();
        let mut env = Environment::new();
        env.set_undefined_behavior(UndefinedBehavior::Strict);
        env.set_auto_escape_callback(|name| match name.ends_with(".html") {
            true => AutoEscape::Html,
            false => AutoEscape::None,
        });
        env.set_formatter(|out, state, value| match value.as_str() {
            // As little as it takes: a link stays a link to whoever reads the source.
            Some(text) if *state.auto_escape() == AutoEscape::Html && !value.is_safe() => {
                let escaped = text.chars().try_for_each(|char| match char {
                    '&' => out.write_str("&amp;"),
                    '<' => out.write_str("&lt;"),
                    '>' => out.write_str("&gt;"),
                    '"' => out.write_str("&quot;"),
                    '\'' => out.write_str("&#39;"),
                    other => out.write_char(other),
                });
                escaped.map_err(minijinja::Error::from)
            }
            _ => minijinja::escape_formatter(out, state, value),
        });
        let mut words = BTreeMap::new();
        for language in Language::ALL {
            match Words::embedded(language) {
                Ok(embedded) => drop(words.insert(language, embedded)),
                Err(wrong) => {
                    mistakes.extend(wrong.iter().map(|it| format!("{language}.toml: {it}")));
                }
            }
        }
        let mut sources: BTreeMap<String, String> = [
            ("layout.txt", include_str!("../templates/layout.txt")),
            ("layout.html", include_str!("../templates/layout.html")),
        ]
        .map(|(name, source)| (name.to_owned(), source.to_owned()))
        .into();
        if let Some(folder) = folder {
            read_folder(folder, &mut sources, &mut words, &mut mistakes);
        }
        for (name, source) in sources {
            if let Err(error) = env.add_template_owned(name.clone(), source) {
                mistakes.push(format!("{name}: {}", told(&error)));
            }
        }
        if mistakes.is_empty() { Ok(Self { env, words }) } else { Err(mistakes) }
    }

    /// What is said in a language.
    pub(crate) fn words(&self, language: Language) -> Option<&Words> {
        self.words.get(&language)
    }

    /// Renders the text and the HTML of a mail.
    ///
    /// # Errors
    /// What is wrong with the template, with its name and line.
    pub(crate) fn render(
        &self,
        content: &Content,
        words: &Words,
        frame: &Frame<'_>,
    ) -> Result<[String; 2], String> {
        let class = Class::of(frame.kind);
        let say = |key| words.say(key, frame.values);
        let unsubscribe = frame.unsubscribe.map(|url| Link {
            label: say("mail.unsubscribe").unwrap_or_default(),
            url: url.to_owned(),
        });
        let why = if class == Class::Internal { "mail.why_operator" } else { "mail.why" };
        // Every slot is there, so that a misspelled one is a mistake, and an unknown one is none.
        let values = SLOTS.iter().map(|slot| (*slot, Value::from(frame.values.get(slot).cloned())));
        let values = Value::from_pairs(values);
        let context = context! {
            mail => mail(content),
            kind => frame.kind.as_str(),
            class => class.as_str(),
            key => frame.key,
            lang => words.language.tag(),
            dir => "ltr",
            test => !frame.livemode,
            sender => frame.values.get("sender").cloned(),
            address => frame.address,
            unsubscribe => unsubscribe.as_ref().map(link),
            values => values,
            labels => context! {
                colon => say("list.colon"),
                test => say("mail.test"),
                why => say(why),
                zone => say("mail.zone"),
                reply => say("mail.reply").filter(|_| frame.has_reply),
            },
        };
        let mut forms = [String::new(), String::new()];
        for (form, rendered) in FORMS.iter().zip(&mut forms) {
            let own = format!("{}.{form}", frame.kind.as_str());
            let template = self
                .env
                .get_template(&own)
                .or_else(|_| self.env.get_template(&format!("layout.{form}")));
            let out = template.and_then(|template| template.render(&context));
            *rendered = out.map_err(|error| told(&error))?;
        }
        if forms[1].len() > MAX_HTML {
            return Err(format!("the HTML is longer than {MAX_HTML} bytes"));
        }
        Ok(forms)
    }
}

fn mail(content: &Content) -> Value {
    let facts = content.facts.iter().map(|fact| {
        context! { name => fact.name, label => fact.label.as_str(), value => fact.value.as_str() }
    });
    context! {
        subject => content.subject.as_str(),
        preheader => content.preheader.as_str(),
        greeting => content.greeting.as_str(),
        paragraphs => content.paragraphs.iter().map(|it| Value::from(it.as_str())).collect::<Vec<_>>(),
        facts => facts.collect::<Vec<_>>(),
        button => content.button.as_ref().map(link),
    }
}

fn link(link: &Link) -> Value {
    context! { label => link.label.as_str(), url => link.url.as_str() }
}

/// Takes what a folder has: `<kind>.html`, `<kind>.txt`, `layout.*`, `_<name>.*` to be included, and
/// `<language>.toml`.
fn read_folder(
    folder: &Path,
    sources: &mut BTreeMap<String, String>,
    words: &mut BTreeMap<Language, Words>,
    mistakes: &mut Vec<String>,
) {
    let shown = folder.display();
    let files = match std::fs::read_dir(folder) {
        Ok(files) => files,
        Err(error) => return mistakes.push(format!("the folder {shown} cannot be read: {error}")),
    };
    for file in files.filter_map(Result::ok) {
        let name = file.file_name().to_string_lossy().into_owned();
        let Some((stem, form)) = name.rsplit_once('.') else { continue };
        let known =
            EmailNotifier::KINDS.iter().any(|kind| kind.as_str() == stem) || stem == "layout";
        let language = Language::ALL.into_iter().find(|language| language.tag() == stem);
        let text = match (form, language) {
            ("html" | "txt", _) if known || stem.starts_with('_') => {
                std::fs::read_to_string(file.path())
            }
            ("toml", Some(_)) => std::fs::read_to_string(file.path()),
            ("html" | "txt" | "toml", _) => {
                mistakes.push(format!("{name}: there is no such kind of notice or language"));
                continue;
            }
            _ => continue,
        };
        match (text, language.and_then(|language| words.get_mut(&language))) {
            (Err(error), _) => mistakes.push(format!("{name}: cannot be read: {error}")),
            (Ok(text), Some(words)) if form == "toml" => {
                let wrong = words.overlay(&text).err().unwrap_or_default();
                mistakes.extend(wrong.iter().map(|it| format!("{name}: {it}")));
            }
            (Ok(text), _) => drop(sources.insert(name, text)),
        }
    }
}

/// The innermost error says what is wrong, in the file where it is.
fn told(error: &minijinja::Error) -> String {
    let mut innermost = error;
    while let Some(source) = std::error::Error::source(innermost)
        && let Some(source) = source.downcast_ref::<minijinja::Error>()
    {
        innermost = source;
    }
    innermost.to_string()
}
