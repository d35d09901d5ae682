"""A stand-in for ONE's runner, of which no registry has a build: its surface over the real onert.

Options, report, files and exit statuses are those of one of its eras; what is measured, it measures
with the driver and the onert wheel. ``install`` puts one into a folder.
"""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from itertools import count, takewhile
from pathlib import Path
from typing import Any

ERAS: dict[str, dict[str, Any]] = {
    # boost's options and HDF5 alone; the banner on stderr
    "2021": {"tool": "nnpackage_run", "version": "1.14.0", "boost": True, "raw": False},
    "1.26": {"tool": "onert_run", "version": "1.26.0", "boost": True, "raw": True},
    # arser's options; the banner on stdout
    "1.29": {"tool": "onert_run", "version": "1.29.0", "boost": False, "raw": True},
    "head": {"tool": "onert_run", "version": "1.31.0", "boost": False, "raw": True},
}


def _protocol() -> int:
    # Not where the stand-in runs, which may be without the package.
    from pareto_profiler.drivers import PROTOCOL

    return PROTOCOL


def install(folder: Path, era: str, driver: Path, library: Path, **more: Any) -> Path:
    """Put a tool of an era into a folder.

    Further keys: ``deaf`` to ignore the environment, as Tizen's builds do; ``mute`` to leave the
    report to the CSV file; ``no_hdf5`` to be built without it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tool = folder / ERAS[era]["tool"]
    settings = (
        ERAS[era]
        | {"driver": str(driver), "library": str(library)}
        | more
        | {"protocol": _protocol()}
    )
    (folder / "stand_in.json").write_text(json.dumps(settings))
    tool.write_text(f"#!{sys.executable}\n{Path(__file__).read_text(encoding='utf-8')}")
    tool.chmod(tool.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)
    return tool


def refuse(words: str, status: int) -> None:
    print(words, file=sys.stderr)
    sys.exit(status)


def help_text(era: dict[str, Any]) -> str:
    if era["boost"]:
        raw = "  --load:raw arg\n  --dump:raw arg\n" if era["raw"] else ""
        return (
            f"nnpackage_run options:\n  -h [ --help ]\n  --version\n  --nnpackage arg\n  "
            f"-l [ --load ] arg\n  -d [ --dump ] arg\n{raw}  -r [ --num_runs ] arg (=1)\n  "
            f"-w [ --warmup_runs ] arg (=0)\n  -m [ --mem_poll ] arg (=0)\n  "
            f"-p [ --write_report ] arg (=0)\n"
        )
    return (
        "Usage: onert_run [-h] [--version] [--load LOAD] [--dump DUMP] [--load:raw LOAD:RAW] "
        "[--dump:raw DUMP:RAW] [--num_runs NUM_RUNS] [--warmup_runs WARMUP_RUNS] [--mem_poll] "
        "[--write_report] path\n"
    )


def parse(era: dict[str, Any], words: list[str]) -> dict[str, Any]:
    """Options as the era's parser takes them."""
    asked: dict[str, Any] = {"w": 0, "r": 1, "m": False, "p": False}
    names = {"--warmup_runs": "w", "--num_runs": "r", "--load": "l", "--dump": "d"}
    switches = {"-m": "m", "--mem_poll": "m", "-p": "p", "--write_report": "p"}
    rest = list(words)
    while rest:
        word = rest.pop(0)
        key = names.get(word, word.lstrip("-"))
        if word in switches:
            if era["boost"]:
                if not rest or rest[0] not in {"0", "1"}:
                    # Boost's exception, which nobody catches.
                    print("terminate called: the argument is invalid", file=sys.stderr, flush=True)
                    os.abort()
                asked[switches[word]] = rest.pop(0) == "1"
            else:
                asked[switches[word]] = True
        elif word in {"-w", "-r", "-l", "-d", "--load:raw", "--dump:raw", *names}:
            if word.endswith(":raw") and not era["raw"]:
                refuse(f"unrecognised option '{word}'", 134)
            asked[key] = int(rest.pop(0)) if key in {"w", "r"} else rest.pop(0)
        elif word.startswith("-") or "package" in asked:
            refuse("Invalid argument. You've given more positional argument than necessary.", 255)
        else:
            asked["package"] = word
    return asked


def settings_of(era: dict[str, Any], package: Path) -> dict[str, str]:
    """The process's environment; of a deaf build the package's file instead."""
    if not era.get("deaf"):
        return dict(os.environ)
    kept = {k: v for k, v in os.environ.items() if k in {"PATH", "HOME", "LD_LIBRARY_PATH"}}
    names = json.loads((package / "metadata" / "MANIFEST").read_text())["configs"]
    is_late = not era["version"] or tuple(map(int, era["version"].split("."))) >= (1, 28)
    for name in names[:1] if not is_late else []:
        for line in (package / "metadata" / name).read_text().splitlines():
            key, _, value = line.partition("=")
            kept[key.strip()] = value.strip()
    return kept


def main() -> None:
    here = Path(__file__).resolve().parent
    era = json.loads((here / "stand_in.json").read_text())
    words = sys.argv[1:]
    if words[:1] == ["--help"]:
        print(help_text(era))
        return
    if words == ["--version"]:
        name = "nnpkg_run" if era["tool"] == "nnpackage_run" else "onert_run"
        print(f"{name} (nnfw runtime: v{era['version']})")
        return
    asked = parse(era, words)
    package = Path(asked["package"])
    banner = sys.stderr if era["boost"] else sys.stdout
    print(f"Package Filename {package}", file=banner, flush=True)
    environment = settings_of(era, package)
    if "ENABLE_LOG" in environment and era["version"] >= "1.31":
        environment["ONERT_LOG_ENABLE"] = environment["ENABLE_LOG"]
    if asked["m"] and not asked["w"]:
        asked["w"] = 1
    backends = environment.get("BACKENDS", "cpu").split(";")
    request = {"protocol": era["protocol"], "library": era["library"], "model": str(package)}
    request |= {"backends": {backend: {} for backend in backends}, "inputs": []}
    request |= {"warmups": asked["w"], "runs": [asked["r"], asked["r"]]}
    if "l" in asked:
        if era.get("no_hdf5"):
            refuse("Not supported: built without HDF5", 255)
        import h5py

        with h5py.File(asked["l"], "r") as file:
            for name in sorted(file["value"], key=int):
                raw = Path(f"input-{name}.raw")
                raw.write_bytes(file["value"][name][()].tobytes())
                request["inputs"].append({"file": str(raw)})
    if "load:raw" in asked:
        files = (f"{asked['load:raw']}.{i}" for i in count())
        request["inputs"] = [{"file": f} for f in takewhile(os.path.exists, files)]
    outputs = request["write_outputs"] = asked.get("dump:raw", "written")
    done = subprocess.run(
        [era["driver"], "--request", json.dumps(request)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    for line in done.stderr.splitlines():
        print(line, file=sys.stdout if line.startswith("[") else sys.stderr, flush=True)
    if done.returncode:
        sys.exit(255 if done.returncode > 0 else 128 - done.returncode)
    events = {event["event"]: event for event in map(json.loads, done.stdout.splitlines())}
    if "d" in asked:
        import h5py

        with h5py.File(asked["d"], "w") as file:
            for i, output in enumerate(events["measured"]["outputs"]):
                import numpy as np

                file[f"value/{i}"] = np.fromfile(f"{outputs}.{i}", dtype=output["dtype"])
    report(era, asked, package, events, environment)


def report(
    era: dict[str, Any],
    asked: dict[str, Any],
    package: Path,
    events: dict[str, Any],
    environment: dict[str, str],
) -> None:
    runs = [ns / 1e6 for ns in events["measured"]["run_wall_ns"]]
    mean = sum(runs) / len(runs)
    load, prepare = events["loaded"]["load_ns"] / 1e6, events["prepared"]["prepare_ns"] / 1e6
    before = events["opened"]["peak_before_load_kib"]
    prepared = events["prepared"]["peak_after_prepare_kib"]
    after = events["measured"]["peak_after_runs_kib"]
    line = "=" * 35
    lines = [line, f"MODEL_LOAD   takes {load:.3f} ms", f"PREPARE      takes {prepare:.3f} ms"]
    lines += [f"EXECUTE      takes {mean:.3f} ms", f"- MEAN     :  {mean:.3f} ms"]
    lines += [f"- MAX      :  {max(runs):.3f} ms", f"- MIN      :  {min(runs):.3f} ms"]
    lines += [f"- GEOMEAN  :  {mean:.3f} ms", line]
    if asked["m"]:
        for kind in ("RSS", "HWM", "PSS"):
            lines += [kind, f"- MODEL_LOAD   takes {before} kb"]
            lines += [f"- PREPARE      takes {prepared} kb", f"- EXECUTE      takes {after} kb"]
            lines += [f"- PEAK         takes {after} kb", line]
        lines += [f"Used Peak Memory : {after - before} kb", f"- HWM after run  : {after} kb"]
        lines += [f"- HWM before init: {before} kb", line]
    if not era.get("mute"):
        print("\n".join(lines))
    if asked["p"]:
        name = f"{era['tool']}-{package.name}-{environment.get('BACKENDS', 'cpu')}.csv"
        memory = ",".join(f"{prepared},{prepared},{after},{after}" for _ in range(3))
        head = "Model,Backend,ModelLoad_Time,Prepare_Time,Execute_Time_Min,Execute_Time_Max,"
        head += "Execute_Time_Mean,"
        head += ",".join(
            f"{phase}_{kind}"
            for kind in ("RSS", "HWM", "PSS")
            for phase in ("ModelLoad", "Prepare", "Execute", "Peak")
        )
        figures = f"{load:.6g},{prepare:.6g},{min(runs):.6g},{max(runs):.6g},{mean:.6g}"
        backends = environment.get("BACKENDS", "cpu")
        Path(name).write_text(f"{head}\n{package.name},{backends},{figures},{memory}\n")


if __name__ == "__main__":
    main()
