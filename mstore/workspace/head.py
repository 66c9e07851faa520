"""HEAD: the branch or the commit that a workspace is on."""

from __future__ import annotations

from typing import Any

from mstore.errors import Corrupt, InvalidInput
from mstore.frozen import frozen
from mstore.objects import CommitId
from mstore.store import check_ref_name


@frozen(slots=True)
class Head:
    """HEAD: a branch, or a commit (detached)."""

    branch: str | None = None
    commit: CommitId | None = None

    def to_dict(self) -> dict[str, str]:
        """Return the object that the HEAD file holds."""
        if self.branch is not None:
            return {"branch": self.branch}
        return {"commit": self.commit.hex if self.commit else ""}

    @classmethod
    def from_dict(cls, document: Any, where: str) -> Head:
        """Read it from its JSON object. Raises Corrupt."""
        try:
            if set(document) == {"branch"}:
                return cls(branch=check_ref_name(document["branch"]))
            if set(document) == {"commit"}:
                return cls(commit=CommitId.parse(document["commit"]))
        except (InvalidInput, TypeError) as error:
            raise Corrupt(where, f"cannot be read: {error}") from error
        raise Corrupt(where, "names neither a branch nor a commit")
