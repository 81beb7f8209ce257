//! The oldest Redis that is promised, and Valkey: what may differ from one make to another.

use super::{cluster, doubt, restart, rules, sentinels, start};
use crate::support::redis::Make;

/// Tests of each of both.
macro_rules! on_both {
    ($($name:ident: $body:path,)*) => {
        mod redis_6 {
            use super::*;
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                $body(Make::Redis6).await;
            })*
        }

        mod valkey {
            use super::*;
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                $body(Make::Valkey).await;
            })*
        }
    };
}

on_both! {
    two_connections_keep_every_rule: rules::two_connections_to,
    what_was_acknowledged_survives_kill_9_of_the_server: restart::killed_again_and_again,
    what_it_cannot_do_now_is_unavailable: restart::full_or_alone,
    lost_scripts_are_given_again: doubt::lost_scripts,
    who_lacks_one_permission_is_told: start::lacking_permissions,
    a_replica_is_refused: start::replicas,
    what_may_lose_acknowledged_writes_is_warned_of: start::warnings,
    two_handles_keep_every_rule_in_a_cluster: cluster::two_handles,
    a_cluster_is_no_single_server: cluster::no_single_server,
    a_primary_that_dies_is_replaced: sentinels::a_primary_dies,
    what_is_no_sentinel_is_told: sentinels::no_sentinel,
}
