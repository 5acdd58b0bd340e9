"""The real handlers in the world in memory, with every interleaving and every fault within a budget."""
