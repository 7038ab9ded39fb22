"""Make the virtual environment `.venv` in the project's folder, with pip in it.

    python3 .ci/environment.py [--qt-libraries]

Needs Python 3.11 or newer and a package index, nothing else: where the system's Python lacks
ensurepip, as a bare Debian's does, pip comes from the system's pip, from the index or from apt.
With --qt-libraries, the system libraries that Qt needs, and a display without a screen, are
installed where they are missing, there is apt-get, and this user may.
"""

from __future__ import annotations

import configparser
import os
import re
import shutil
import subprocess
import sys
import tempfile
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

ENVIRONMENT = Path(__file__).resolve().parent.parent / ".venv"
QT_LIBRARIES = [
    *["libegl1", "libgl1", "libdbus-1-3", "libfontconfig1", "libglib2.0-0", "libxkbcommon-x11-0"],
    *["libxcb-cursor0", "libxcb-icccm4", "libxcb-keysyms1", "libxcb-shape0", "xvfb", "xauth"],
]


def main() -> None:
    if sys.version_info < (3, 11):  # noqa: UP036  # an older one may run this file
        sys.exit(
            f"error: Python 3.11 or newer is needed, this is {sys.version.split()[0]}: "
            "run this file with a newer one, for example python3.11"
        )
    if "--qt-libraries" in sys.argv[1:]:
        install_qt_libraries()
    python = ENVIRONMENT / "bin" / "python"
    if succeeds(python, "-m", "pip", "--version"):
        return
    shutil.rmtree(ENVIRONMENT, ignore_errors=True)
    if succeeds(sys.executable, "-m", "venv", ENVIRONMENT):
        return
    for get_pip in (pip_of_the_system, pip_from_the_index):
        run(sys.executable, "-m", "venv", "--clear", "--without-pip", ENVIRONMENT)
        if get_pip(python) and succeeds(python, "-m", "pip", "--version"):
            return
    shutil.rmtree(ENVIRONMENT, ignore_errors=True)
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    if apt_install(f"python{version}-venv") and succeeds(sys.executable, "-m", "venv", ENVIRONMENT):
        return
    sys.exit(
        f"error: pip could not be had, neither from the system nor from {index_url()}: "
        f"install python{version}-venv, or check the connection, and try again"
    )


def succeeds(*command: object) -> bool:
    """Run quietly and say whether it went well."""
    try:
        return run(*command, check=False, capture_output=True) == 0
    except OSError:
        return False


def run(*command: object, check: bool = True, capture_output: bool = False) -> int:
    words = [str(word) for word in command]
    return subprocess.run(words, check=check, capture_output=capture_output).returncode


def pip_of_the_system(python: Path) -> bool:
    return succeeds(sys.executable, "-m", "pip", "--python", python, "install", "pip")


def pip_from_the_index(python: Path) -> bool:
    """Fetch pip's wheel, which can run as it is, and let it install itself."""
    page_url = f"{index_url().rstrip('/')}/pip/"
    try:
        with urllib.request.urlopen(page_url, timeout=60) as answer:
            page = answer.read().decode()
        links = re.findall(r'href="([^"]*/pip-([0-9.]+)-py3-none-any\.whl[^"]*)"', page)
        newest = max(links, key=lambda link: [int(part) for part in link[1].split(".")])
        with tempfile.TemporaryDirectory() as folder:
            wheel = Path(folder) / f"pip-{newest[1]}-py3-none-any.whl"
            with urllib.request.urlopen(urllib.parse.urljoin(page_url, newest[0])) as answer:
                wheel.write_bytes(answer.read())
            return succeeds(python, wheel / "pip", "install", "--no-index", "--no-deps", wheel)
    except (OSError, ValueError) as error:
        print(f"note: no pip from {page_url}: {error}", file=sys.stderr)
        return False


def index_url() -> str:
    """Return the package index that pip is set up to use here."""
    settings = configparser.ConfigParser()
    home = Path.home()
    settings.read(["/etc/pip.conf", home / ".pip/pip.conf", home / ".config/pip/pip.conf"])
    configured = settings.get("global", "index-url", fallback="https://pypi.org/simple")
    return os.environ.get("PIP_INDEX_URL", configured)


def install_qt_libraries() -> None:
    missing = [name for name in QT_LIBRARIES if not succeeds("dpkg", "-s", name)]
    if missing and not apt_install(*missing):
        print(
            f"note: tests with a window need {' '.join(missing)}, which could not be installed",
            file=sys.stderr,
        )


def apt_install(*packages: str) -> bool:
    """Install Debian packages where there is apt-get and this user may."""
    if shutil.which("apt-get") is None:
        return False
    may = os.geteuid() == 0
    words = [] if may else ["sudo", "-n"]
    if not may and not succeeds(*words, "true"):
        return False
    apt = [*words, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-qq", "-y"]
    return succeeds(*apt, "update") and succeeds(
        *apt, "install", "--no-install-recommends", *packages
    )


if __name__ == "__main__":
    main()
