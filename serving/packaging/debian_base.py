"""A base without a shell, made of Debian's packages by mmdebstrap: Python, what wheels link to, and nothing else.

Packages are unpacked and not configured, so that no script of theirs runs and no root is needed. What only serves to
install others is taken out again. The list of packages is left where scanners look for it in such images
(`/var/lib/dpkg/status.d`), and is what the bill of materials says of the base.
"""

import os
import shutil
import stat
import subprocess
from collections.abc import Mapping
from pathlib import Path

from slipway.registry.errors import Unavailable

SUITE = "bookworm"
PACKAGES = (
    "base-files",
    "ca-certificates",
    "libc6",
    "libgcc-s1",
    "libgomp1",
    "libpython3.11-stdlib",
    "libstdc++6",
    "netbase",
    "python3.11-minimal",
    "tzdata",
)
# They come along as what the others need to be configured, which nothing here is.
INSTALLERS = ("debconf", "dpkg", "mawk", "openssl", "tar", "readline-common")
EXCLUDED = ("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/info/*", "/usr/share/locale/*", "/usr/share/lintian/*")
ARCHITECTURES: Mapping[str, str] = {"linux/amd64": "amd64", "linux/arm64": "arm64"}
USER = "nonroot:x:65532:65532:nonroot:/tmp:/usr/sbin/nologin"
HOOK = """#!/bin/sh
set -eu
root="$1"; list="$root/var/lib/dpkg/status.d"
mkdir -p "$list"
for deb in "$root"/var/cache/apt/archives/*.deb; do
  name=$(dpkg-deb -f "$deb" Package)
  case " {installers} " in
    *" $name "*)
      dpkg-deb --fsys-tarfile "$deb" | tar -t | grep -v '/$' | (cd "$root" && xargs -d '\\n' rm -f --) ;;
    *) {{ dpkg-deb -f "$deb"; echo 'Status: install ok unpacked'; }} > "$list/$name" ;;
  esac
done
rm -f "$root"/etc/passwd- "$root"/etc/group-
echo 'root:x:0:0:root:/root:/usr/sbin/nologin' > "$root/etc/passwd"; echo '{user}' >> "$root/etc/passwd"
echo 'root:x:0:' > "$root/etc/group"; echo 'nonroot:x:65532:' >> "$root/etc/group"
"""


def make_base(into: Path, work: Path, *, platform: str) -> None:
    """Write the base's root file system as a tar.

    Raises
    ------
    Unavailable
        mmdebstrap is not installed, or Debian's mirror does not answer.
    """
    program = shutil.which("mmdebstrap")
    if program is None:
        raise Unavailable(
            "the base 'distroless' is made by mmdebstrap, which is not installed here",
            code="no-mmdebstrap",
            hint="apt-get install mmdebstrap; or name another base: --base docker://python@sha256:…, --base oci:FOLDER",
        )
    hook = work / "unpacked"
    hook.write_text(HOOK.format(installers=" ".join(INSTALLERS), user=USER))
    hook.chmod(hook.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)
    words = [
        *(program, "--quiet", "--variant=extract", f"--architectures={ARCHITECTURES[platform]}"),
        *('--aptopt=Apt::Install-Recommends "false"', f"--include={','.join(PACKAGES)}", f"--extract-hook={hook}"),
        *(f"--dpkgopt=path-exclude={pattern}" for pattern in EXCLUDED),
        *(SUITE, str(into)),
    ]
    done = subprocess.run(
        words, capture_output=True, text=True, check=False, env={**os.environ, "SOURCE_DATE_EPOCH": "0"}
    )
    if done.returncode != 0:
        said = " ".join(done.stderr.split())[-800:]
        raise Unavailable(f"the base cannot be made: {said}", code="no-base", hint="check that Debian's mirror answers")
