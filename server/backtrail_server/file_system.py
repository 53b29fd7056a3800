"""What kind of file system a folder is on.

/proc/self/mountinfo → **file_system** → probes, checkup
"""

from pathlib import Path

MOUNTS = Path("/proc/self/mountinfo")
NETWORK_FILE_SYSTEMS = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ceph", "fuse.sshfs", "fuse.glusterfs", "fuse.s3fs", "lustre"}
)


def file_system_of(folder: Path) -> str | None:
    """Its name as the kernel has it, "ext4"; None where the kernel does not say."""
    try:
        mounts = [line.split() for line in MOUNTS.read_text().splitlines()]
    except OSError:
        return None
    path = folder.resolve()
    points = {unescaped(fields[4]): fields[fields.index("-") + 1] for fields in mounts}  # the last mount hides others
    for parent in (path, *path.parents):
        if str(parent) in points:
            return points[str(parent)]
    return None


def unescaped(mount_point: str) -> str:
    return mount_point.replace(r"\040", " ").replace(r"\011", "\t").replace(r"\012", "\n").replace(r"\134", "\\")
