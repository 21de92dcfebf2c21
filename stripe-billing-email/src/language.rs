use std::fmt;

/// A language that mails are written in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Language {
    /// English.
    #[default]
    English,
    /// German.
    German,
    /// French.
    French,
    /// Spanish.
    Spanish,
    /// Brazilian Portuguese.
    Portuguese,
    /// Japanese.
    Japanese,
}

/// The forms that nouns take after numbers, in CLDR's words. The six languages know two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Plural {
    One,
    Other,
}

impl Language {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::English,
        Self::German,
        Self::French,
        Self::Spanish,
        Self::Portuguese,
        Self::Japanese,
    ];

    /// Its tag (BCP 47).
    pub fn tag(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::German => "de",
            Self::French => "fr",
            Self::Spanish => "es",
            Self::Portuguese => "pt-BR",
            Self::Japanese => "ja",
        }
    }

    /// The language that a tag asks for, whatever its region: `de-AT` is German, `pt` Portuguese.
    ///
    /// ```
    /// use stripe_billing_email::Language;
    /// assert_eq!(Language::from_tag("de-AT"), Some(Language::German));
    /// assert_eq!(Language::from_tag("PT_pt"), Some(Language::Portuguese));
    /// assert_eq!(Language::from_tag("nl"), None);
    /// ```
    pub fn from_tag(tag: &str) -> Option<Self> {
        let primary = tag.split(['-', '_']).next()?;
        Self::ALL.into_iter().find(|language| {
            let own = language.tag().split('-').next().unwrap_or_default();
            own.eq_ignore_ascii_case(primary)
        })
    }

    /// The first of the preferred languages that there is.
    pub(crate) fn negotiate(preferred: &[String]) -> Option<Self> {
        preferred.iter().find_map(|tag| Self::from_tag(tag.trim()))
    }

    /// The form of a noun after a whole number.
    pub(crate) fn plural(self, count: i64) -> Plural {
        let one = match self {
            Self::English | Self::German | Self::Spanish => count.unsigned_abs() == 1,
            Self::French | Self::Portuguese => count.unsigned_abs() <= 1,
            Self::Japanese => false,
        };
        if one { Plural::One } else { Plural::Other }
    }
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.tag())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_preferred_language_that_there_is_wins() {
        let of = |tags: &[&str]| {
            Language::negotiate(&tags.iter().map(|tag| (*tag).to_owned()).collect::<Vec<_>>())
        };
        assert_eq!(of(&["nl", "fr-CA", "de"]), Some(Language::French));
        assert_eq!(of(&["es-419"]), Some(Language::Spanish));
        assert_eq!(of(&["pt", "en"]), Some(Language::Portuguese));
        assert_eq!(of(&["ja_JP"]), Some(Language::Japanese));
        assert_eq!(of(&["", "x", "enx"]), None);
        assert_eq!(of(&[]), None);
    }

    #[test]
    fn plurals_follow_cldr() {
        // (0, 1, 2, -1)
        let forms = |language: Language| [0, 1, 2, -1].map(|n| language.plural(n) == Plural::One);
        assert_eq!(forms(Language::English), [false, true, false, true]);
        assert_eq!(forms(Language::German), [false, true, false, true]);
        assert_eq!(forms(Language::Spanish), [false, true, false, true]);
        assert_eq!(forms(Language::French), [true, true, false, true]);
        assert_eq!(forms(Language::Portuguese), [true, true, false, true]);
        assert_eq!(forms(Language::Japanese), [false; 4]);
    }
}
