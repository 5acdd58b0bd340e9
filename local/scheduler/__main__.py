"""`python -m local.scheduler --pubsub HOST:PORT --topic projects/P/topics/T --seconds S`: a tick, again and again."""

import argparse

import grpc
from google.api_core.exceptions import GoogleAPICallError, RetryError
from google.pubsub_v1 import PubsubMessage
from google.pubsub_v1.services.publisher import PublisherClient
from google.pubsub_v1.services.publisher.transports import PublisherGrpcTransport

from local.service import ending, say_ready

_PUBLISH_SECONDS = 5.0


def main() -> None:
    """Runs until SIGTERM or Ctrl-C; a tick that cannot be published is skipped, as Scheduler skips it."""
    parser = argparse.ArgumentParser(prog="python -m local.scheduler", description=__doc__)
    parser.add_argument("--pubsub", required=True)
    parser.add_argument("--topic", required=True)
    parser.add_argument("--seconds", type=float, default=60.0)
    given = parser.parse_args()
    ended = ending()
    transport = PublisherGrpcTransport(channel=grpc.insecure_channel(given.pubsub))
    publisher = PublisherClient(transport=transport)
    say_ready("scheduler", 0)
    while not ended.wait(given.seconds):
        try:
            publisher.publish(
                topic=given.topic, messages=[PubsubMessage(data=b"{}")], timeout=_PUBLISH_SECONDS, retry=None
            )
        except (GoogleAPICallError, RetryError):
            continue


if __name__ == "__main__":
    main()
