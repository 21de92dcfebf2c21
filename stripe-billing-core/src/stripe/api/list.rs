use serde_json::Value;

use super::{StripeError, StripeErrorKind};

/// Reads one object by its id.
///
/// ```
/// use stripe_billing_core::stripe::Retrieve;
///
/// let request = Retrieve::new("cs_test_1").with_expand("line_items");
/// assert_eq!(request.expand, ["line_items"]);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Retrieve {
    /// The object's id.
    pub id: String,
    /// Paths of the fields that Stripe shall answer as whole objects.
    pub expand: Vec<String>,
}

impl Retrieve {
    /// Asks for the object with this id.
    pub fn new(id: impl Into<String>) -> Self {
        Self { id: id.into(), expand: Vec::new() }
    }

    /// Also asks for the object behind a field, for instance `latest_invoice` or `line_items`.
    ///
    /// The expanded object is in the answer's `raw`; typed id fields read it as its id.
    #[must_use]
    pub fn with_expand(mut self, path: impl Into<String>) -> Self {
        self.expand.push(path.into());
        self
    }
}

/// One page of a list, newest first.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct List<T> {
    /// The objects of this page.
    pub data: Vec<T>,
    /// Whether there are more in the direction that was paged. Ask for them with the last id of
    /// this page in `starting_after` (or the first one in `ending_before`).
    pub has_more: bool,
}

impl<T> List<T> {
    /// A page, for a fake.
    pub fn new(data: Vec<T>, has_more: bool) -> Self {
        Self { data, has_more }
    }
}

impl<T> TryFrom<Value> for List<T>
where
    T: TryFrom<Value, Error = StripeError>,
{
    type Error = StripeError;

    /// Reads `{"data": [...], "has_more": ...}`.
    ///
    /// # Errors
    ///
    /// [`StripeErrorKind::Decode`] when there is no `data` array or one of its objects is
    /// unreadable: a page with a hole would look complete.
    fn try_from(mut raw: Value) -> Result<Self, StripeError> {
        let has_more = super::json::flag(&raw, "has_more");
        let Some(Value::Array(data)) = raw.get_mut("data").map(Value::take) else {
            let message = "expected a list with a `data` array";
            return Err(StripeError::new(StripeErrorKind::Decode, message));
        };
        let data = data.into_iter().map(T::try_from).collect::<Result<_, _>>()?;
        Ok(Self { data, has_more })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::stripe::Customer;

    #[test]
    fn reads_a_page() {
        let data = json!([{ "id": "cus_1" }, { "id": "cus_2" }]);
        let page = json!({ "object": "list", "data": data, "has_more": true });
        let page = List::<Customer>::try_from(page).unwrap();
        assert!(page.has_more);
        assert_eq!(page.data.iter().map(|c| c.id.as_str()).collect::<Vec<_>>(), ["cus_1", "cus_2"]);
    }

    #[test]
    fn a_page_with_a_hole_is_an_error() {
        for bad in [
            json!({}),
            json!({ "data": {} }),
            json!({ "data": [{ "object": "customer" }] }),
            json!([]),
        ] {
            let error = List::<Customer>::try_from(bad.clone()).unwrap_err();
            assert_eq!(error.kind(), &StripeErrorKind::Decode, "{bad}");
        }
    }
}
