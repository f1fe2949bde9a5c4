#!/usr/bin/env python3
"""Many clients at a running server, some of them malformed, oversized or gone before they have finished.

serve_load.py MODEL PICTURES [--requests 10000] [--connections 32] [--bad 0.01] [--program capstan] [key=value...]

Starts `capstan serve MODEL`, asks for the captions of the .jpg files of the folder PICTURES in all three forms,
compares each with what `capstan caption` says, and at the end sends SIGTERM into the middle of further requests. Prints
codes, mismatches, percentiles of the latency, and the memory on the way; ends with 1 when anything is not as it should
be.
"""

import argparse
import collections
import http.client
import json
import pathlib
import random
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

from serving import REQUESTS, chunks, form_request, json_request, raw_request, serving

MAX_REQUEST_BYTES = 1 << 20


def send_and_read(connection, body, headers, path="/caption", chunked=False):
    connection.request("POST", path, body=chunks(body) if chunked else body, headers=headers, encode_chunked=chunked)
    response = connection.getresponse()
    return response.status, response.read()


def chunked_headers(headers):
    return {**headers, "Transfer-Encoding": "chunked"}


# Each kind of bad request: (connection, picture) -> the status it must get.
def garbage_picture(connection, picture):
    noise = random.randbytes(500)
    return 422, send_and_read(connection, *raw_request(b"\xff\xd8\xff\xe0" + noise))[0]


def cut_picture(connection, picture):
    return 422, send_and_read(connection, *form_request(picture[: len(picture) // 3]))[0]


def wrong_type(connection, picture):
    return 415, send_and_read(connection, picture, {"Content-Type": "text/plain"})[0]


def broken_json(connection, picture):
    body, headers = json_request(picture)
    return 400, send_and_read(connection, body[:-10], headers)[0]


def broken_form(connection, picture):
    body, headers = form_request(picture)
    return 400, send_and_read(connection, body.replace(b"----a-line", b"----b-line"), headers)[0]


def oversized(connection, picture):
    body = picture.ljust(MAX_REQUEST_BYTES + 1000, b"\0")
    return 413, send_and_read(connection, *raw_request(body))[0]


def oversized_chunks(connection, picture):
    body, headers = raw_request(picture.ljust(MAX_REQUEST_BYTES + 1000, b"\0"))
    return 413, send_and_read(connection, body, chunked_headers(headers), chunked=True)[0]


def no_http(connection, picture):
    connection.connect()
    connection.sock.sendall(random.randbytes(40).replace(b"\n", b"x") + b"\r\n\r\n")
    head = connection.sock.recv(4096)
    connection.close()
    return 400, int(head.split()[1]) if head.startswith(b"HTTP/1.1 ") else 0


def abort(connection, picture):
    """Leaves in the middle of the upload; with a reset, as a program that is killed."""
    connection.connect()
    body, headers = raw_request(picture)
    head = f"POST /caption HTTP/1.1\r\nContent-Type: image/jpeg\r\nContent-Length: {len(body)}\r\n\r\n"
    connection.sock.sendall(head.encode() + body[: len(body) // 2])
    connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()
    return "aborted", "aborted"


def abort_waiting(connection, picture):
    """Leaves after the upload, without waiting for the caption."""
    connection.connect()
    body, headers = raw_request(picture)
    head = f"POST /caption HTTP/1.1\r\nContent-Type: image/jpeg\r\nContent-Length: {len(body)}\r\n\r\n"
    connection.sock.sendall(head.encode() + body)
    connection.close()
    return "aborted", "aborted"


BAD = (
    garbage_picture,
    cut_picture,
    wrong_type,
    broken_json,
    broken_form,
    oversized,
    oversized_chunks,
    no_http,
    abort,
    abort_waiting,
)


class Tally:
    """What all clients saw."""

    def __init__(self):
        self.lock = threading.Lock()
        self.codes = collections.Counter()
        self.latencies = []
        self.problems = []

    def good(self, seconds):
        with self.lock:
            self.codes[200] += 1
            self.latencies.append(seconds)

    def bad(self, status):
        with self.lock:
            self.codes[status] += 1

    def problem(self, text):
        with self.lock:
            self.problems.append(text)


def ask(connection, number, name, picture, expected, tally):
    body, headers = REQUESTS[number % len(REQUESTS)](picture)
    start = time.perf_counter()
    status, text = send_and_read(connection, body, headers)
    seconds = time.perf_counter() - start
    if status != 200:
        tally.bad(status)
        tally.problem(f"request {number} ({name}): {status} {text[:200]!r}")
    elif json.loads(text)["caption"] != expected:
        tally.bad("mismatch")
        tally.problem(f"request {number} ({name}): {json.loads(text)['caption']!r}, expected {expected!r}")
    else:
        tally.good(seconds)


def client(served, numbers, pictures, captions, bad, tally):
    """One connection that is kept, until a bad request or the server ends it."""
    names = list(pictures)
    connection = served.connect()
    for number in numbers:
        name = names[number % len(names)]
        draw = random.Random(number)
        try:
            if draw.random() < bad:
                kind = draw.choice(BAD)
                connection.close()
                expected, found = kind(connection, pictures[name])
                tally.bad(found)
                if found != expected:
                    tally.problem(f"request {number}: {kind.__name__} got {found}, expected {expected}")
                connection.close()
            else:
                ask(connection, number, name, pictures[name], captions[name], tally)
        except (OSError, http.client.HTTPException) as error:
            tally.bad(type(error).__name__)
            tally.problem(f"request {number}: {type(error).__name__}: {error}")
            connection.close()
    connection.close()


class Numbers:
    """Consecutive numbers for several threads."""

    def __init__(self, first, count):
        self.lock, self.numbers = threading.Lock(), iter(range(first, first + count))

    def __iter__(self):
        return self

    def __next__(self):
        with self.lock:
            return next(self.numbers)


def load(served, pictures, captions, requests, connections, bad, first=0):
    """Sends them all; the tally and the seconds it took."""
    tally, numbers, start = Tally(), Numbers(first, requests), time.perf_counter()
    work = (served, numbers, pictures, captions, bad, tally)
    threads = [threading.Thread(target=client, args=work) for _ in range(connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return tally, time.perf_counter() - start


def drain(served, pictures, captions, connections, after=0.3):
    """SIGTERM into running requests: what was sent before it gets its caption. Tally, exit code, how many were open."""
    tally, open_requests, stopping = Tally(), Numbers(0, 10**9), threading.Event()
    in_flight = collections.Counter()
    names = list(pictures)

    def work():
        connection = served.connect()
        while not stopping.is_set():
            number = next(open_requests)
            name = names[number % len(names)]
            with tally.lock:
                in_flight["now"] += 1
            try:
                ask(connection, number, name, pictures[name], captions[name], tally)
            except (OSError, http.client.HTTPException) as error:
                tally.problem(f"request {number}: {type(error).__name__}: {error}")
                return
            finally:
                with tally.lock:
                    in_flight["now"] -= 1
        connection.close()

    threads = [threading.Thread(target=work) for _ in range(connections)]
    for thread in threads:
        thread.start()
    time.sleep(after)
    # No client begins a request after this, so each of those that are open was sent before the signal.
    stopping.set()
    with tally.lock:
        were_open = in_flight["now"]
    code = served.stop()
    for thread in threads:
        thread.join()
    return tally, code, were_open


def percentile(values, share):
    return sorted(values)[min(len(values) - 1, int(share * len(values)))] if values else float("nan")


def reference_captions(program, model, files, environment=None):
    result = subprocess.run(
        [str(program), "caption", str(model), *map(str, files), "output=json"],
        capture_output=True,
        text=True,
        check=True,
        env=environment,
    )
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    return {pathlib.Path(line["path"]).name: line["caption"] for line in lines}


def report(tally, seconds, memory):
    print(f"{sum(tally.codes.values())} requests in {seconds:.1f} s, {len(tally.latencies) / seconds:.1f} captions/s")
    print("codes:", ", ".join(f"{code}: {count}" for code, count in sorted(tally.codes.items(), key=str)))
    shares = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p99.9": 0.999, "max": 1}
    print("latency:", ", ".join(f"{k} {1000 * percentile(tally.latencies, v):.1f} ms" for k, v in shares.items()))
    print("memory (VmRSS) in MiB, at start and after each tenth:", ", ".join(str(size >> 20) for size in memory))
    print(f"not as expected: {len(tally.problems)}")
    for problem in tally.problems[:20]:
        print(" ", problem)


def load_in_tenths(served, pictures, captions, arguments):
    """One tally of all, the seconds, and the memory at the start and after each tenth."""
    total, seconds, memory = Tally(), 0, [served.resident_bytes()]
    for tenth in range(10):
        first = tenth * arguments.requests // 10
        count = (tenth + 1) * arguments.requests // 10 - first
        tally, took = load(served, pictures, captions, count, arguments.connections, arguments.bad, first)
        total.codes += tally.codes
        total.latencies += tally.latencies
        total.problems += tally.problems
        seconds += took
        memory.append(served.resident_bytes())
    return total, seconds, memory


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=pathlib.Path)
    parser.add_argument("pictures", type=pathlib.Path)
    parser.add_argument("options", nargs="*", help="of capstan serve")
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--bad", type=float, default=0.01)
    parser.add_argument("--files", type=int, default=64, help="most pictures to use")
    parser.add_argument("--program", default="capstan")
    return parser.parse_args()


def main():
    arguments = parse_arguments()
    files = sorted(arguments.pictures.rglob("*.jpg"))[: arguments.files]
    captions = reference_captions(arguments.program, arguments.model, files)
    pictures = {file.name: file.read_bytes() for file in files}
    print(f"{len(files)} pictures, {len(set(captions.values()))} different captions")
    with tempfile.TemporaryDirectory() as folder:
        log = pathlib.Path(folder) / "serve.log"
        options = (f"max_request_bytes={MAX_REQUEST_BYTES}", *arguments.options)
        with serving(arguments.program, arguments.model, log, *options) as served:
            tally, seconds, memory = load_in_tenths(served, pictures, captions, arguments)
            report(tally, seconds, memory)
            ended, code, were_open = drain(served, pictures, captions, arguments.connections)
        lost = len(ended.problems)
        print(f"SIGTERM with {were_open} requests open: {len(ended.latencies)} captions, {lost} lost, exit code {code}")
        for problem in ended.problems[:20]:
            print(" ", problem)
        sys.stdout.write(log.read_text())
    # The first tenths fill what is kept: stacks, buffers, the free lists of the allocator.
    grown = memory[-1] - memory[3]
    return 1 if tally.problems or ended.problems or code != 143 or grown > 16 << 20 else 0


if __name__ == "__main__":
    sys.exit(main())
