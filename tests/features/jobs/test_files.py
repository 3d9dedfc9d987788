import errno
import os
from pathlib import Path

import pytest
from filelock import FileLock

from benchmark.record import folder as run_folder
from features import __main__ as command
from features.jobs.files import check_name, locked, try_lock

NO_LOCKS = [
    OSError(errno.ENOSYS, "x"),
    OSError(errno.ENOLCK, "x"),
    OSError(errno.EOPNOTSUPP, "x"),
    NotImplementedError(),
]


@pytest.mark.parametrize("error", NO_LOCKS)
def test_a_file_system_without_locks_is_one_sentence_with_the_file_and_the_way_out(tmp_path, monkeypatch, error):
    def refused(self, **options):
        raise error

    monkeypatch.setattr(FileLock, "acquire", refused)
    for use in (lambda: try_lock(tmp_path / "lock"), lambda: run_folder.locked(tmp_path).__enter__()):
        with pytest.raises(ValueError, match=rf"{tmp_path}/lock: its file system has no locks \(flock\).*--results"):
            use()


def test_other_errors_of_a_lock_keep_their_words(tmp_path):
    (tmp_path / "lock").mkdir()
    with pytest.raises(IsADirectoryError), locked(tmp_path / "lock", waiting=lambda: None):
        pass


def test_a_folder_whose_name_is_not_utf_8_is_refused_with_its_path(tmp_path, capsys):
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9"))
    with pytest.raises(ValueError, match=r"/caf\\xe9: its name is not UTF-8"):
        check_name(folder)
    assert command.main([str(tmp_path), str(folder)]) == 2
    assert r"caf\xe9: its name is not UTF-8" in capsys.readouterr().err
    check_name(tmp_path / "café")
