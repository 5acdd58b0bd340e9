"""Files of rows as text cells, whatever their format: intake and training read them by the same rules."""
