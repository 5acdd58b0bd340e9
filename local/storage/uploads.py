"""Resumable uploads: sessions that outlive connections and processes, because what a 308 confirmed must still be there.

    begin ──► open ──append──► open ──finish──► finished (answers every repetition with the same object)
                └── cancel ──► gone
The bytes lie in sessions/<id>; their length is the state. The object and the end of the session are one commit.
"""

import json
import secrets
import sqlite3
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO

from local.errors import CloudError
from local.storage.attributes import Attributes
from local.storage.bodies import SMALL_LIMIT_BYTES, Content, read_pieces
from local.storage.checksums import ClaimedChecksums, Digest
from local.storage.database import Clock, transaction
from local.storage.errors import upload_not_found, upload_taken_over
from local.storage.names import BucketName, ObjectName, UploadId
from local.storage.objects import Objects
from local.storage.preconditions import Preconditions
from local.storage.stored import StoredObject, decoded_object

# https://cloud.google.com/storage/docs/resumable-uploads: a session lives for a week
_LIFETIME_US = 7 * 24 * 3600 * 1_000_000
_PIECE_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class UploadRequest:
    """All that was said when the session began; `total_bytes` None: not yet known."""

    bucket: BucketName
    name: ObjectName
    attributes: Attributes
    claimed: ClaimedChecksums
    preconditions: Preconditions
    total_bytes: int | None

    def encoded(self) -> str:
        return json.dumps(asdict(self))


def _decoded_request(text: str) -> UploadRequest:
    fields = json.loads(text)
    fields["claimed"] = ClaimedChecksums(**fields["claimed"])
    fields["preconditions"] = Preconditions(**fields["preconditions"])
    return UploadRequest(**fields)


class Session:
    """The bytes of one open upload in this process; a later `Uploads.writer` takes the right to write away."""

    def __init__(self, path: Path, request: UploadRequest) -> None:
        self.request = request
        self.path = path
        self.writer = 0
        self._digest = Digest()
        self._file: BinaryIO = path.open("ab", buffering=0)
        for piece in read_pieces(path, _PIECE_BYTES):
            self._digest.update(piece)

    @property
    def size_bytes(self) -> int:
        return self._digest.size_bytes

    def require_writer(self, writer: int) -> None:
        """CloudError 503 when another request has begun to write since, or the session has ended."""
        if writer != self.writer:
            raise upload_taken_over()

    def append(self, writer: int, chunk: bytes) -> None:
        self.require_writer(writer)
        self._file.write(chunk)
        self._digest.update(chunk)

    def content(self) -> Content:
        checksums = self._digest.checksums()
        if checksums.size_bytes <= SMALL_LIMIT_BYTES:
            return Content(checksums, small=self.path.read_bytes())
        return Content(checksums, path=self.path)

    def close(self) -> None:
        self.writer += 1
        self._file.close()


class Uploads:
    """The upload sessions of all buckets."""

    def __init__(self, folder: Path, connection: sqlite3.Connection, clock: Clock, objects: Objects) -> None:
        self._folder = folder / "sessions"
        self._folder.mkdir(parents=True, exist_ok=True)
        self._connection = connection
        self._clock = clock
        self._objects = objects
        self._sessions: dict[UploadId, Session] = {}

    def begin(self, request: UploadRequest) -> UploadId:
        """A new session; CloudError 412 at once when the precondition is hopeless (it is decided again at the end)."""
        request.preconditions.check_write(self._objects.live(request.bucket, request.name))
        upload_id = UploadId(secrets.token_hex(32))
        sql = "INSERT INTO uploads (id, bucket, created_us, request) VALUES (?, ?, ?, ?)"
        self._connection.execute(sql, (upload_id, request.bucket, self._clock(), request.encoded()))
        return upload_id

    def finished(self, upload_id: UploadId) -> StoredObject | None:
        """The object the session ended with; None while it is open. CloudError 404 when there is no such session."""
        text = self._row(upload_id)["finished"]
        return None if text is None else decoded_object(text)

    def _row(self, upload_id: UploadId) -> sqlite3.Row:
        row: sqlite3.Row | None = self._connection.execute(
            "SELECT request, finished FROM uploads WHERE id = ?", (upload_id,)
        ).fetchone()
        if row is None:
            raise upload_not_found()
        return row

    def open(self, upload_id: UploadId) -> Session:
        session = self._sessions.get(upload_id)
        if session is None:
            request = _decoded_request(self._row(upload_id)["request"])
            session = self._sessions[upload_id] = Session(self._folder / upload_id, request)
        return session

    def finish(self, upload_id: UploadId, session: Session, claimed: ClaimedChecksums) -> StoredObject:
        """The session's bytes as an object. CloudError 400 (checksums) and 412 end the session without one."""
        request = session.request
        try:
            content = session.content()
            claimed.or_else(request.claimed).verify(content.checksums)
            with self._objects.transaction():
                stored = self._objects.insert_inside(
                    request.bucket, request.name, request.attributes, content, request.preconditions
                )
                sql = "UPDATE uploads SET finished = ? WHERE id = ?"
                self._connection.execute(sql, (stored.encoded(), upload_id))
        except CloudError:
            self._end(upload_id)
            raise
        self._forget_bytes(upload_id)
        return stored

    def cancel(self, upload_id: UploadId) -> None:
        self._row(upload_id)
        self._end(upload_id)

    def _end(self, upload_id: UploadId) -> None:
        self._connection.execute("DELETE FROM uploads WHERE id = ?", (upload_id,))
        self._forget_bytes(upload_id)

    def _forget_bytes(self, upload_id: UploadId) -> None:
        session = self._sessions.pop(upload_id, None)
        if session is not None:
            session.close()
        (self._folder / upload_id).unlink(missing_ok=True)

    def sweep(self) -> None:
        """Forget sessions past their week, and bytes without an open session. Only before the first request."""
        with transaction(self._connection):
            self._connection.execute("DELETE FROM uploads WHERE created_us < ?", (self._clock() - _LIFETIME_US,))
        rows = self._connection.execute("SELECT id FROM uploads WHERE finished IS NULL")
        is_open = {row["id"] for row in rows}
        for path in self._folder.iterdir():
            if path.name not in is_open:
                path.unlink()

    def close(self) -> None:
        for session in self._sessions.values():
            session.close()
