"""The container that trains a challenger, compares it with the champion and exports it."""
