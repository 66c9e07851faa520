"""The optional C kernel; everything else is declared in pyproject.toml.

Where it cannot be compiled the install goes on without it, and mstore.codec.twin takes over.
"""

from setuptools import Extension, setup

setup(
    ext_modules=[
        Extension(
            "mstore.codec._kernel",
            sources=["mstore/codec/csrc/module.c"],
            extra_compile_args=["-O3"],
            py_limited_api=True,
            optional=True,
        )
    ],
    options={"bdist_wheel": {"py_limited_api": "cp311"}},
)
