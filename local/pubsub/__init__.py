"""Pub/Sub on one machine, for the real client library: topics, subscriptions, filters, push, retries, dead letters."""
