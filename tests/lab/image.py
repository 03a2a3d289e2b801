"""Makes the guest's image: Debian's kernel, a small root file system with the agent's dependencies, an empty spool.

The project itself is not in it (payload.py), so an image lasts until Debian, the lock file or the lab itself change.
Takes about a minute, needs root and the machine's own apt sources and package index, and asks the same of nobody twice.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

from tests.lab.cache import digest, made, say
from tests.lab.modules import GUEST, ROOT_DISK, Kernel

HERE = Path(__file__).resolve().parent
PROJECT = HERE.parent.parent
LOCK = PROJECT / "config/locks/runtime.txt"
NOT_IN_GUEST = ("av", "pip", "setuptools")
"""Locked for the demo and for builds; a station's service never loads them."""

SUITE = "bookworm"
SOURCES = (Path("/etc/apt/sources.list.d/debian.sources"), Path("/etc/apt/sources.list"))
PACKAGES = (
    *("systemd", "systemd-sysv", "udev", "dbus", "python3", "kmod", "procps", "iproute2", "util-linux-extra"),
    *("usbutils", "uhubctl", "dosfstools", "exfatprogs", "e2fsprogs", "strace"),
)
NOT_UNPACKED = ("/usr/share/man/*", "/usr/share/doc/*", "/usr/share/locale/*")
USERS = ("u dock-agent - 'Dock agent'", "u dock-reader - 'Reader of one camera'")

# What does nothing good in a guest of a few seconds; without these it is `running`, never `degraded`.
MASKED = (
    *(
        "systemd-binfmt.service",
        "proc-sys-fs-binfmt_misc.automount",
        "getty@tty1.service",
        "serial-getty@ttyS0.service",
    ),
    *("systemd-pstore.service", "systemd-update-utmp.service", "sys-kernel-debug.mount", "sys-kernel-tracing.mount"),
    *("dev-hugepages.mount", "dev-mqueue.mount", "modprobe@drm.service", "systemd-random-seed.service"),
    *("apt-daily.timer", "apt-daily-upgrade.timer", "dpkg-db-backup.timer", "e2scrub_all.timer", "fstrim.timer"),
    *("systemd-tmpfiles-clean.timer", "motd-news.timer"),
)

# From our folder `guest` to where it belongs.
INSTALLED = (
    ("agent.py", "usr/lib/lab/agent.py", 0o644),
    ("events.py", "usr/lib/lab/events.py", 0o644),
    ("install", "usr/lib/lab/install", 0o755),
    ("lab-agent.service", "etc/systemd/system/lab-agent.service", 0o644),
    ("dock-agent", "usr/bin/dock-agent", 0o755),
    ("python", "usr/lib/dock-agent/python", 0o755),
)

MODULES = "modules"
"""Where the image keeps the guest's modules once more, for other roots."""
ROOT_MB = 640
SPOOL_MB = 4096

# A wheel for any of these runs on the guest's Python.
PLATFORMS = (*(f"manylinux_2_{minor}_x86_64" for minor in range(36, 4, -1)), "manylinux2014_x86_64", "linux_x86_64")


class LabError(Exception):
    """The lab cannot be had on this machine; the text says why and what to do."""


def run(*words: str | Path, cwd: Path | None = None) -> str:
    """Run a command of this machine and return what it printed. Raises LabError."""
    try:
        done = subprocess.run(words, cwd=cwd, capture_output=True, text=True, check=False)  # noqa: S603 - our own words
    except FileNotFoundError as error:
        raise LabError(f"the lab needs the command {words[0]}; `scripts/lab build` installs it") from error
    if done.returncode:
        said = (done.stdout + done.stderr)[-3000:]
        raise LabError(f"{' '.join(map(str, words[:3]))} ... failed with {done.returncode}:\n{said}")
    return done.stdout


def qemu_version() -> str:
    """What QEMU says it is."""
    return run("qemu-system-x86_64", "--version").splitlines()[0]


def kernel_package() -> tuple[str, str]:
    """Name and version of the package of Debian's usual kernel. Raises LabError.

    Its name changes with every update; other flavours will not do, the one for clouds has no USB at all.
    """
    named = re.search(
        r"^ *Depends: (linux-image-[0-9]\S+)$", run("apt-cache", "depends", "linux-image-amd64"), re.MULTILINE
    )
    version = named and re.search(r"^Version: (\S+)$", run("apt-cache", "show", named[1]), re.MULTILINE)
    if not named or not version:
        raise LabError(
            "apt knows no kernel for linux-image-amd64 here; run `apt-get update`, "
            "and check that the apt sources have Debian's main section for amd64"
        )
    return named[1], version[1]


def _key() -> str:
    own = (
        HERE / "image.py",
        HERE / "modules.py",
        HERE / "guest/init",
        *(HERE / "guest" / name for name, *_ in INSTALLED),
    )
    contents = (part for path in own for part in (path.name, path.read_bytes()))
    return digest(*kernel_package(), qemu_version(), LOCK.read_bytes(), *contents)


@cache
def image() -> Path:
    """The folder of the image for this checkout, made first where it is missing. Raises LabError."""
    return made("images", _key(), _build, keep=2)


def _build(folder: Path) -> None:
    if os.geteuid() != 0:
        raise LabError("the lab's image is made by root; run once: sudo scripts/lab build")
    sources = next((path for path in SOURCES if path.exists()), None)
    if sources is None:
        raise LabError(f"the lab's image is made from this machine's apt sources, and none of {SOURCES} is there")
    with tempfile.TemporaryDirectory(dir=folder, prefix="making-") as name:
        work = Path(name)
        kernel = _unpack_kernel(work, folder)
        say("root file system of Debian packages (about half a minute)")
        root = work / "root"
        run(
            *("mmdebstrap", "-q", "--mode=root", "--variant=minbase", "--format=directory"),
            f"--include={','.join(PACKAGES)}",
            *(f"--dpkgopt=path-exclude={pattern}" for pattern in NOT_UNPACKED),
            *(f'--customize-hook=chroot "$1" systemd-sysusers --inline "{user}"' for user in USERS),
            *(SUITE, root, sources),
        )
        root.chmod(0o755)
        say("the agent's dependencies, hash-checked")
        _install_python(root, work)
        configure(root, INSTALLED)
        kernel.copy(GUEST, root / "usr")
        kernel.copy(GUEST, folder / MODULES)
        say("disk images")
        run(
            "mke2fs",
            "-q",
            "-t",
            "ext4",
            "-O",
            "^has_journal",
            "-m",
            "0",
            "-d",
            root,
            folder / "root.ext4",
            f"{ROOT_MB}M",
        )
        _make_first_disk(work / "first", kernel, folder / "first.cpio")
    spool = folder / "spool.raw"
    run(
        "mke2fs",
        "-q",
        "-t",
        "ext4",
        "-L",
        "spool",
        "-E",
        "lazy_itable_init=0,lazy_journal_init=0",
        spool,
        f"{SPOOL_MB}M",
    )


def _unpack_kernel(work: Path, folder: Path) -> Kernel:
    package, version = kernel_package()
    say(f"{package} {version}")
    downloads = work / "downloads"
    downloads.mkdir()
    downloads.chmod(0o777)  # apt fetches as a user of its own, which may or may not get here
    run("apt-get", "-qq", "-o", "APT::Sandbox::User=root", "download", package, cwd=downloads)
    (archive,) = downloads.iterdir()
    unpacked = work / "kernel"
    run("dpkg-deb", "-x", archive, unpacked)
    release = package.removeprefix("linux-image-")
    run("depmod", "-b", unpacked, release)
    shutil.copy(unpacked / "boot" / f"vmlinuz-{release}", folder / "vmlinuz")
    return Kernel(unpacked, release)


def _install_python(root: Path, work: Path) -> None:
    """The locked packages, as the package puts them, with byte code: a guest has no time to make it."""
    wanted = work / "runtime.txt"
    entries = re.split(r"^(?=[a-z0-9])", LOCK.read_text("utf-8"), flags=re.MULTILINE)
    wanted.write_text("".join(e for e in entries if not e.startswith(tuple(f"{name}==" for name in NOT_IN_GUEST))))
    site = root / "usr/lib/dock-agent/site"
    run(
        *(sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", "install", "--quiet"),
        *("--require-hashes", "--only-binary", ":all:", "--no-deps", "--no-compile", "--root-user-action=ignore"),
        *(word for platform in PLATFORMS for word in ("--platform", platform)),
        *("--python-version", "3.11", "--implementation", "cp", "--target", site, "-r", wanted),
    )
    shutil.rmtree(site / "bin", ignore_errors=True)
    run("chroot", root, "python3", "-m", "compileall", "-q", "-j", "2", "/usr/lib/dock-agent/site")


def configure(root: Path, files: tuple[tuple[str, str, int], ...]) -> None:
    """Make a root file system one of the lab's: its command agent, and nothing that a guest has no time for."""
    for name, target, mode in files:
        path = root / target
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(HERE / "guest" / name, path)
        path.chmod(mode)
    units = root / "etc/systemd/system"
    (units / "sysinit.target.wants").mkdir(exist_ok=True)
    (units / "sysinit.target.wants/lab-agent.service").symlink_to("../lab-agent.service")
    for unit in MASKED:
        (units / unit).unlink(missing_ok=True)
        (units / unit).symlink_to("/dev/null")
    (root / "etc/machine-id").write_text(digest("lab") * 2 + "\n")
    (root / "etc/hostname").write_text("lab\n")
    (root / "etc/hosts").write_text("127.0.0.1 localhost\n10.0.2.100 store\n")
    (root / "etc/fstab").write_text("")
    (root / "etc/resolv.conf").unlink(missing_ok=True)
    for kept in ("var/cache/apt", "var/lib/apt/lists"):
        shutil.rmtree(root / kept)
        (root / kept).mkdir()


def _make_first_disk(tree: Path, kernel: Kernel, target: Path) -> None:
    """What the kernel unpacks to memory at its start: a shell, and the modules to reach the root disk."""
    for name in ("bin", "proc", "sys", "dev"):
        (tree / name).mkdir(parents=True)
    shutil.copy("/usr/bin/busybox" if Path("/usr/bin/busybox").exists() else "/bin/busybox", tree / "bin/busybox")
    shutil.copy(HERE / "guest/init", tree / "init")
    (tree / "init").chmod(0o755)
    kernel.copy(ROOT_DISK, tree)
    names = "\0".join(str(path.relative_to(tree)) for path in sorted(tree.rglob("*")))
    with target.open("wb") as out:
        subprocess.run(
            ["cpio", "--null", "-o", "-H", "newc", "--quiet"],  # noqa: S607
            input=names.encode(),
            cwd=tree,
            stdout=out,
            check=True,
        )
