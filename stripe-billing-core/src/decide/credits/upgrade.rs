//! What an upgrade within a period adds to it.

use std::collections::BTreeSet;

use super::Credits;
use crate::ledger::{Command, Grant, LotKind, Segment};
use crate::state::SubscriptionRecord;
use crate::stripe::objects::{Invoice, InvoiceLine};

impl Credits<'_> {
    /// What a larger plan or quantity adds to the rest of a period, once it is paid.
    pub(super) fn upgrade(&mut self, view: &Invoice, line: &InvoiceLine) {
        let sold = line.price.as_deref().and_then(|id| self.terms.catalog.plan_of_price(id));
        let (Some((_, price)), Some(1..)) = (sold, line.amount) else { return };
        let (Some(item), Some(from)) = (line.subscription_item.as_deref(), line.period_start)
        else {
            return;
        };
        let id = line.subscription.as_deref().or(view.subscription.as_deref());
        let Some(record) = self.after.subscriptions().find(|record| Some(record.id()) == id) else {
            return;
        };
        let own = record.latest().and_then(|view| view.items.iter().find(|own| own.id == item));
        let Some((begins, ends)) = own.and_then(|own| Some((own.period_start?, own.period_end?)))
        else {
            return;
        };
        if !(begins..ends).contains(&from) || line.period_end != Some(ends) {
            return;
        }
        let quantity = line.quantity.unwrap_or(1);
        for (unit, amount) in &price.credits {
            let mut segments = self.segments(view, line, record, unit, begins);
            let allowance = amount.saturating_mul(quantity);
            segments.push(Segment { allowance, seconds: ends - from });
            let grant = Grant {
                expires_at: self.outlasted(Some(ends)),
                ..Grant::new(format!("upg:{}", line.id), 1)
                    .of_kind(LotKind::Upgrade)
                    .in_series(item)
                    .in_period(format!("{item}:{begins}"))
                    .paid_with(&view.id, view.amount_paid.unwrap_or(0).max(0))
            };
            self.post(unit, Command::Upgrade { grant, segments });
        }
    }

    /// The allowances of a period up to a change: of the prices that the subscription had, in the
    /// quantity that the change gave up.
    fn segments(
        &self,
        view: &Invoice,
        line: &InvoiceLine,
        record: &SubscriptionRecord,
        unit: &str,
        begins: i64,
    ) -> Vec<Segment> {
        let from = line.period_start.unwrap_or(begins);
        let given_up = view.lines.iter().find(|other| {
            other.proration
                && other.subscription_item == line.subscription_item
                && other.period_start == Some(from)
                && other.amount.is_some_and(|amount| amount < 0)
        });
        let quantity = given_up.or(Some(line)).and_then(|line| line.quantity).unwrap_or(1);
        let allowance = |price: &str| {
            let sold = self.terms.catalog.plan_of_price(price);
            let amount = sold.and_then(|(_, price)| price.credits.get(unit).copied());
            amount.map(|amount| amount.saturating_mul(quantity))
        };
        let of_set = |prices: &BTreeSet<String>| prices.iter().find_map(|it| allowance(it));
        let mut segments = Vec::new();
        let mut since = begins;
        for change in record.price_changes.iter().filter(|it| (begins..from).contains(&it.at)) {
            let allowance = of_set(&change.from).unwrap_or(0);
            segments.push(Segment { allowance, seconds: change.at - since });
            since = change.at;
        }
        let last = given_up.and_then(|line| allowance(line.price.as_deref()?));
        let before = || {
            let change = record.price_changes.iter().find(|change| change.at >= from)?;
            of_set(&change.from)
        };
        let allowance = last.or_else(before).unwrap_or(0);
        segments.push(Segment { allowance, seconds: from - since });
        segments
    }
}
