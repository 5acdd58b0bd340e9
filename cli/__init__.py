"""The `serin` command."""
