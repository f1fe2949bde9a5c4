"""Plays a Hugging Face endpoint and its content network: two servers on this machine, with faults to order."""

import contextlib
import hashlib
import http.server
import json
import threading
import time
import urllib.parse

SMALL = 4096  # files above are "large": stored elsewhere, named by SHA-256


def git_name(data):
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


class Repo:
    """Files of one commit, and who may see them."""

    def __init__(self, files, access="open", blobs=True):
        self.files = files
        self.access = access  # open, private, gated
        self.blobs = blobs  # whether the list tells sizes and checksums
        text = json.dumps({name: git_name(data) for name, data in files.items()}, sort_keys=True)
        self.commit = hashlib.sha1(text.encode()).hexdigest()

    def siblings(self):
        for name, data in self.files.items():
            entry = {"rfilename": name}
            if self.blobs:
                entry |= {"size": len(data), "blobId": git_name(data)}
                if len(data) > SMALL:
                    entry["lfs"] = {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data), "pointerSize": 134}
            yield entry


class Fault:
    """What goes wrong with the next `times` requests whose path holds `match`.

    cut: bytes after which the connection is closed; status: an answer instead; ignore_range: the whole file again;
    change: a function over the body; pace: seconds before each 64 KiB.
    """

    def __init__(self, match, times=1, cut=None, status=None, headers=None, ignore_range=False, change=None, pace=0):
        self.match, self.times = match, times
        self.cut, self.status, self.headers = cut, status, headers or {}
        self.ignore_range, self.change, self.pace = ignore_range, change, pace


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        hub = self.server.hub
        url = urllib.parse.urlsplit(self.path)
        path = urllib.parse.unquote(url.path)
        with hub.lock:
            hub.requests.append((self.server.role, self.command, path, dict(self.headers)))
            self.fault = next((f for f in hub.faults if f.times > 0 and f.match in path), Fault(""))
            self.fault.times -= 1
            hub.active[self.server.role] = hub.active.get(self.server.role, 0) + 1
            hub.most_active = max(hub.most_active, hub.active[self.server.role])
        try:
            self.answer(hub, path, urllib.parse.parse_qs(url.query))
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True
        finally:
            with hub.lock:
                hub.active[self.server.role] -= 1

    def answer(self, hub, path, query):
        if self.fault.status:
            return self.reply(self.fault.status, b"not now", self.fault.headers)
        if self.server.role == "cdn":
            return self.send_file(hub.contents.get(path, b""))
        if path in hub.plain:
            return self.send_file(hub.plain[path], {"ETag": f'"{hashlib.md5(hub.plain[path]).hexdigest()}"'})
        for kind in ("model", "dataset"):
            if path.startswith(f"/api/{kind}s"):
                return self.answer_api(hub, kind, path.removeprefix(f"/api/{kind}s"), query)
        return self.answer_file(hub, path)

    def refused(self, hub, repo):
        """Answers 401 or 403 as the Hub does; True when it did."""
        if repo.access == "open" or self.headers.get("Authorization") == f"Bearer {hub.token}":
            return False
        with_token = "Authorization" in self.headers
        code, text = ("GatedRepo", "Access is restricted.") if repo.access == "gated" else ("RepoNotFound", "No.")
        self.reply(403 if with_token and repo.access == "gated" else 401, b"{}",
                   {"X-Error-Code": code, "X-Error-Message": text})
        return True

    def answer_api(self, hub, kind, path, query):
        if path in ("", "/"):
            word = query.get("search", [""])[0]
            names = [name for (of, name) in hub.repos if of == kind and (word[:4] in name)]
            return self.reply(200, json.dumps([{"id": name} for name in names]).encode())
        name, _, rest = path.strip("/").partition("/revision/")
        if path.endswith("/refs"):
            refs = {"branches": [{"name": "main"}], "tags": [{"name": "v1.0"}]}
            return self.reply(200, json.dumps(refs).encode())
        repo = hub.repos.get((kind, name))
        if repo is None:
            return self.reply(404, b"{}", {"X-Error-Code": "RepoNotFound", "X-Error-Message": "Repository not found"})
        if self.refused(hub, repo):
            return None
        if rest not in ("main", "v1.0", repo.commit):
            return self.reply(404, b"{}", {"X-Error-Code": "RevisionNotFound"})
        info = {"id": name, "sha": repo.commit, "siblings": list(repo.siblings())}
        return self.reply(200, json.dumps(info).encode(), {"Content-Type": "application/json"})

    def answer_file(self, hub, path):
        kind, rest = ("dataset", path[10:]) if path.startswith("/datasets/") else ("model", path[1:])
        name, _, rest = rest.partition("/resolve/")
        revision, _, file = rest.partition("/")
        repo = hub.repos.get((kind, name))
        if repo is None or revision not in ("main", repo.commit) or file not in repo.files:
            return self.reply(404, b"", {"X-Error-Code": "EntryNotFound" if repo else "RepoNotFound"})
        if self.refused(hub, repo):
            return None
        data = repo.files[file]
        headers = {"X-Repo-Commit": repo.commit}
        if len(data) <= SMALL:
            return self.send_file(data, headers | {"ETag": f'"{git_name(data)}"'})
        digest = hashlib.sha256(data).hexdigest()
        hub.contents[f"/cdn/{digest}"] = data
        headers |= {"X-Linked-ETag": f'"{digest}"', "X-Linked-Size": str(len(data))}
        return self.reply(302, b"moved", headers | {"Location": f"{hub.cdn}/cdn/{digest}?signature=secret"})

    def send_file(self, data, headers=None):
        headers = {"ETag": f'"{hashlib.sha1(data).hexdigest()}"', **(headers or {})}
        body = self.fault.change(data) if self.fault.change else data
        asked = self.headers.get("Range", "")
        same = self.headers.get("If-Range", headers["ETag"]) == headers["ETag"]
        start = int(asked.removeprefix("bytes=").split("-")[0]) if asked else 0
        if asked and start >= len(body) and same:
            return self.reply(416, b"", {"Content-Range": f"bytes */{len(body)}"})
        if asked and same and not self.fault.ignore_range:
            headers["Content-Range"] = f"bytes {start}-{len(body) - 1}/{len(body)}"
            return self.reply(206, body[start:], headers)
        return self.reply(200, body, headers)

    def reply(self, status, body, headers=None):
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "HEAD":
            return
        cut = self.fault.cut
        for at in range(0, len(body if cut is None else body[:cut]), 1 << 16):
            time.sleep(self.fault.pace)
            self.wfile.write(body[at : at + (1 << 16)] if cut is None else body[at : min(at + (1 << 16), cut)])
        if cut is not None:
            self.close_connection = True


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, hub, role):
        super().__init__(("127.0.0.1", 0), Handler)
        self.hub, self.role = hub, role
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    @property
    def address(self):
        return f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, *_):
        pass


class Hub:
    """repos: {(kind, name): Repo}; plain: {path: bytes}; requests: what was asked, in order."""

    token = "hf_ThisIsTheToken0123456789"

    def __init__(self):
        self.lock = threading.Lock()
        self.repos, self.plain, self.contents = {}, {}, {}
        self.requests, self.faults, self.active, self.most_active = [], [], {}, 0
        self.servers = [Server(self, "hub"), Server(self, "cdn")]
        self.endpoint, self.cdn = (server.address for server in self.servers)

    def model(self, name, files, **options):
        self.repos["model", name] = Repo(files, **options)
        return self.repos["model", name]

    def asked(self, role=None, match=""):
        with self.lock:
            return [request for request in self.requests if role in (None, request[0]) and match in request[2]]

    def forget(self):
        with self.lock:
            self.requests.clear()


@contextlib.contextmanager
def running():
    hub = Hub()
    try:
        yield hub
    finally:
        for server in hub.servers:
            server.shutdown()
            server.server_close()
