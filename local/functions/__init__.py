"""The functions host: receives pushes for every function and starts a function's own process on its first message."""
