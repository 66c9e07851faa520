"""The optional C kernel; everything else is declared in pyproject.toml.

Where it cannot be compiled the install goes on without it, and mstore.codec.twin takes over.
"""

from glob import glob

from setuptools import Extension, setup
from setuptools.command.sdist import sdist


class SourceDistribution(sdist):
    """setuptools adds tests/test*.py, three of ours, which cannot run without the others."""

    def make_distribution(self) -> None:
        """Pack all but tests."""
        self.filelist.files = [name for name in self.filelist.files if not name.startswith("tests/")]
        super().make_distribution()


setup(
    cmdclass={"sdist": SourceDistribution},
    ext_modules=[
        Extension(
            "mstore.codec._kernel",
            sources=sorted(glob("mstore/codec/csrc/*.c")),
            # Headers go into the source distribution, and a change to one rebuilds the kernel.
            depends=sorted(glob("mstore/codec/csrc/*.h")),
            # Hidden: calls from one source file to another need no look-up at run time.
            extra_compile_args=["-O3", "-fvisibility=hidden"],
            py_limited_api=True,
            optional=True,
        )
    ],
    exclude_package_data={"mstore.codec": ["csrc/*"], "mstore.codec.csrc": ["*"]},
    options={"bdist_wheel": {"py_limited_api": "cp311"}},
)
