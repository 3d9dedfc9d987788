"""Import TensorFlow without the lines that its native libraries write to standard error while they load.

    tf = import_tensorflow()

The lines are written by C++ before any log level applies, so they are held back at the file descriptor. If the
import fails they are shown: they may say why.
"""

from __future__ import annotations

import os
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType


def import_tensorflow() -> ModuleType:
    """Import TensorFlow and look for its devices, quietly. Cheap when it is imported already."""
    if "tensorflow" in sys.modules:
        return sys.modules["tensorflow"]
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with quiet_standard_error():
        import tensorflow as tf

        tf.config.list_physical_devices()
    return tf


@contextmanager
def quiet_standard_error() -> Iterator[None]:
    """Hold back what Python and native code write to standard error; write it out if the block raises."""
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as held, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            held.seek(0)
            os.write(kept, held.read())
            raise
        finally:
            sys.stderr.flush()
            os.dup2(kept, 2)
            os.close(kept)
