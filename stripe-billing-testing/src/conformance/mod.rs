//! Certifies plugins: one case per clause of a trait's contract, named after the clause.
//!
//! A store is certified in ten lines of an integration test:
//!
//! ```
//! use std::sync::Arc;
//! use stripe_billing_core::{MemoryStore, store::Store};
//! use stripe_billing_testing::conformance::Fixture;
//!
//! async fn fixture() -> Option<Fixture> {
//!     let store: Arc<dyn Store> = Arc::new(MemoryStore::new()); // Empty, and this case's own.
//!     Some(Fixture::new(store))
//! }
//!
//! stripe_billing_testing::store_conformance!(fixture);
//! # fn main() {}
//! ```
//!
//! The fixture makes an empty store for every case. It may say `None` where its backend is absent,
//! which skips the case, add a second handle to the same database with [`Fixture::with_other`],
//! so that races run between two nodes, and hand over a guard that cleans up when it is dropped.
//!
//! Cases run on a runtime of their own with four threads, and fail after two minutes. In races a
//! store may answer [`ErrorKind::Conflict`](stripe_billing_core::ErrorKind::Conflict), which says
//! that nothing happened; the suite then asks again.

pub mod adopt;
pub mod backlog;
pub mod cache;
pub mod calls;
pub mod claim;
pub mod commit;
pub mod commit_all;
pub mod inspect;
pub mod ledger;
mod ledger_bench;
pub mod ledger_history;
pub mod ledger_postings;
pub mod ledger_scenarios;
pub mod ledger_streams;
pub mod load;
pub mod maintain;
pub mod notices;
pub mod operate;
pub mod operate_tickets;
pub mod outbox;
pub mod outbox_keys;
pub mod parked;
pub mod receive;
pub(crate) mod sample;
pub mod settle;
pub mod tickets;
pub mod told;

mod dice;
mod race;

use std::any::Any;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use stripe_billing_core::store::Store;

pub(crate) use dice::Dice;

/// What a case runs on: a [`Store`] by default, or a [`Cache`](stripe_billing_core::Cache).
pub struct Fixture<T: ?Sized = dyn Store> {
    node: Arc<T>,
    other: Option<Arc<T>>,
    guard: Option<Box<dyn Any + Send + Sync>>,
}

impl<T: ?Sized> Fixture<T> {
    /// A plugin with nothing in it.
    pub fn new(node: Arc<T>) -> Self {
        Self { node, other: None, guard: None }
    }

    /// With a second handle to the same data, as another node has it.
    #[must_use]
    pub fn with_other(mut self, other: Arc<T>) -> Self {
        self.other = Some(other);
        self
    }

    /// With something to drop when the case is over: a directory, a database.
    #[must_use]
    pub fn with_guard(mut self, guard: impl Any + Send + Sync) -> Self {
        self.guard = Some(Box::new(guard));
        self
    }

    /// The first handle.
    pub fn node(&self) -> &Arc<T> {
        &self.node
    }

    /// The second handle; the first once more where there is none.
    pub fn other(&self) -> &Arc<T> {
        self.other.as_ref().unwrap_or(&self.node)
    }

    /// One of both handles in turn.
    fn turn(&self, number: usize) -> Arc<T> {
        let node = if number.is_multiple_of(2) { self.node() } else { self.other() };
        Arc::clone(node)
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for Fixture<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fixture")
            .field("node", &self.node)
            .field("other", &self.other)
            .finish_non_exhaustive()
    }
}

/// How long a case may take.
const TIME_LIMIT: Duration = Duration::from_secs(120);

/// Random operations take as long as they are asked to be many, and more on a busy machine.
fn time_limit(case: &str) -> Duration {
    let is_asked = std::env::var_os(ledger_streams::STEPS).is_some();
    match case {
        "credit_ledger_answers_as_the_reference_does" if is_asked => TIME_LIMIT * 60,
        "credit_ledger_answers_as_the_reference_does" => TIME_LIMIT * 5,
        _ => TIME_LIMIT,
    }
}

/// Runs a case on what a fixture makes, or says that it is skipped. The macros call this.
///
/// # Panics
/// When the case fails, or takes longer than two minutes.
pub fn run<T, M, C>(case: &str, fixture: M, check: C)
where
    T: ?Sized,
    M: AsyncFnOnce() -> Option<Fixture<T>>,
    C: AsyncFnOnce(&Fixture<T>),
{
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => panic!("{case}: no runtime: {error}"),
    };
    runtime.block_on(async {
        let Some(fixture) = fixture().await else {
            eprintln!("skipped: {case}: its backend is absent");
            return;
        };
        let limit = time_limit(case);
        let checked = tokio::time::timeout(limit, check(&fixture)).await;
        assert!(checked.is_ok(), "{case} took longer than {limit:?}");
    });
}

/// Certifies a store: one test per clause of
/// [`EventStore`](stripe_billing_core::store::EventStore),
/// [`Outbox`](stripe_billing_core::store::Outbox),
/// [`CallStore`](stripe_billing_core::store::CallStore),
/// [`CreditLedger`](stripe_billing_core::store::CreditLedger),
/// [`Inspect`](stripe_billing_core::store::Inspect) and
/// [`Maintain`](stripe_billing_core::store::Maintain). Takes the name of an
/// `async fn() -> Option<Fixture>`; see [`conformance`](crate::conformance).
#[macro_export]
macro_rules! store_conformance {
    ($fixture:expr) => {
        $crate::conformance_cases! { $fixture;
            receive: [
                event_store_1_receive_is_idempotent_by_account_mode_and_id,
                event_store_1_simultaneous_receives_store_one_event,
                event_store_1_other_content_is_flagged_and_delivery_counts_are_not,
                event_store_1_an_event_comes_back_exactly,
                event_store_1_ids_are_compared_exactly,
                event_store_1_a_duplicate_changes_nothing,
            ];
            claim: [
                event_store_2_each_event_goes_to_one_claimer,
                event_store_2_the_longest_due_come_first,
                event_store_2_the_limit_holds_and_nothing_due_is_empty,
                event_store_2_a_lease_that_runs_out_is_due_again,
                event_store_2_each_claim_raises_the_epoch_by_one,
                event_store_2_one_claimer_takes_over,
                event_store_2_a_suspect_is_claimed_alone,
            ];
            load: [
                event_store_3_an_unknown_subject_has_version_0,
                event_store_3_current_records_and_named_ones_are_loaded,
                event_store_3_version_and_records_are_of_one_instant,
                event_store_3_tenants_are_apart,
                event_store_3_ids_are_compared_exactly,
                event_store_3_every_stored_id_is_loaded,
            ];
            commit: [
                event_store_4_everything_is_written_together,
                event_store_4_conflict_if_and_only_if_the_version_moved,
                event_store_4_one_of_simultaneous_commits_is_done,
                event_store_4_a_lost_lease_writes_nothing,
                event_store_4_an_event_is_committed_once,
                event_store_4_records_are_replaced_and_may_stop_being_current,
                event_store_4_a_commit_settles_in_every_way,
                event_store_4_anomalies_are_kept_with_the_event,
            ];
            commit_all: [
                event_store_11_together_is_one_after_the_other,
                event_store_11_tenants_are_apart,
                event_store_11_another_version_is_refused_with_what_follows,
                event_store_11_a_lost_lease_is_refused_with_what_follows,
                event_store_11_another_fact_under_the_key_is_refused,
                event_store_11_simultaneous_writes_count_once,
            ];
            adopt: [
                event_store_8_a_new_name_points_to_its_subject,
                event_store_8_a_name_is_pointed_to_another_subject,
                event_store_8_what_was_known_of_an_id_moves_over,
                event_store_4_conflict_if_an_adopted_ids_version_moved,
                event_store_8_a_lost_lease_adopts_nothing,
                event_store_8_one_of_simultaneous_adoptions_is_done,
                event_store_8_parked_events_that_move_over_are_released,
            ];
            tickets: [
                event_store_9_a_ticket_is_opened_told_closed_and_opened_again,
                event_store_9_a_closing_write_opens_none,
                event_store_9_tickets_are_unique_per_tenant_and_key,
                event_store_9_simultaneous_writes_are_one_ticket,
                event_store_9_the_audit_log_keeps_its_lines,
                inspect_tickets_are_filtered_and_paged,
            ];
            outbox_keys: [
                event_store_5_the_same_fact_is_kept_once,
                event_store_5_another_fact_under_the_key_fails_and_writes_nothing,
                event_store_5_keys_are_unique_per_tenant,
                event_store_5_simultaneous_commits_keep_one_fact,
                event_store_5_notices_are_kept_once,
            ];
            settle: [
                event_store_6_every_settlement_does_what_it_says,
                event_store_6_an_old_epoch_settles_nothing,
                event_store_6_an_event_is_settled_once,
                event_store_6_one_of_simultaneous_settlements_counts,
                event_store_6_effects_are_written_with_it,
                event_store_6_effects_are_all_or_nothing_and_fenced,
            ];
            parked: [
                parked_a_link_releases_its_subjects_events,
                parked_without_the_flag_nothing_is_released,
                parked_a_catalog_releases_what_others_parked,
            ];
            outbox: [
                outbox_a_fact_is_claimed_with_its_subject_and_account,
                outbox_each_fact_goes_to_one_claimer,
                outbox_the_longest_due_come_first,
                outbox_a_lease_that_runs_out_is_due_again,
                outbox_every_delivery_does_what_it_says,
                outbox_an_old_epoch_settles_nothing,
                outbox_the_account_is_that_of_the_claim,
                outbox_an_entry_is_due_at_its_own_time,
                outbox_a_suspect_is_claimed_alone,
                outbox_shadow_entries_are_never_claimed,
            ];
            told: [
                outbox_what_was_told_since_a_time,
                outbox_what_is_under_way_comes_first,
                outbox_what_is_put_off_costs_nothing,
            ];
            calls: [
                call_store_begin_inserts_one_row_whoever_races,
                call_store_begin_returns_the_row_as_it_is,
                call_store_finish_counts_once_and_for_its_generation,
                call_store_restart_opens_the_next_generation,
                call_store_one_of_simultaneous_restarts_counts,
                call_store_keys_are_compared_exactly,
            ];
            inspect: [
                inspect_an_accounts_subjects_in_one_mode_or_both,
                inspect_a_subject_follows_its_link,
                inspect_subjects_carry_current_records_only,
                inspect_events_are_filtered,
                inspect_pages_have_no_gaps_and_no_repeats,
                inspect_stats_count_and_know_when_all_is_at_rest,
                inspect_ids_are_compared_exactly,
                inspect_ping_answers,
                inspect_a_subject_is_found_by_all_of_its_names,
            ];
            backlog: [
                inspect_backlog_counts_what_waits,
                inspect_backlog_counts_reservations_and_debt,
            ];
            notices: [
                inspect_notices_are_counted_by_kind,
            ];
            maintain: [
                inspect_stored_events_are_a_range,
                inspect_events_are_found_by_their_id,
                operate_a_replay_makes_due_what_is_at_rest,
                operate_a_replay_takes_a_range,
                operate_a_replay_goes_on_where_its_limit_ended_it,
                maintain_prune_empties_old_payloads,
                maintain_prune_finds_what_came_to_rest_late,
                maintain_prune_removes_old_attempts,
                maintain_erase_forgets_a_subject,
            ];
            operate: [
                operate_1_a_request_is_carried_out_once,
                operate_1_of_simultaneous_requests_one_counts,
                operate_2_a_verb_fits_a_status_or_changes_nothing,
                operate_2_a_released_lease_is_lost,
                operate_2_a_ticket_stands_where_it_is_ordered,
                operate_3_a_pause_keeps_who_did_it_first,
                operate_5_effects_are_recorded_whole,
                operate_8_another_configuration_takes_up_what_failed_for_it,
                operate_9_attempts_that_failed_are_kept,
            ];
            operate_tickets: [
                operate_4_a_failure_is_known_by_its_key,
                operate_4_failures_are_counted_among_any_number_of_tickets,
                operate_4_a_ticket_is_found_by_its_key,
                operate_6_a_ticket_closes_when_nothing_of_it_fails,
                operate_6_a_dead_message_keeps_its_ticket_open,
                operate_7_ticket_news_are_told_once_each,
            ];
            ledger: [
                credit_ledger_1_simultaneous_reservations_never_hold_more_than_there_is,
                credit_ledger_1_an_account_begins_once,
                credit_ledger_1_nodes_interleave_on_one_account,
                credit_ledger_1_a_node_never_answers_from_the_past,
                credit_ledger_1_a_limit_that_another_node_set_is_kept,
                credit_ledger_2_a_key_that_races_is_used_once,
                credit_ledger_2_a_repetition_is_answered_and_writes_nothing,
                credit_ledger_2_a_repetition_does_not_harm_its_neighbours,
                credit_ledger_2_keys_are_compared_exactly,
                credit_ledger_3_a_lost_answer_is_given_again,
                credit_ledger_4_an_account_is_there_once_something_was_done,
                credit_ledger_4_an_account_is_of_one_instant,
                credit_ledger_4_in_scope_open_only_what_is_over_is_missing,
            ];
            ledger_history: [
                credit_ledger_5_entries_are_read_in_pages_and_filtered,
                credit_ledger_5_an_entry_comes_back_exactly,
                credit_ledger_6_due_accounts_come_the_longest_due_first,
                credit_ledger_6_all_accounts_are_read_in_pages,
                credit_ledger_7_a_low_balance_is_told,
                credit_ledger_7_a_low_balance_that_races_is_told_once,
                credit_ledger_7_what_is_about_to_expire_is_told,
                credit_ledger_8_usage_is_rolled_up_once,
                credit_ledger_8_usage_that_races_is_rolled_up_once,
                credit_ledger_11_a_sound_account_stays_as_it_is,
            ];
            ledger_postings: [
                credit_ledger_9_postings_are_executed_with_the_commit,
                credit_ledger_9_without_the_commit_nothing_is_posted,
                credit_ledger_9_a_refused_posting_is_skipped,
                credit_ledger_9_a_posting_happens_once,
                credit_ledger_12_a_standing_that_changed_refuses,
                credit_ledger_9_a_settlement_posts_too,
                credit_ledger_9_commits_on_the_same_accounts_do_not_lock_up,
            ];
            ledger_streams: [
                credit_ledger_answers_as_the_reference_does,
            ];
            ledger_scenarios: [
                ledger_s1_capture_returns_the_rest_in_one_entry,
                ledger_s2_promotional_then_soonest_expiry_then_the_rest,
                ledger_s3_one_key_spends_once,
                ledger_s4_a_reservation_ends_exactly_at_its_expiry,
                ledger_s5_the_rest_returns_to_the_lots_it_came_from,
                ledger_s6_credits_returned_to_a_lot_that_ran_out_expire,
                ledger_s7_a_full_refund_takes_an_unspent_pack_back,
                ledger_s8_spent_credits_become_debt_and_the_next_grant_repays_it,
                ledger_s9_gentle_writes_spent_credits_off,
                ledger_s10_partial_refunds_add_up_exactly,
                ledger_s11_frozen_credits_do_not_expire_and_get_their_time_back,
                ledger_s12_a_partial_dispute_freezes_its_share,
                ledger_s13_a_refund_that_fails_gives_the_credits_back,
                ledger_s14_a_renewal_carries_over_up_to_its_cap,
                ledger_s15_the_total_carried_over_is_trimmed_at_its_oldest,
                ledger_s16_an_upgrade_adds_the_rest_of_the_period,
                ledger_s17_going_up_and_down_never_gives_more_than_the_period_is_worth,
                ledger_s18_to_annual_closes_the_month_and_drips_from_the_anchor,
                ledger_s19_a_trial_ends_at_its_end,
                ledger_s20_a_member_stays_within_its_limit,
                ledger_s21_an_overdraft_is_a_limit,
                ledger_s22_sixteen_tasks_never_spend_more_than_there_is,
                ledger_s23_a_lot_expires_once,
                ledger_s24_a_clock_slightly_ahead_does_not_delay_a_grant,
                ledger_s25_one_invoice_line_is_one_lot,
                ledger_s26_a_refund_reaches_only_what_it_paid_for,
                ledger_s27_a_late_capture_follows_the_policy,
                ledger_s28_refunds_in_any_order_and_number_take_the_same,
                ledger_s28_a_refund_before_its_grant_ends_the_same,
                ledger_s29_a_refund_while_disputed_takes_frozen_credits,
                ledger_s30_a_refund_cancels_the_months_to_come_first,
                ledger_s31_credits_under_a_reservation_are_owed_until_it_ends,
                ledger_s33_moving_between_two_accounts_keeps_the_sum,
                ledger_s34_a_clock_that_goes_back_changes_nothing_twice,
                ledger_a_spend_is_undone_in_the_lots_it_took_from,
                ledger_statements_add_up_and_balances_can_be_read_in_the_past,
                ledger_a_balance_is_right_before_the_sweep_is_written,
                ledger_debt_is_forgiven_up_to_what_is_owed_and_adjusted_by_entries,
                ledger_an_extension_never_outlives_a_day,
                ledger_withdrawn_months_are_not_clawed_again,
                ledger_a_lot_is_usable_up_to_its_end_and_not_at_it,
            ];
        }
    };
}

/// Certifies a cache: one test per clause of [`Cache`](stripe_billing_core::Cache). Takes the name
/// of an `async fn() -> Option<Fixture<dyn Cache>>`; see [`conformance`](crate::conformance).
#[macro_export]
macro_rules! cache_conformance {
    ($fixture:expr) => {
        $crate::conformance_cases! { $fixture;
            cache: [
                cache_a_hit_is_what_was_put,
                cache_keys_are_compared_exactly,
                cache_1_a_put_after_an_invalidation_is_refused,
                cache_1_a_put_after_a_clear_is_refused,
                cache_1_an_older_version_is_refused,
                cache_1_a_newer_version_is_taken,
                cache_1_racing_loaders_end_with_the_newest,
                cache_1_no_interleaving_answers_older,
                cache_1_no_race_answers_older,
                cache_stats_count_what_happened,
            ];
        }
    };
}

/// One test per case.
#[doc(hidden)]
#[macro_export]
macro_rules! conformance_cases {
    ($fixture:expr; $($area:ident: [$($case:ident,)+];)+) => {
        $($(
            #[test]
            fn $case() {
                let check = $crate::conformance::$area::$case;
                $crate::conformance::run(stringify!($case), $fixture, check);
            }
        )+)+
    };
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_macros_run_every_case() {
        let macros = include_str!("mod.rs");
        let areas = [
            include_str!("adopt.rs"),
            include_str!("cache.rs"),
            include_str!("calls.rs"),
            include_str!("claim.rs"),
            include_str!("commit.rs"),
            include_str!("inspect.rs"),
            include_str!("ledger.rs"),
            include_str!("ledger_history.rs"),
            include_str!("ledger_postings.rs"),
            include_str!("ledger_scenarios.rs"),
            include_str!("ledger_streams.rs"),
            include_str!("load.rs"),
            include_str!("maintain.rs"),
            include_str!("notices.rs"),
            include_str!("operate.rs"),
            include_str!("outbox.rs"),
            include_str!("outbox_keys.rs"),
            include_str!("parked.rs"),
            include_str!("receive.rs"),
            include_str!("settle.rs"),
            include_str!("tickets.rs"),
            include_str!("told.rs"),
        ];
        let mut cases = 0;
        for area in areas {
            for case in area.split("pub async fn ").skip(1) {
                let name = case.split('(').next().unwrap_or_default();
                assert!(macros.contains(&format!(" {name},\n")), "{name} is not run");
                cases += 1;
            }
        }
        assert!(cases > 85, "only {cases} cases were found");
    }
}
