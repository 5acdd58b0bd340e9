"""What Serin costs, measured: `make bench` prints a table per subject and keeps the numbers in build/bench/."""
