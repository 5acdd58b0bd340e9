"""Which images are used: Vertex AI asks no Binary Authorization, so the steps that name one insist on its digest."""

import re

from shared.environment import Environment

_PINNED = re.compile(r"\S+@sha256:[0-9a-f]{64}")


def unpinned(image: str, environment: Environment) -> str:
    """Why an image may not be used in this installation; nothing if it may."""
    if not environment.images_by_digest or _PINNED.fullmatch(image):
        return ""
    return f"the image {image!r} is not named by its digest (IMAGE@sha256:…), and nothing else is run here"
