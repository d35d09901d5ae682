"""PythonDriver: what a runtime that has Python only adds to the harness.

Imports the standard library alone: what is imported here is in the memory that is measured. A
runtime's ``driver.py`` adds this folder to ``sys.path``, derives from :class:`PythonDriver`, and
calls :func:`measure`; it runs as ``python -I driver.py --request JSON``.
"""

from __future__ import annotations

import ctypes
import json
import os
import platform
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, NoReturn

_TYPES = (
    "float32 float64 float16 int64 int32 int16 int8 uint32 uint8 bool".split()
)  # in the order of driver.h
_OUT_OF_MEMORY = -1
_OTHER = 0


class Tensor(ctypes.Structure):
    """``tensor`` of driver.h."""

    _fields_ = (("type", ctypes.c_int), ("bytes", ctypes.c_size_t), ("data", ctypes.c_void_p))


_TENSOR = ctypes.POINTER(Tensor)
_SIGNATURES = (
    ("open", ctypes.CFUNCTYPE(ctypes.c_void_p)),
    ("load", ctypes.CFUNCTYPE(None)),
    ("place", ctypes.CFUNCTYPE(None)),
    ("prepare", ctypes.CFUNCTYPE(None)),
    ("placed", ctypes.CFUNCTYPE(ctypes.c_void_p)),
    ("input", ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int, _TENSOR)),
    ("output", ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int, _TENSOR)),
    ("run", ctypes.CFUNCTYPE(ctypes.c_int)),
    ("profile", ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_long)),
    ("close", ctypes.CFUNCTYPE(None)),
)


class _Callbacks(ctypes.Structure):
    _fields_ = _SIGNATURES


class Refused(Exception):  # noqa: N818  # it says what happened
    """The runtime refused; the text is for people.

    Attributes:
        is_memory: Whether memory ran out.
    """

    def __init__(self, words: str, *, is_memory: bool = False) -> None:
        super().__init__(words)
        self.is_memory = is_memory


class PythonDriver(ABC):
    """Ten steps, in the order in which the harness takes them; each may raise :class:`Refused`.

    Attributes:
        request: What was asked for, see ``request.c``; further members are the runtime's own.
    """

    def __init__(self, request: dict[str, Any]) -> None:
        self.request = request

    @abstractmethod
    def open(self) -> str:
        """Import the runtime; its version."""

    def load(self) -> None:  # noqa: B027 - not every runtime has the step
        """Open the model."""

    def place(self) -> None:  # noqa: B027 - not every runtime has the step
        """Take in what runs where."""

    def prepare(self) -> None:  # noqa: B027 - not every runtime has the step
        """Make it ready to run."""

    def placed(self) -> dict[str, Any]:
        """Members of the answer's line ``prepared``."""
        return {}

    @abstractmethod
    def input(self, i: int) -> tuple[str, int] | None:
        """Type and bytes of an input; None where there is none."""

    @abstractmethod
    def set_input(self, i: int, content: memoryview) -> None:
        """Take an input's content, which stays where it is."""

    @abstractmethod
    def output(self, i: int) -> tuple[str, memoryview | None] | None:
        """Type and, after a run, content of an output; None where there is no i-th."""

    @abstractmethod
    def run(self) -> None:
        """Infer once."""

    @abstractmethod
    def profile(self, runs: int) -> dict[str, Any]:
        """Members of the answer's line ``profiled``."""


def measure(driver_class: Callable[[dict[str, Any]], PythonDriver]) -> NoReturn:
    """Measure what the command line asks for."""
    words = sys.argv[1:]
    folder = os.path.join(os.path.dirname(os.path.abspath(__file__)), "bin")  # noqa: PTH100, PTH118, PTH120
    harness = ctypes.PyDLL(os.path.join(folder, f"harness-{platform.machine()}.so"))  # noqa: PTH118
    # Starts this program anew where addresses are not as they are to be.
    harness.set_addresses(_texts(sys.orig_argv))
    given = words[words.index("--request") + 1] if "--request" in words[:-1] else "{}"
    if not given.startswith("{"):
        with open(given, encoding="utf-8") as file:  # noqa: PTH123
            given = file.read()
    driver = driver_class(json.loads(given))
    steps = _Steps(harness, driver)
    callbacks = _Callbacks(*(kind(getattr(steps, name)) for name, kind in _SIGNATURES))
    harness.set_callbacks(ctypes.byref(callbacks))
    arguments = _texts(["driver", *words])
    harness.main(len(words) + 1, arguments)
    os._exit(0)


def _texts(words: list[str]) -> Any:
    return (ctypes.c_char_p * (len(words) + 1))(*(os.fsencode(w) for w in words), None)


class _Steps:
    """The driver's steps as the harness calls them."""

    def __init__(self, harness: Any, driver: PythonDriver) -> None:
        self._harness = harness
        self._driver = driver
        self._kept: list[Any] = []

    def _do(self, stage: str, step: Callable[..., Any], *arguments: Any) -> Any:
        try:
            return step(*arguments)
        except MemoryError:
            self._fail(stage, "memory ran out", _OUT_OF_MEMORY)
        except Refused as error:
            self._fail(stage, str(error), _OUT_OF_MEMORY if error.is_memory else _OTHER)
        except BaseException as error:  # noqa: BLE001  # it would be lost in the harness
            self._fail(stage, f"{type(error).__name__}: {error}", _OTHER)

    def _fail(self, stage: str, words: str, status: int) -> NoReturn:
        print(words, file=sys.stderr, flush=True)
        self._harness.fail(stage.encode(), status)
        os._exit(1)

    def _text(self, text: str) -> int:
        buffer = ctypes.create_string_buffer(text.encode())
        self._kept.append(buffer)
        return ctypes.addressof(buffer)

    def _members(self, members: dict[str, Any]) -> int:
        return self._text(f", {json.dumps(members)[1:-1]}" if members else "")

    def open(self) -> int:
        return self._text(self._do("open_library", self._driver.open))

    def load(self) -> None:
        self._do("load", self._driver.load)

    def place(self) -> None:
        self._do("place", self._driver.place)

    def prepare(self) -> None:
        self._do("prepare", self._driver.prepare)

    def placed(self) -> int:
        return self._members(self._do("prepare", self._driver.placed))

    def input(self, i: int, tensor: Any) -> int:
        there = self._do("inputs", self._driver.input, i)
        if there is None:
            return 0
        if not tensor[0].data:
            tensor[0].type, tensor[0].bytes = _TYPES.index(there[0]), there[1]
            return 1
        room = (ctypes.c_char * tensor[0].bytes).from_address(tensor[0].data)
        self._do("inputs", self._driver.set_input, i, memoryview(room).cast("B"))
        return 1

    def output(self, i: int, tensor: Any) -> int:
        there = self._do("outputs", self._driver.output, i)
        if there is None:
            return 0
        kind, content = there
        tensor[0].type, tensor[0].bytes, tensor[0].data = _TYPES.index(kind), 0, None
        if content is not None:
            self._kept.append(content)
            tensor[0].bytes = content.nbytes
            tensor[0].data = ctypes.addressof(ctypes.c_char.from_buffer(content))
        return 1

    def run(self) -> int:
        try:
            self._driver.run()
        except Refused as error:
            print(error, file=sys.stderr, flush=True)
            return _OUT_OF_MEMORY if error.is_memory else 1
        except MemoryError:
            return _OUT_OF_MEMORY
        except BaseException as error:  # noqa: BLE001  # it would be lost in the harness
            print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
            return 1
        return 0

    def profile(self, runs: int) -> int:
        return self._members(self._do("profile", self._driver.profile, runs))

    def close(self) -> None:
        sys.stderr.flush()
        os._exit(0)
