import re
import shutil
import subprocess

import pytest

from musika.evaluation import report


@pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
def test_the_commit_is_that_of_a_checkout_that_holds_this_file(tmp_path, monkeypatch):
    def git(*words):
        who = ("-c", "user.name=me", "-c", "user.email=me@example.org")
        subprocess.run(["git", "-C", str(tmp_path), *who, *words], check=True, capture_output=True)

    own, installed = tmp_path / "report.py", tmp_path / ".venv" / "report.py"
    installed.parent.mkdir()
    for path in (own, installed):
        path.touch()
    monkeypatch.setattr(report, "__file__", str(own))
    assert report.commit() == ""  # no checkout
    git("init")
    git("add", "report.py")
    git("commit", "-m", "one")
    assert re.fullmatch("[0-9a-f]{12}", report.commit())
    own.write_text("changed")
    assert re.fullmatch(r"[0-9a-f]{12}\+", report.commit())
    monkeypatch.setattr(report, "__file__", str(installed))
    assert report.commit() == ""  # another project's
