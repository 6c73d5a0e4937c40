"""Two folders change places in one step, where the system can: there is no moment without one.

`renameat2` with RENAME_EXCHANGE is Linux's (3.15), in glibc since 2.28; Python does not have it.
Some file systems refuse it.
"""

import ctypes
import errno
import os

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2
_CANNOT = (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP, errno.EPERM)


def exchanged(one, other):
    """Exchanges two paths that exist.

    Returns:
      Whether that was done; False where the system or the file system cannot.

    Raises:
      OSError: another failure.
    """
    try:
        rename = ctypes.CDLL(None, use_errno=True).renameat2
    except (OSError, AttributeError):
        return False
    if rename(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE) == 0:
        return True
    number = ctypes.get_errno()
    if number in _CANNOT:
        return False
    raise OSError(number, os.strerror(number), one, None, other)
