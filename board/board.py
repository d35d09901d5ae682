"""An emulated ARM board with onert, sshd and adbd, from Debian's and PyPI's packages alone.

    python3 board/board.py up | down | status

A Cortex-A15 (the big core of an Odroid-XU4) under qemu with instruction counting: its times are
executed instructions at one per nanosecond, repeatable to 0.1 %, and no XU4's milliseconds.

Everything lies in ``.board/`` beside this folder: what was fetched, the board's file system, its
console log, ``ssh_config`` (host ``board``) and ``pid``. Nothing on the host is changed.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NoReturn

HERE: Final = Path(__file__).resolve().parent
STATE: Final = HERE.parent / ".board"
ADDRESS: Final = "127.0.0.3"
SSH_PORT: Final = 2222
ADB_PORT: Final = 5555
BOOT_LIMIT_S: Final = 180.0
TOOLS: Final = {
    "qemu-system-arm": "qemu-system-arm",
    "cpio": "cpio",
    "ssh-keygen": "openssh-client",
    "dpkg-deb": "dpkg",
    "apt-get": "apt",
}
USERLAND: Final = (
    "base-files base-passwd bash busybox-static coreutils dash findutils grep libc-bin "
    "libhdf5-103-1 libhdf5-cpp-103-1 libstdc++6 mawk openssh-server openssh-sftp-server procps sed "
    "tar util-linux"
).split()
KERNEL: Final = "linux-image-armmp-lpae"
MODULES: Final = "virtio_mmio failover net_failover virtio_net virtio-rng".split()
# Debian 12 has no adbd; Debian 13's runs beside its own C library, and so does the backported one,
# where a mirror that is being renewed has no complete index of one of them.
ADBD_RELEASES: Final = (("trixie",), ("bookworm", "bookworm-backports"))
SSHD_CONFIG: Final = """\
HostKey /etc/ssh/host_key
PermitRootLogin prohibit-password
PasswordAuthentication no
UsePAM no
AcceptEnv none
PrintMotd no
Subsystem sftp /usr/lib/openssh/sftp-server
"""
ADBD_RUN: Final = """\
#!/bin/sh
cd /
for loader in /opt/adbd/usr/lib/ld-linux-armhf.so.3 /opt/adbd/lib/ld-linux-armhf.so.3; do
    [ ! -e $loader ] || break
done
usr=/opt/adbd/usr/lib/arm-linux-gnueabihf
exec $loader --library-path $usr/android:$usr:/opt/adbd/lib/arm-linux-gnueabihf \\
/opt/adbd/usr/lib/android-sdk/platform-tools/adbd
"""


class CommandError(Exception):
    """A command ended with another status than 0."""


def up() -> None:
    """Build what is missing, boot, and wait until sshd answers."""
    if is_up():
        print(f"the board is up: ssh -F {STATE / 'ssh_config'} board")
        return
    check_tools()
    STATE.mkdir(exist_ok=True)
    make_keys()
    initrd, kernel = STATE / "initrd", STATE / "vmlinuz"
    sources = (HERE / "board.py", HERE / "init.sh", HERE / "requirements.txt")
    stamp = "".join(source.read_text() for source in sources)
    built_from = STATE / "built-from"
    if not built_from.is_file() or built_from.read_text() != stamp:
        build(initrd, kernel)
        built_from.write_text(stamp)
    boot(initrd, kernel)


def down() -> None:
    """End the emulator; what was written on the board is lost, as it lives in memory."""
    pid = running_pid()
    if pid is None:
        print("the board is down")
        return
    os.kill(pid, signal.SIGKILL)
    while running_pid() is not None:
        time.sleep(0.05)
    (STATE / "pid").unlink(missing_ok=True)
    print("the board is down")


def status() -> None:
    """Say whether it answers; exit status 1 where it does not."""
    print("up" if is_up() else "down")
    if not is_up():
        sys.exit(1)


def is_up() -> bool:
    return running_pid() is not None and answers()


def running_pid() -> int | None:
    """The emulator's process id, if it is still the emulator's."""
    with contextlib.suppress(OSError, ValueError):
        pid = int((STATE / "pid").read_text())
        # A zombie has no command line.
        if b"qemu-system-arm" in Path(f"/proc/{pid}/cmdline").read_bytes():
            return pid
    return None


def answers() -> bool:
    try:
        with socket.create_connection((ADDRESS, SSH_PORT), timeout=5) as connection:
            connection.settimeout(5)
            return connection.recv(4) == b"SSH-"
    except OSError:
        return False


def check_tools() -> None:
    missing = sorted({package for tool, package in TOOLS.items() if not shutil.which(tool)})
    if missing:
        leave(f"not here: {' '.join(missing)}; on Debian: apt-get install {' '.join(missing)}")


def make_keys() -> None:
    """A key for the user and one for the board, made once: its host key is known and checked."""
    for name in ("user_key", "host_key"):
        if not (STATE / name).is_file():
            call(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", STATE / name])
    public = (STATE / "host_key.pub").read_text()
    (STATE / "known_hosts").write_text(f"[{ADDRESS}]:{SSH_PORT} {public}")
    (STATE / "ssh_config").write_text(
        f"Host board\n  HostName {ADDRESS}\n  Port {SSH_PORT}\n  User root\n"
        f'  IdentityFile "{STATE / "user_key"}"\n  IdentitiesOnly yes\n'
        f'  UserKnownHostsFile "{STATE / "known_hosts"}"\n  StrictHostKeyChecking yes\n'
    )


def build(initrd: Path, kernel: Path) -> None:
    """Fetch packages, unpack them, and pack the board's memory file system."""
    root, kernel_files = STATE / "root", STATE / "kernel"
    for folder in (root, kernel_files):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
    say("fetching the userland")
    unpack(fetch(["bookworm"], USERLAND), root)
    say("fetching adbd")
    unpack(fetch_adbd(), root / "opt" / "adbd")
    say("fetching the kernel")
    unpack(fetch(["bookworm"], [KERNEL], only="linux-image-*"), kernel_files)
    say("fetching onert")
    install_onert(root)
    furnish(root)
    (image,) = (kernel_files / "boot").glob("vmlinuz-*")
    shutil.copy(image, kernel)
    (root / "modules").mkdir()
    for number, name in enumerate(MODULES):
        (module,) = kernel_files.rglob(f"{name}.ko")
        shutil.copy(module, root / "modules" / f"{number}-{name}.ko")
    say("packing")
    files = subprocess.run(["find", "."], cwd=root, check=True, capture_output=True).stdout
    with initrd.open("wb") as packed:
        subprocess.run(
            ["cpio", "--quiet", "-o", "-H", "newc", "-R", "0:0"],
            cwd=root,
            input=files,
            stdout=packed,
            check=True,
        )


def fetch_adbd() -> list[Path]:
    """The daemon with all it depends on, of the first release that can be had."""
    *others, last = ADBD_RELEASES
    for releases in others:
        try:
            return fetch(releases, ["adbd"])
        except CommandError as error:
            say(f"not from {releases[-1]}: {str(error)[:200]}")
    return fetch(last, ["adbd"])


def fetch(releases: Sequence[str], names: Sequence[str], only: str = "*") -> list[Path]:
    """Package files of ARMv7 with all they depend on, from the machine's own Debian mirror.

    Raises:
        CommandError: They cannot be had.
    """
    apt = STATE / "apt"
    # Nothing of an earlier call may be taken for this one's.
    shutil.rmtree(apt, ignore_errors=True)
    for folder in ("lists/partial", "archives/partial", "etc/apt.conf.d", "etc/preferences.d"):
        (apt / folder).mkdir(parents=True, exist_ok=True)
    (apt / "status").touch()
    keys = "/usr/share/keyrings/debian-archive-keyring.gpg"
    lines = [f"deb [signed-by={keys}] {mirror()} {release} main\n" for release in releases]
    (apt / "sources.list").write_text("".join(lines))
    (apt / "apt.conf").write_text(
        'APT::Architecture "armhf";\nAPT::Architectures { "armhf"; };\n'
        'APT::Sandbox::User "root";\nAPT::Install-Recommends "false";\n'
        f'Dir::State "{apt}";\nDir::State::status "{apt}/status";\nDir::Cache "{apt}";\n'
        f'Dir::Etc::sourcelist "{apt}/sources.list";\nDir::Etc::sourceparts "-";\n'
        f'Dir::Etc::main "-";\nDir::Etc::parts "{apt}/etc/apt.conf.d";\n'
        f'Dir::Etc::preferencesparts "{apt}/etc/preferences.d";\n'
    )
    environment = os.environ | {"APT_CONFIG": str(apt / "apt.conf")}
    for command in (["update"], ["install", "-y", "--download-only", "-t", releases[-1], *names]):
        call(["apt-get", "-qq", *command], environment)
    return sorted((apt / "archives").glob(f"{only}.deb"))


def mirror() -> str:
    """Where this machine gets Debian's packages from, unless BOARD_MIRROR says otherwise."""
    if "BOARD_MIRROR" in os.environ:
        return os.environ["BOARD_MIRROR"]
    shown = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(ORIGIN) $(COMPONENT) $(REPO_URI)"],
        capture_output=True,
        check=True,
        text=True,
    ).stdout
    for line in shown.splitlines():
        origin, component, uri = line.split(" ", 2)
        if (origin, component) == ("Debian", "main") and "security" not in uri:
            return uri
    leave("apt knows no Debian mirror here: give its address as BOARD_MIRROR=…")


def unpack(packages: Sequence[Path], root: Path) -> None:
    root.mkdir(parents=True, exist_ok=True)
    for package in packages:
        call(["dpkg-deb", "-x", package, root])


def install_onert(root: Path) -> None:
    """Put the wheel's ARMv7 libraries into /opt/one/lib; three of them lie in the wrong folder."""
    wheels = STATE / "wheels"
    shutil.rmtree(wheels, ignore_errors=True)
    # uv is what `make setup` leaves; pip is what most machines have.
    uv = shutil.which("uv") or shutil.which("uv", path=str(HERE.parent / ".tools" / "bin"))
    install = [uv, "pip", "install"] if uv else [sys.executable, "-m", "pip", "install"]
    install += ["--python", sys.executable] if uv else ["--disable-pip-version-check"]
    install += ["--quiet", "--no-deps", "--require-hashes", "--target", str(wheels)]
    call([*install, "-r", str(HERE / "requirements.txt")])
    library = root / "opt" / "one" / "lib"
    library.mkdir(parents=True)
    misplaced = {f"aarch64/libarm_compute{part}.so" for part in ("", "_core", "_graph")}
    for file in (wheels / "SG1AB").glob("*/*.so"):
        inside = f"{file.parent.name}/{file.name}"
        if file.parent.name == "armv7l" or inside in misplaced:
            shutil.copy(file, library)


def furnish(root: Path) -> None:
    """What the packages' install scripts would have done, as far as the board needs it."""
    etc = root / "etc"
    for name in ("passwd", "group"):
        shutil.copy(root / "usr" / "share" / "base-passwd" / f"{name}.master", etc / name)
    text = (etc / "passwd").read_text().replace("root:*:", "root:x:")
    (etc / "passwd").write_text(f"{text}sshd:x:101:65534::/run/sshd:/usr/sbin/nologin\n")
    (etc / "shadow").write_text("root:*:1::::::\nsshd:*:1::::::\n")
    (etc / "ssh" / "sshd_config").write_text(SSHD_CONFIG)
    shutil.copy(STATE / "host_key", etc / "ssh" / "host_key")
    (etc / "ssh" / "host_key").chmod(0o600)
    keys = root / "root" / ".ssh"
    keys.mkdir(parents=True, mode=0o700)
    shutil.copy(STATE / "user_key.pub", keys / "authorized_keys")
    (root / "bin" / "sh").unlink(missing_ok=True)
    (root / "bin" / "sh").symlink_to("dash")
    if not (root / "usr" / "bin" / "awk").exists():
        (root / "usr" / "bin" / "awk").symlink_to("mawk")
    for name, text in (("init", (HERE / "init.sh").read_text()), ("opt/adbd/run", ADBD_RUN)):
        (root / name).write_text(text)
        (root / name).chmod(0o755)


def boot(initrd: Path, kernel: Path) -> None:
    began = time.monotonic()
    for port in (SSH_PORT, ADB_PORT):
        with socket.socket() as taken:
            taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                taken.bind((ADDRESS, port))
            except OSError as error:
                leave(f"{ADDRESS}:{port}: {error.strerror}")
    forwards = f"hostfwd=tcp:{ADDRESS}:{SSH_PORT}-:22,hostfwd=tcp:{ADDRESS}:{ADB_PORT}-:5555"
    command: list[str | Path] = [
        "qemu-system-arm",
        "-M",
        "virt",
        "-cpu",
        "cortex-a15",
        "-smp",
        "1",
        "-m",
        "1024",
    ]
    command += ["-icount", "shift=0", "-nographic", "-no-reboot"]
    command += ["-kernel", kernel, "-initrd", initrd]
    command += ["-append", "console=ttyAMA0 quiet panic=-1 rdinit=/init"]
    # restrict: the board reaches nothing, neither this machine nor beyond it.
    command += ["-netdev", f"user,id=n0,restrict=on,{forwards}"]
    command += ["-device", "virtio-net-device,netdev=n0"]
    command += ["-object", "rng-random,filename=/dev/urandom,id=r0"]
    command += ["-device", "virtio-rng-device,rng=r0"]
    with (STATE / "console.log").open("wb") as log:
        process = subprocess.Popen(
            [str(part) for part in command],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    (STATE / "pid").write_text(f"{process.pid}\n")
    while not answers():
        if process.poll() is not None:
            leave(f"the emulator ended with {process.returncode}: see {STATE / 'console.log'}")
        if time.monotonic() - began > BOOT_LIMIT_S:
            process.kill()
            leave(f"no answer in {BOOT_LIMIT_S:.0f} s: see {STATE / 'console.log'}")
        time.sleep(0.2)
    print(f"the board is up after {time.monotonic() - began:.1f} s:", end=" ")
    print(f"ssh -F {STATE / 'ssh_config'} board, adb connect {ADDRESS}:{ADB_PORT}")


def call(command: Sequence[str | Path], environment: dict[str, str] | None = None) -> None:
    done = subprocess.run(
        [str(part) for part in command], env=environment, capture_output=True, check=False
    )
    if done.returncode:
        raise CommandError(
            f"{command[0]} failed: {done.stderr.decode(errors='replace').strip()[-500:]}"
        )


def say(text: str) -> None:
    print(f"board: {text}", flush=True)


def leave(text: str) -> NoReturn:
    sys.exit(f"board: {text}")


if __name__ == "__main__":
    commands = {"up": up, "down": down, "status": status}
    if len(sys.argv) != 2 or sys.argv[1] not in commands:
        leave(f"usage: {sys.argv[0]} {' | '.join(commands)}")
    try:
        commands[sys.argv[1]]()
    except CommandError as failed:
        leave(str(failed))
