"""Cloud Scheduler, as far as Serin uses it: one job that publishes a tick."""
