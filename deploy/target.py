"""Where Serin is deployed to, and what differs between installations."""

from dataclasses import dataclass

PUSHER = "serin-push"
TRAINER = "serin-training"
SERVER = "serin-serving"
BUILDER = "serin-build"
REPOSITORY = "serin"


@dataclass(frozen=True)
class Target:
    """A project and a region, with the settings that have a default."""

    project: str
    region: str
    key: str = ""  # a customer-managed key for the buckets
    notify_secret: str = ""  # NAME:VERSION in Secret Manager, holding SERIN_NOTIFY_URLS
    channels_secret: str = ""  # the same, holding SERIN_NOTIFY_CHANNELS
    training_image: str = ""  # by digest; none: built from this folder
    serving_image: str = ""
    buckets: tuple[str, str, str] | None = None  # data, state and artefacts, where they have other names
    base_image: str = "python:3.11-slim"  # what the images are built on; the build resolves its digest
    alert_channels: tuple[str, ...] = ()  # projects/P/notificationChannels/N: who hears the alerts
    binary_authorization: bool = False

    @property
    def data(self) -> str:
        return self.buckets[0] if self.buckets else f"{self.project}-serin-data"

    @property
    def state(self) -> str:
        return self.buckets[1] if self.buckets else f"{self.project}-serin-state"

    @property
    def artefacts(self) -> str:
        return self.buckets[2] if self.buckets else f"{self.project}-serin-artefacts"

    @property
    def builds(self) -> str:
        return builds_bucket(self.project)

    @property
    def secrets(self) -> dict[str, str]:
        """The variables of notify that hold secrets, and where each is kept."""
        named = {"SERIN_NOTIFY_URLS": self.notify_secret, "SERIN_NOTIFY_CHANNELS": self.channels_secret}
        return {name: secret for name, secret in named.items() if secret}

    def account(self, name: str) -> str:
        return f"serviceAccount:{self.email(name)}"

    def email(self, name: str) -> str:
        return f"{name}@{self.project}.iam.gserviceaccount.com"

    def audience(self, function: str) -> str:
        """What a push's token to a function is for: its address at Cloud Functions, known before the function is there.

        The service behind the function takes tokens for that beside those for its own: docs/decisions/push-tokens.md.
        """
        return f"https://{self.region}-{self.project}.cloudfunctions.net/{deployed_name(function)}"

    def image(self, name: str) -> str:
        """An image of ours in the registry, without tag."""
        return f"{self.region}-docker.pkg.dev/{self.project}/{REPOSITORY}/{name}"


def deployed_name(function: str) -> str:
    """A function's name on Google Cloud, which knows no underscores there."""
    return function.replace("_", "-")


def account_of(function: str) -> str:
    """The name of a function's own service account."""
    return f"serin-{deployed_name(function)}"


def builds_bucket(project: str) -> str:
    """The bucket in which a delivery leaves which images it made."""
    return f"{project}-serin-builds"
