"""Where Google's Pub/Sub emulator does otherwise than Pub/Sub itself, which is what ours is measured by.

A test stands here under its name, or under its name and its parameters where only some of them differ; on the emulator
it must fail. docs/local-cloud.md tells the same to people.
"""

from collections.abc import Mapping

OURS = frozenset(
    {
        "test_pubsub_filters",  # the emulator keeps filters and ignores them
        "test_what_is_not_here_says_so_in_googles_form",
        "test_only_this_machine_may_ask",
        "test_a_malformed_publish_is_refused_as_invalid",
        "test_no_request_finds_an_internal_error_and_a_right_one_is_still_answered",
        "test_no_damaged_grpc_request_finds_an_internal_error",
        "test_an_endpoint_that_hangs_up_is_not_hammered_and_gets_everything_in_the_end",
    }
)
"""Modules and tests of what the emulator has not at all, or which would only find its faults."""

_PULLS = "a pull answers at most 100 messages, whatever it asks for"
_WORDS = "it refuses the same in other words"
_PUBLISHES = "it publishes what is beyond Pub/Sub's limits"
_ATTEMPTS = "a push does not carry deliveryAttempt, and no orderingKey"
_LABELS = "an update of labels, or of a field of a field, is refused"
_MAKES = "it takes settings that it does not carry out, or that are beyond Pub/Sub's limits"
_FLOW = "it holds back for a stream what its flow control does not let out, so nobody else gets it"
_SETTING = "test_a_setting_beyond_googles_limits_is_refused"
_LIMITS = "test_a_publish_beyond_googles_limits_is_refused_whole"

DIFFERENCES: Mapping[str, str] = {
    "test_the_official_publisher_with_its_batching_is_served": _PULLS,
    "test_messages_come_in_the_order_of_publishing": _PULLS,
    "test_a_publish_at_googles_limits_is_accepted": _PULLS,
    "test_a_message_given_back_waits_for_the_retry_policy": "the retry policy is for pushes alone",
    "test_wrong_ack_ids_and_deadlines_are_refused": _WORDS,
    "test_the_ack_id_of_one_subscription_does_nothing_to_another": "another subscription's ack id is refused",
    f"{_LIMITS}[messages0-message_count is too small]": _WORDS,
    f"{_LIMITS}[messages1-message_count is too large]": _WORDS,
    **{
        f"{_LIMITS}[messages{place}-{what}]": _PUBLISHES
        for place, what in enumerate(
            ["request_size", "attribute_count", "attribute_key_size", "attribute_key_size", "attribute_value_size",
             "goog", "ordering_key_size"], 4
        )
    },
    "test_a_message_that_failed_too_often_becomes_a_dead_letter": "only what is pushed becomes a dead letter",
    "test_a_push_request_is_wrapped_as_google_wraps_it": _ATTEMPTS,
    "test_a_push_refused_too_often_becomes_a_dead_letter_that_is_pushed_itself": _ATTEMPTS,
    "test_some_answers_acknowledge_and_all_others_do_not[203-False]": "203 acknowledges",
    "test_sixteen_pushes_are_in_flight_and_no_more": "a few pushes of a subscription are in flight, never sixteen",
    "test_connections_are_kept_alive": "a connection for each push",
    "test_a_topic_is_changed_by_its_mask_alone": _LABELS,
    "test_a_subscription_is_changed_by_its_mask_alone": _LABELS,
    "test_a_subscription_gets_googles_defaults": "no default expiration is shown",
    f"{_SETTING}[wanted3]": "a dead-letter topic's name is looked up before it is checked",
    f"{_SETTING}[wanted9]": _MAKES,
    f"{_SETTING}[wanted12]": _MAKES,
    f"{_SETTING}[wanted13]": _MAKES,
    "test_a_dead_letter_topic_must_be_there_when_it_is_named_and_may_go_later": _LABELS,
    "test_what_would_be_ignored_is_refused_as_unimplemented": _MAKES,
    "test_what_is_there_already_is_not_made_again": _WORDS,
    "test_what_is_not_there_is_not_found": _WORDS,
    "test_no_bytes_make_the_server_fail": "bytes that are no request are answered as UNKNOWN",
    "test_a_push_subscription_cannot_be_pulled": "a push subscription can be pulled",
    "test_a_method_that_serin_does_not_use_is_unimplemented_by_its_name": "it has snapshots",
    "test_no_more_messages_are_out_than_the_client_allows": _FLOW,
    "test_no_more_bytes_are_out_than_the_client_allows": _FLOW,
    "test_a_wrong_stream_is_refused": _WORDS,
    "test_a_request_beyond_the_limit_is_refused": _PUBLISHES,
}  # fmt: skip

SLOW = frozenset(
    {
        "test_a_message_that_failed_too_often_becomes_a_dead_letter",
        "test_a_push_refused_too_often_becomes_a_dead_letter_that_is_pushed_itself",
        "test_some_answers_acknowledge_and_all_others_do_not[203-False]",
        "test_sixteen_pushes_are_in_flight_and_no_more",
        "test_a_refused_push_is_repeated_with_exponential_backoff",
        "test_without_its_dead_letter_topic_a_message_is_tried_on",
    }
)
"""On the emulator these wait for ten seconds and more: only `SERIN_EMULATOR=long` runs them."""
