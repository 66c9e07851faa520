"""The values that a Repository takes and gives, for annotations.

Importing this imports most of mstore: where start-up counts, do it for types alone.
"""

from __future__ import annotations

from mstore.api.results.status import WorkspaceStatus
from mstore.backend import Activity
from mstore.checkout.execute import CheckoutResult
from mstore.checkout.plan import CheckoutPlan
from mstore.checkout.undo import Undone
from mstore.checkout.undo_plan import UndoPlan
from mstore.commit.fields import CommitFields
from mstore.commit.importing import ImportPlan, ImportResult, PlannedImport
from mstore.commit.options import CommitOptions, CommitResult
from mstore.commit.plan import CommitPlan
from mstore.compare.diff import DiffResult
from mstore.compare.versions import Comparison
from mstore.formats.facts.adapter import AUTO_CLASSES
from mstore.history.branches import Branch
from mstore.history.entry import LogEntry
from mstore.history.log import Log
from mstore.history.query.resolve import AnyRevision, Resolved
from mstore.history.query.revision_grammar import Revision
from mstore.history.show import CommitDetails
from mstore.history.tags import TagEntry
from mstore.history.tensors import Tensor, TensorRef
from mstore.maintain.du import Usage
from mstore.maintain.forget import ForgetPlan, ForgetResult
from mstore.maintain.fsck import FsckResult
from mstore.maintain.gc_plan import GcPlan
from mstore.maintain.gc_run import GcResult
from mstore.maintain.repack import RepackPlan, RepackResult
from mstore.maintain.repair import RepairPlan, RepairResult
from mstore.staging.resume import ResumeResult
from mstore.store import Record
from mstore.workspace import Head

__all__ = [
    "AUTO_CLASSES",
    "Activity",
    "AnyRevision",
    "Branch",
    "CheckoutPlan",
    "CheckoutResult",
    "CommitDetails",
    "CommitFields",
    "CommitOptions",
    "CommitPlan",
    "CommitResult",
    "Comparison",
    "DiffResult",
    "ForgetPlan",
    "ForgetResult",
    "FsckResult",
    "GcPlan",
    "GcResult",
    "Head",
    "ImportPlan",
    "ImportResult",
    "Log",
    "LogEntry",
    "PlannedImport",
    "Record",
    "RepackPlan",
    "RepackResult",
    "RepairPlan",
    "RepairResult",
    "Resolved",
    "ResumeResult",
    "Revision",
    "TagEntry",
    "Tensor",
    "TensorRef",
    "UndoPlan",
    "Undone",
    "Usage",
    "WorkspaceStatus",
]
