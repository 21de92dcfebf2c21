use std::collections::BTreeMap;
use std::fmt;

use chrono::TimeDelta;

/// Which metadata keys tie a Stripe object to the app.
///
/// A checkout session's `client_reference_id` always counts as the account, whatever the key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Metadata key that names the app's account (on a customer, subscription or session).
    pub account: String,
    /// Metadata key of a checkout session that names the pack it sells.
    pub pack: String,
}

impl Default for Link {
    /// `account` and `pack`.
    fn default() -> Self {
        Self { account: "account".to_owned(), pack: "pack".to_owned() }
    }
}

/// How the app wants late payment, disputes, refunds and connected accounts to be treated.
///
/// Start from the defaults, so that a later policy does not break the build:
///
/// ```
/// use chrono::TimeDelta;
/// use stripe_billing_core::catalog::Policy;
///
/// let policy = Policy { past_due_grace: TimeDelta::days(7), ..Policy::default() };
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// How long access survives an unpaid renewal, counted from the first failed attempt of the
    /// oldest unpaid renewal. Default three days; zero ends access at once.
    pub past_due_grace: TimeDelta,
    /// What an open dispute does. Default [`OnDispute::FreezeCredits`].
    pub on_dispute: OnDispute,
    /// What a full refund does to access. Default [`OnFullRefund::KeepAccess`].
    pub on_full_refund: OnFullRefund,
    /// What happens to clawed back credits that are spent already. Default
    /// [`CreditResidual::Debt`].
    pub credit_residual: CreditResidual,
    /// What happens to events of connected accounts. Default [`ConnectedAccounts::Ignore`].
    pub connected_accounts: ConnectedAccounts,
    /// How long the credits of a period outlast it, because the renewal is invoiced and paid a while
    /// after; the renewal ends them. Default 72 hours.
    pub renewal_grace: TimeDelta,
    /// What an upgrade within a period grants. Default [`UpgradeCredits::AtRenewal`].
    pub upgrade_credits: UpgradeCredits,
    /// From which balance on credits are low, by unit. A unit that is not here never warns.
    pub credits_low: BTreeMap<String, i64>,
    /// Who pays for work on a feature where a member and a team are named, by feature. Default
    /// [`CreditsFrom::MemberFirst`].
    pub credits_from: BTreeMap<String, CreditsFrom>,
    /// Whether customers are reminded of renewals that failed. Default [`Dunning::Standard`].
    pub dunning: Dunning,
    /// On which days after the first failed attempt; ascending. Default 3, 7 and 12.
    pub dunning_days: Vec<u16>,
    /// At which hours customers are reminded. Default [`DunningHours::Daytime`].
    pub dunning_hours: DunningHours,
    /// How many notifications ([`NoticeKind::OPTIONAL`](crate::notice::NoticeKind::OPTIONAL)) a customer
    /// is told within any 24 hours at most, from 1 to 1,000; more of them wait. Default 3.
    pub notifications_per_day: u16,
    /// Which rules an account has to pass before a checkout is opened, and is judged by when payments
    /// fail, checkouts end, or a warning or a dispute arrives. Default [`Fraud::Off`].
    pub fraud: Fraud,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            past_due_grace: TimeDelta::days(3),
            on_dispute: OnDispute::default(),
            on_full_refund: OnFullRefund::default(),
            credit_residual: CreditResidual::default(),
            connected_accounts: ConnectedAccounts::default(),
            renewal_grace: TimeDelta::hours(72),
            upgrade_credits: UpgradeCredits::default(),
            credits_low: BTreeMap::new(),
            credits_from: BTreeMap::new(),
            dunning: Dunning::default(),
            dunning_days: vec![3, 7, 12],
            dunning_hours: DunningHours::default(),
            notifications_per_day: 3,
            fraud: Fraud::default(),
        }
    }
}

/// A choice that the catalog file makes by a word.
pub(super) trait Word: Copy + Sized + 'static {
    /// Every word with its meaning.
    const WORDS: &'static [(&'static str, Self)];
}

macro_rules! words {
    ($($(#[$about:meta])* $name:ident { $($(#[$docs:meta])* $variant:ident = $word:literal,)+ })+) => {$(
        $(#[$about])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub enum $name { $($(#[$docs])* $variant,)+ }

        impl $name {
            /// The word the catalog file uses.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)+ }
            }
        }

        impl Word for $name {
            const WORDS: &'static [(&'static str, Self)] = &[$(($word, Self::$variant),)+];
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    )+};
}

words! {
    /// What an open dispute does.
    OnDispute {
        /// The credits of the disputed payment are frozen; access stays.
        #[default]
        FreezeCredits = "freeze_credits",
        /// Access ends at once as well; a dispute won restores it.
        RevokeAccess = "revoke_access",
    }

    /// What the full refund of a subscription payment does to access.
    OnFullRefund {
        /// Access stays for as long as the subscription grants it.
        #[default]
        KeepAccess = "keep_access",
        /// Access ends at once.
        RevokeAccess = "revoke_access",
    }

    /// What happens to the part of clawed back credits that is spent already.
    CreditResidual {
        /// It becomes debt, which the next credits pay.
        #[default]
        Debt = "debt",
        /// It is forgiven; the balance stops at zero.
        WriteOff = "write_off",
    }

    /// What an upgrade, or a larger quantity, within a period grants.
    UpgradeCredits {
        /// Nothing: the next period's allowance is the new one.
        #[default]
        AtRenewal = "at_renewal",
        /// Its share of the rest of the period, once its invoice is paid; never more in a period than
        /// its parts entitle to, however often the plan goes up and down.
        Prorated = "prorated",
    }

    /// Who pays for work on a feature where a member and a team are named. One of them pays all of it.
    CreditsFrom {
        /// The member, and the team where the member has not enough.
        #[default]
        MemberFirst = "member_first",
        /// The team, and the member where the team has not enough.
        TeamFirst = "team_first",
        /// The member only.
        Member = "member",
        /// The team only.
        Team = "team",
    }
}

words! {
    /// Whether customers are reminded of renewals that failed.
    Dunning {
        /// On the policy's days, and once before access ends.
        #[default]
        Standard = "standard",
        /// They are told of each failed attempt, and of nothing else.
        Off = "off",
    }

    /// At which hours customers are reminded. The first word and the last one never wait.
    DunningHours {
        /// From 08:00 to 20:00 by the clock of the customer, where its metadata names it
        /// ([`TIME_ZONE_KEY`](crate::dunning::TIME_ZONE_KEY)); at any hour where it does not.
        #[default]
        Daytime = "daytime",
        /// At any hour.
        Any = "any",
    }

    /// Which rules accounts are judged by.
    Fraud {
        /// The app's own, if it has any.
        #[default]
        Off = "off",
        /// [`StandardRules`](crate::fraud::StandardRules) as well.
        Standard = "standard",
    }

    /// What happens to events of connected accounts (Stripe Connect).
    ConnectedAccounts {
        /// They are stored and not applied.
        #[default]
        Ignore = "ignore",
        /// They are applied, each connected account apart from every other.
        Separate = "separate",
    }
}
