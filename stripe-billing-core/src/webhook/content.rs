use serde::Deserialize;
use serde_json::Value;

/// Whether two bodies of one event id say the same: its type and its data, whatever counts of
/// pending deliveries and the like say.
pub fn same_content(a: &[u8], b: &[u8]) -> bool {
    #[derive(Deserialize, PartialEq)]
    struct Content {
        #[serde(rename = "type")]
        event_type: Value,
        #[serde(default)]
        data: Value,
    }
    let read = |body| serde_json::from_slice::<Content>(body).ok();
    a == b || read(a).is_some_and(|a| Some(a) == read(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_type_and_data_count() {
        let body =
            br#"{"id":"evt_1","type":"a","data":{"object":{"id":"x"}},"pending_webhooks":1}"#;
        let fewer =
            br#"{"data":{"object":{"id":"x"}},"id":"evt_1","type":"a","pending_webhooks":0}"#;
        let other =
            br#"{"id":"evt_1","type":"a","data":{"object":{"id":"y"}},"pending_webhooks":1}"#;
        assert!(same_content(body, fewer));
        assert!(!same_content(body, other));
        assert!(!same_content(body, b"not json"));
        assert!(same_content(b"not json", b"not json"));
    }
}
