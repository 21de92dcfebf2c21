//! What goes wrong with an event.

use bytes::Bytes;
use serde_json::{Map, Number, Value, json};

use crate::choices::Choices;
use crate::seeds::{Seeds, seeds};

/// Up to eight events, most of one history, mutated; bodies as they are posted.
pub(crate) fn bodies(choices: &mut Choices<'_>) -> Vec<Bytes> {
    let seeds = seeds();
    let count = 1 + choices.below(8);
    let history = choices.pick(&seeds.histories);
    let mut next = choices.below(history.len());
    (0..count)
        .map(|index| {
            let event = if choices.one_in(6) {
                let other = choices.pick(&seeds.histories);
                choices.pick(other)
            } else {
                next = (next + usize::from(choices.below(8) != 7)) % history.len();
                &history[next]
            };
            body(event, index, choices, seeds)
        })
        .collect()
}

/// One event, mutated, as text.
fn body(event: &Value, index: usize, choices: &mut Choices<'_>, seeds: &Seeds) -> Bytes {
    let mut event = event.clone();
    if choices.one_in(3) {
        // Another event of the same content, beside those that come twice.
        event["id"] = json!(format!("evt_case_{index}"));
    }
    for _ in 0..choices.below(7) {
        mutate(&mut event, choices, seeds);
    }
    let mut text = event.to_string();
    if choices.one_in(8) {
        text = with_twice_named_key(&text, choices, seeds);
    }
    let mut bytes = text.into_bytes();
    if choices.one_in(24) {
        let at = choices.below(bytes.len());
        match choices.below(3) {
            0 => bytes.truncate(at),
            1 => bytes[at] = u8::try_from(choices.below(256)).unwrap_or(0),
            _ => {
                bytes.remove(at);
            }
        }
    }
    bytes.into()
}

/// A key that stands in an object a second time, with another value.
fn with_twice_named_key(text: &str, choices: &mut Choices<'_>, seeds: &Seeds) -> String {
    let objects: Vec<usize> = text.match_indices("{\"").map(|(at, _)| at + 1).collect();
    let Some(at) = objects.get(choices.below(objects.len())) else { return text.to_owned() };
    let key = match text[*at + 1..].split_once('"') {
        Some((key, _)) if choices.one_in(2) => key.to_owned(),
        _ => choices.pick(&seeds.keys).clone(),
    };
    let value = odd(choices, seeds);
    format!("{}{}:{value},{}", &text[..*at], json!(key), &text[*at..])
}

/// Where the search for a value to mutate begins.
fn root<'a>(event: &'a mut Value, choices: &mut Choices<'_>) -> &'a mut Value {
    let pointer = match choices.below(8) {
        0 => "",
        1 => "/data",
        2 => "/data/previous_attributes",
        _ => "/data/object",
    };
    if event.pointer(pointer).is_some() {
        return event.pointer_mut(pointer).expect("it is there");
    }
    event
}

fn mutate(event: &mut Value, choices: &mut Choices<'_>, seeds: &Seeds) {
    if choices.one_in(6) {
        return of_event(event, choices, seeds);
    }
    let mut place = root(event, choices);
    // Down to some value; objects and arrays on the way are mutated less often than leaves.
    for _ in 0..8 {
        if choices.one_in(5) {
            break;
        }
        let children = match &*place {
            Value::Object(map) => map.len(),
            Value::Array(list) => list.len(),
            _ => 0,
        };
        if children == 0 {
            break;
        }
        let at = choices.below(children);
        place = match place {
            Value::Object(map) => map.values_mut().nth(at).expect("counted"),
            Value::Array(list) => &mut list[at],
            _ => break,
        };
    }
    let_it_go_wrong(place, choices, seeds);
}

fn let_it_go_wrong(place: &mut Value, choices: &mut Choices<'_>, seeds: &Seeds) {
    match place {
        Value::Object(map) => of_object(map, choices, seeds),
        Value::Array(list) => match choices.below(4) {
            0 => list.clear(),
            1 => {
                let copies = list.clone();
                list.extend(copies);
            }
            2 => list.push(odd(choices, seeds)),
            _ => *place = odd(choices, seeds),
        },
        Value::String(text) => {
            *place = match choices.below(6) {
                0 => json!({"id": text.clone(), "object": choices.pick(&seeds.kinds)}),
                1 => json!(choices.pick(&seeds.ids)),
                2 => json!(choices.pick(&seeds.statuses)),
                3 => json!(format!("{text}\0")),
                4 => Value::Null,
                _ => odd(choices, seeds),
            };
        }
        Value::Number(number) => *place = other_number(number, choices, seeds),
        _ => *place = odd(choices, seeds),
    }
}

fn of_object(map: &mut Map<String, Value>, choices: &mut Choices<'_>, seeds: &Seeds) {
    let at = choices.below(map.len());
    let own = map.keys().nth(at).cloned().unwrap_or_default();
    match choices.below(7) {
        0 => {
            map.remove(&own);
        }
        1 => {
            let value = odd(choices, seeds);
            map.insert(own, value);
        }
        2 => {
            let (key, value) = (choices.pick(&seeds.keys).clone(), odd(choices, seeds));
            map.insert(key, value);
        }
        3 => {
            // The same value under another name.
            let value = map.get(&own).cloned().unwrap_or_default();
            map.insert(choices.pick(&seeds.keys).clone(), value);
        }
        4 => {
            map.insert("status".to_owned(), json!(choices.pick(&seeds.statuses)));
        }
        5 => {
            // From another event of Stripe's.
            let other = choices.pick(&seeds.histories);
            let other = &choices.pick(other)["data"]["object"];
            if let Some(value) = other.get(&own) {
                map.insert(own, value.clone());
            }
        }
        _ => {
            // Collapsed: the object by its id.
            let id = map.get("id").cloned().unwrap_or_default();
            map.clear();
            map.insert("id".to_owned(), id);
        }
    }
}

/// What only events have.
fn of_event(event: &mut Value, choices: &mut Choices<'_>, seeds: &Seeds) {
    match choices.below(8) {
        0 | 1 => event["type"] = json!(choices.pick(&seeds.types)),
        2 => {
            let number = Number::from(event["created"].as_i64().unwrap_or_default());
            event["created"] = other_number(&number, choices, seeds);
        }
        3 => event["livemode"] = json!(choices.one_in(2)),
        4 => event["account"] = json!(choices.pick(&["acct_1", "", "\0", "acct_2"])),
        5 => {
            // Another state before the event.
            let mut before = Map::new();
            if let Some(object) = event["data"]["object"].as_object() {
                for _ in 0..1 + choices.below(4) {
                    let at = choices.below(object.len());
                    if let Some((key, value)) = object.iter().nth(at) {
                        let mut value = value.clone();
                        let_it_go_wrong(&mut value, choices, seeds);
                        before.insert(key.clone(), value);
                    }
                }
            }
            if event["data"].is_object() {
                event["data"]["previous_attributes"] = before.into();
            }
        }
        6 => {
            let kind = json!(choices.pick(&seeds.kinds));
            if event["data"]["object"].is_object() {
                event["data"]["object"]["object"] = kind;
            }
        }
        _ => {
            // Another object under the same type.
            let other = choices.pick(&seeds.histories);
            let object = choices.pick(other)["data"]["object"].clone();
            if event["data"].is_object() {
                event["data"]["object"] = object;
            }
        }
    }
}

fn other_number(number: &Number, choices: &mut Choices<'_>, seeds: &Seeds) -> Value {
    let by = [1, -1, 86_400, -86_400, 31 * 86_400, -31 * 86_400, 1_000_000];
    match (number.as_i64(), choices.below(3)) {
        (Some(value), 0) => json!(value.saturating_add(*choices.pick(&by))),
        (Some(value), 1) => json!(value.saturating_neg()),
        _ => odd(choices, seeds),
    }
}

/// A value that does not belong here, whatever here is.
fn odd(choices: &mut Choices<'_>, seeds: &Seeds) -> Value {
    match choices.below(20) {
        0 => Value::Null,
        1 => json!(true),
        2 => json!([]),
        3 => json!({}),
        4 => json!(""),
        5 => json!("\0"),
        6 => json!("x".repeat([255, 256, 300, 3_000, 70_000][choices.below(5)])),
        7 => json!("\u{1f980}\u{202e}\"\\'; DROP TABLE billing_events; --"),
        8 => json!(0.5),
        9 => json!(1e308),
        10 => json!(u64::MAX),
        11 => json!([i64::MAX, i64::MIN, i64::MAX - 1, i64::MIN + 1][choices.below(4)]),
        12 => json!(
            [0, -1, 1, 4_102_444_799_i64, 4_102_444_800_i64, 253_402_300_800_i64][choices.below(6)]
        ),
        13 => json!("9223372036854775807"),
        14 => json!(choices.pick(&seeds.ids)),
        15 => json!({"id": choices.pick(&seeds.ids)}),
        16 => json!(choices.pick(&seeds.statuses)),
        17 => json!({"object": "list", "data": [null, 1, "x", {}], "has_more": true}),
        18 => {
            let other = choices.pick(&seeds.histories);
            choices.pick(other)["data"]["object"].clone()
        }
        _ => {
            // On both sides of what the reader follows.
            let mut nested = json!(choices.pick(&seeds.ids));
            for level in 0..[4, 100, 120, 130, 400][choices.below(5)] {
                // Moved, not by `json!`, which copies what it is given.
                nested = match level % 2 {
                    0 => Value::Array(vec![nested]),
                    _ => Value::Object(Map::from_iter([("data".to_owned(), nested)])),
                };
            }
            nested
        }
    }
}
