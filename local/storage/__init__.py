"""Cloud Storage's JSON API on one machine, as far as Serin and its documentation use it.

wire      app → routes → buckets_wire, objects_wire, uploads_wire, notifications_wire (bytes in, answers out)
state     buckets, objects, listing, uploads, notifications, outbox              (one SQLite file, one transaction each)
bytes     bodies                                                                 (files with names of our own)
out       delivery                                                               (the outbox to Pub/Sub, at least once)
refusals  errors                                                                 (Google's words for every no)
"""

from local.storage.server import Server, running

__all__ = ["Server", "running"]
