"""Prints what Serin tells people, as it happens: python examples/subscriber.py PROJECT SUBSCRIPTION"""

import json
import sys

from google.cloud import pubsub_v1


def tell(message: pubsub_v1.subscriber.message.Message) -> None:
    notice = json.loads(message.data)
    print(notice["severity"], notice["model"], notice["title"], *notice.get("why", ()), sep="\n  ", flush=True)
    message.ack()


client = pubsub_v1.SubscriberClient()
client.subscribe(client.subscription_path(sys.argv[1], sys.argv[2]), tell).result()
