/// The shape that an API version gives to objects, the oldest first: `shape < Shape::Basil` asks
/// whether it came before the subscription's periods moved onto its items.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Shape {
    /// `2022-11-15`: periods on the subscription, the subscription on the invoice.
    Old,
    /// `2023-10-16`: discounts are a list as well.
    Autumn2023,
    /// `2024-06-20`: the same, with fields that were added since; items carry periods as well.
    OldExtended,
    /// `2024-09-30.acacia`: the first version with a name; refunds that fail have an event.
    Acacia,
    /// `2025-03-31.basil`: periods on the items only, the subscription in the invoice's parent, no
    /// payment on the invoice and no invoice on the payment.
    Basil,
    /// `2025-08-27.basil`: the last of its kind; billing thresholds are back.
    BasilAugust,
    /// `2025-12-15.clover`: flexible billing by default; `customer_account` beside `customer`.
    Clover,
    /// `2026-03-25.dahlia`: decimal quantities on lines; the hosted page has a new name.
    Dahlia,
    /// `2026-09-30.endive`: why a subscription is paused and an invoice uncollectible; refunds name
    /// their customer.
    Endive,
    /// `2026-10-28.endive`: disputes can be appealed.
    #[default]
    New,
}

impl Shape {
    /// Every shape, the oldest first.
    pub const ALL: [Self; 10] = [
        Self::Old,
        Self::Autumn2023,
        Self::OldExtended,
        Self::Acacia,
        Self::Basil,
        Self::BasilAugust,
        Self::Clover,
        Self::Dahlia,
        Self::Endive,
        Self::New,
    ];

    /// The API version as events name it.
    pub fn api_version(self) -> &'static str {
        match self {
            Self::Old => "2022-11-15",
            Self::Autumn2023 => "2023-10-16",
            Self::OldExtended => "2024-06-20",
            Self::Acacia => "2024-09-30.acacia",
            Self::Basil => "2025-03-31.basil",
            Self::BasilAugust => "2025-08-27.basil",
            Self::Clover => "2025-12-15.clover",
            Self::Dahlia => "2026-03-25.dahlia",
            Self::Endive => "2026-09-30.endive",
            Self::New => "2026-10-28.endive",
        }
    }

    /// Before basil, which moved periods, parents and payments.
    pub(super) fn is_old(self) -> bool {
        self < Self::Basil
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_are_ordered_as_stripe_released_them() {
        assert!(Shape::ALL.is_sorted());
        assert!(Shape::ALL.map(Shape::api_version).is_sorted());
        assert_eq!(Shape::ALL.iter().filter(|shape| shape.is_old()).count(), 4);
        assert_eq!(Shape::default(), Shape::New);
    }
}
