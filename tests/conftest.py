"""Fixtures shared by all tests."""

from __future__ import annotations

import os
import signal
from pathlib import Path

# As the commands do, before NumPy is imported: threads of small matrices wait by spinning.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import pytest
from build_model import build, chain, dense
from devices import missing
from hypothesis import settings
from rooms import ONERT

from pareto_profiler.models import Model

settings.register_profile("default", deadline=None, max_examples=60, print_blob=True)
settings.load_profile("default")

# Shells let what they start in the background ignore interrupts, which is inherited: tests of
# interrupts, run so, would wait for what never comes.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

ROOT = Path(__file__).parent.parent
MODELS = ROOT / "examples" / "models"
DATA = Path(__file__).parent / "data"
MOBILENET_NAMES = [
    "Conv2D",
    "DepthwiseConv2D",
    "BinaryArithmetic",
    "Reduce",
    "FullyConnected",
    "Softmax",
]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let the longest begin first, so that no processor waits for one of them in the end."""
    items.sort(key=lambda item: item.path.name != "test_documentation.py")


@pytest.fixture(scope="session", autouse=True)
def _short_runs(tmp_path_factory: pytest.TempPathFactory) -> None:
    """What is measured here is judged by nobody: a hundredth of the time will do."""
    folder = tmp_path_factory.mktemp("config") / "pareto-profiler"
    folder.mkdir()
    (folder / "targets.toml").write_text("[local.plan]\nrun_time_s = 0.01\n")
    os.environ["XDG_CONFIG_HOME"] = str(folder.parent)


@pytest.fixture(scope="session")
def mobilenet_file() -> Path:
    """MobileNetV2 0.35-96: 65 operations, 6 onert names."""
    return MODELS / "mobilenet_v2_035_96.tflite"


@pytest.fixture(scope="session")
def mobilenet(mobilenet_file: Path) -> Model:
    """The same, read."""
    return ONERT.read(mobilenet_file)


@pytest.fixture
def dense_file(tmp_path: Path) -> Path:
    """Three dense layers: 64 assignments at most, microseconds a run, outputs that tell."""
    path = tmp_path / "dense.tflite"
    path.write_bytes(build(dense()))
    return path


@pytest.fixture
def chain_file(tmp_path: Path) -> Path:
    """Four activations in a row."""
    path = tmp_path / "chain.tflite"
    path.write_bytes(build(chain(4)))
    return path


@pytest.fixture
def software_vulkan(monkeypatch: pytest.MonkeyPatch) -> None:
    """The Vulkan device in software that Chromium brings."""
    folder = Path("/usr/lib/chromium")
    device = folder / "vk_swiftshader_icd.json"
    if not device.is_file():
        missing("chromium", "apt-get install chromium")
    monkeypatch.setenv("VK_ICD_FILENAMES", str(device))
    monkeypatch.setenv("LD_LIBRARY_PATH", str(folder))
