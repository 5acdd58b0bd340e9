"""Google Cloud in memory: the Protocols of the doors, implemented by hand, for tests that run the real functions."""
