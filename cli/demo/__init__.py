"""`make demo`: the whole chain on one machine, on real data, told act by act and checked act by act."""
