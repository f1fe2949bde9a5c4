"""A running `capstan serve`, and requests to it: polite ones and all kinds of wrong ones."""

import base64
import contextlib
import http.client
import json
import pathlib
import select
import signal
import socket
import subprocess
import time
import urllib.parse


class Served:
    """The process, its address, and what its memory is."""

    def __init__(self, process, url, log):
        self.process, self.url, self.log = process, url, log
        parts = urllib.parse.urlsplit(url)
        self.host, self.port = parts.hostname, parts.port

    def connect(self, timeout=60):
        return http.client.HTTPConnection(self.host, self.port, timeout=timeout)

    def raw(self, timeout=60):
        return socket.create_connection((self.host, self.port), timeout=timeout)

    def request(self, method, path, body=None, headers=None):
        """Status, headers and body of one request on a connection of its own."""
        with contextlib.closing(self.connect()) as connection:
            connection.request(method, path, body=body, headers=headers or {})
            response = connection.getresponse()
            return response.status, response.headers, response.read()

    def json(self, method, path, body=None, headers=None):
        status, _, text = self.request(method, path, body, headers)
        return status, json.loads(text)

    def metrics(self):
        text = self.request("GET", "/metrics")[2].decode()
        lines = (line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
        return {name: float(value) for name, value in lines}

    def resident_bytes(self):
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return 1024 * int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1])

    def stop(self, number=signal.SIGTERM, timeout=60):
        """The exit code."""
        self.process.send_signal(number)
        return self.process.wait(timeout)


@contextlib.contextmanager
def serving(program, model, log, *options, environment=None, timeout=120):
    """`program serve model port=0 options`; its standard error goes to the file `log`."""
    command = [str(program), "serve", str(model), "port=0", *options]
    with open(log, "wb") as errors:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True, env=environment)
    try:
        if not select.select([process.stdout], [], [], timeout)[0]:
            raise TimeoutError(f"{command} printed no address in {timeout} s")
        url = process.stdout.readline().strip()
        if not url:
            raise RuntimeError(f"{command} ended with {process.wait()}: {pathlib.Path(log).read_text()}")
        yield Served(process, url, pathlib.Path(log))
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        process.stdout.close()


def multipart(fields):
    """Content-Type and body of a form; a field is (name, bytes) or (name, bytes, file name, type)."""
    boundary = "----a-line-that-is-in-no-picture"
    body = b""
    for name, content, *file in fields:
        body += f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"'.encode()
        if file:
            body += f'; filename="{file[0]}"\r\nContent-Type: {file[1]}'.encode()
        body += b"\r\n\r\n" + content + b"\r\n"
    return f"multipart/form-data; boundary={boundary}", body + f"--{boundary}--\r\n".encode()


def form_request(picture, name="photo.jpg"):
    kind, body = multipart([("image", picture, name, "image/jpeg")])
    return body, {"Content-Type": kind}


def raw_request(picture):
    return picture, {"Content-Type": "image/jpeg"}


def json_request(picture, **more):
    document = {"image": base64.b64encode(picture).decode(), **more}
    return json.dumps(document).encode(), {"Content-Type": "application/json"}


REQUESTS = (form_request, raw_request, json_request)


def chunks(body, size=65536):
    for start in range(0, len(body), size):
        yield body[start : start + size]


def wait_until(condition, timeout=30):
    end = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError("the condition did not come true")
        time.sleep(0.01)
