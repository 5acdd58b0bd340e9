"""Serin on Google Cloud: the plan that follows from the wiring, and its execution. Standard library only."""
