use chrono_tz::Tz;

use super::*;

fn all() -> Vec<Words> {
    Language::ALL.into_iter().map(|language| Words::embedded(language).unwrap()).collect()
}

#[test]
fn every_language_says_everything() {
    let all = all();
    let english: BTreeSet<&str> = all[0].keys().collect();
    for words in &all {
        let own: BTreeSet<&str> = words.keys().collect();
        let missing: Vec<_> = english.difference(&own).collect();
        let more: Vec<_> = own.difference(&english).collect();
        assert!(missing.is_empty() && more.is_empty(), "{}: {missing:?} {more:?}", words.language);
        for key in own {
            assert_eq!(words.slots(key), all[0].slots(key), "{}: {key}", words.language);
            assert!(words.has_all_forms(key), "{}: {key}", words.language);
        }
    }
}

#[test]
fn no_text_is_left_in_english() {
    let all = all();
    // Words that are the same by chance, and what is put together from parts.
    let alike = |key: &str| {
        ["date.", "unit.named", "meta.", "card.", "price.", "fact.", "list.", "month."]
            .iter()
            .any(|prefix| key.starts_with(prefix))
    };
    let sample: Values = SLOTS.iter().map(|slot| (*slot, format!("<{slot}>"))).collect();
    for words in &all[1..] {
        for key in words.keys().filter(|key| !alike(key)) {
            let (own, english) = (words.say(key, &sample), all[0].say(key, &sample));
            assert!(own.is_none() || own != english, "{}: {key} is {own:?}", words.language);
        }
    }
}

#[test]
fn days_and_instants_are_in_the_zone() {
    let berlin: Tz = "Europe/Berlin".parse().unwrap();
    // 2026-11-30 23:30 UTC is the first of December in Berlin.
    let shown: Vec<_> =
        all().iter().map(|words| words.day(1_796_081_400, berlin).unwrap()).collect();
    assert_eq!(
        shown,
        [
            "1 December 2026",
            "1. Dezember 2026",
            "1er décembre 2026",
            "1 de diciembre de 2026",
            "1º de dezembro de 2026",
            "2026年12月1日",
        ]
    );
    let shown: Vec<_> =
        all().iter().map(|words| words.instant(1_796_081_400, Tz::UTC).unwrap()).collect();
    assert_eq!(
        shown,
        [
            "30 November 2026, 23:30 UTC",
            "30. November 2026, 23:30 Uhr UTC",
            "30 novembre 2026 à 23:30 UTC",
            "30 de noviembre de 2026, 23:30 UTC",
            "30 de novembro de 2026, 23:30 UTC",
            "2026年11月30日 23:30 UTC",
        ]
    );
    assert_eq!(all()[0].instant(1_796_081_400, berlin).unwrap(), "1 December 2026, 00:30 CET");
    // In summer the zone has another name and the clock another hour.
    assert_eq!(all()[0].instant(1_782_000_000, berlin).unwrap(), "21 June 2026, 02:00 CEST");
    assert_eq!(all()[0].day(i64::MAX, Tz::UTC), None);
}

#[test]
fn of_several_texts_the_first_whose_slots_are_known_is_taken() {
    let mut words = Words { language: Language::English, messages: BTreeMap::new() };
    words.read("a = ['{name} and {amount}', 'only {amount}', 'nothing']", false).unwrap();
    let say = |values: Values| words.say("a", &values).unwrap();
    let (name, amount) = (("name", "Ada".to_owned()), ("amount", "$1".to_owned()));
    assert_eq!(say(Values::from([name.clone(), amount.clone()])), "Ada and $1");
    assert_eq!(say(Values::from([amount])), "only $1");
    assert_eq!(say(Values::from([name])), "nothing");
}

#[test]
fn a_file_may_replace_messages_and_every_mistake_of_it_is_named() {
    let mut words = Words::embedded(Language::English).unwrap();
    words.overlay("[receipt]\nsubject = 'Paid, {name}'").unwrap();
    let ada = Values::from([("name", "Ada".to_owned())]);
    assert_eq!(words.say("receipt.subject", &ada).as_deref(), Some("Paid, Ada"));
    let text = "[receipt]\nsubjekt = 'x'\nsubject = '{nmae}'\nlead = 3\npreheader = '{name'";
    let mistakes = words.overlay(text).unwrap_err();
    assert_eq!(mistakes.len(), 4, "{mistakes:?}");
    for part in
        ["`receipt.subjekt` is no message", "{nmae}", "`receipt.lead` is no text", "without its }"]
    {
        assert!(mistakes.iter().any(|mistake| mistake.contains(part)), "{part}: {mistakes:?}");
    }
    assert!(words.overlay("receipt = [").is_err());
}
