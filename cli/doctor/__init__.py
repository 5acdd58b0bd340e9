"""`serin doctor`: what a deployment lacks, found before the first run, each with the command that mends it."""
