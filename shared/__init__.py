"""What every function needs: events, ledger, step runner, and the doors to Google Cloud."""
