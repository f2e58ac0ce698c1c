"""A small server on this machine that speaks the routes of the Hugging Face Hub which pulling and pushing use."""

import base64
import hashlib
import json
import threading
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

LARGE = 10_000  # bytes from which a file is stored as on the Hub: known by its SHA-256, served by another address


def git_blob(data):
    return hashlib.sha1(f"blob {len(data)}\0".encode() + data).hexdigest()


class FakeHub(ThreadingHTTPServer):
    """Repositories by name, each a dictionary of files; what was asked for is noted."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.repositories: dict[str, dict[str, bytes]] = {}
        self.gated: set[str] = set()
        self.damage: set[str] = set()  # paths served with one byte changed
        self.cut: set[str] = set()  # paths whose connection breaks half-way, once
        self.downloads: list[str] = []  # repository/path of every file that was sent
        self.ranges: list[str] = []
        self.created: list[dict] = []
        self.token_needed = False
        self.address = f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, request, client_address):
        """Broken connections are part of the tests."""

    def commit(self, repository):
        state = sorted((path, git_blob(data)) for path, data in self.repositories[repository].items())
        return hashlib.sha1(json.dumps(state).encode()).hexdigest()

    def __enter__(self):
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *error):
        self.shutdown()
        self.server_close()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def answer(self, status, body=b"", headers=None):
        body = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def refuse(self, status, code, message="no"):
        self.answer(status, {"error": message}, {"X-Error-Code": code, "X-Error-Message": message})

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        parts = urllib.parse.unquote(self.path.split("?")[0]).strip("/").split("/")
        if parts[:2] == ["api", "models"] and parts[4:5] == ["tree"]:
            return self.send_tree("/".join(parts[2:4]), parts[5])
        if parts[:2] == ["api", "models"]:
            return self.send_listing("/".join(parts[2:4]), parts[5] if len(parts) > 5 else "main")
        if parts[:1] == ["large"]:
            return self.send_file("/".join(parts[1:3]), "/".join(parts[3:]))
        if len(parts) > 4 and parts[2] == "resolve":
            return self.resolve("/".join(parts[:2]), parts[3], "/".join(parts[4:]))
        return self.refuse(404, "NotFound")

    def check(self, repository, revision):
        hub = self.server
        if repository not in hub.repositories:
            self.refuse(401, "RepoNotFound", "Invalid username or password.")
        elif repository in hub.gated:
            self.refuse(403, "GatedRepo", "Access is restricted")
        elif revision not in ("main", hub.commit(repository)):
            self.refuse(404, "RevisionNotFound", "Invalid rev id")
        else:
            return True
        return False

    def send_listing(self, repository, revision):
        if not self.check(repository, revision):
            return
        siblings = []
        for path, data in self.server.repositories[repository].items():
            item = {"rfilename": path, "size": len(data), "blobId": git_blob(data)}
            if len(data) >= LARGE:
                item["lfs"] = {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data), "pointerSize": 130}
            siblings.append(item)
        commit = self.server.commit(repository)
        body = {
            "id": repository,
            "modelId": repository,
            "sha": commit,
            "siblings": siblings,
            "tags": [],
            "private": False,
        }
        self.answer(200, body)

    def send_tree(self, repository, revision):
        if self.check(repository, revision):
            files = self.server.repositories[repository]
            self.answer(
                200,
                [
                    {"type": "file", "path": path, "size": len(data), "oid": git_blob(data)}
                    for path, data in files.items()
                ],
            )

    def resolve(self, repository, revision, path):
        if not self.check(repository, revision):
            return
        data = self.server.repositories[repository].get(path)
        if data is None:
            return self.refuse(404, "EntryNotFound")
        headers = {"X-Repo-Commit": self.server.commit(repository), "Accept-Ranges": "bytes"}
        if len(data) < LARGE:
            return self.send_file(repository, path, {**headers, "ETag": f'"{git_blob(data)}"'})
        headers |= {  # another host, as on the Hub
            "X-Linked-Etag": f'"{hashlib.sha256(data).hexdigest()}"',
            "X-Linked-Size": str(len(data)),
            "Location": f"http://localhost:{self.server.server_port}/large/{repository}/{urllib.parse.quote(path)}",
        }
        return self.answer(302, b"", headers)

    def send_file(self, repository, path, headers=None):
        hub, data = self.server, self.server.repositories[repository][path]
        if path in hub.damage:
            data = data[:-1] + bytes([data[-1] ^ 1])
        status, headers = 200, dict(headers or {})
        asked = self.headers.get("Range")
        first = 0
        if asked:
            first = int(asked.removeprefix("bytes=").split("-")[0])
            status, headers["Content-Range"] = 206, f"bytes {first}-{len(data) - 1}/{len(data)}"
            hub.ranges.append(asked)
        if self.command == "GET":
            hub.downloads.append(f"{repository}/{path}")
        if path in hub.cut and self.command == "GET":
            hub.cut.discard(path)
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data[: len(data) // 2])
            self.wfile.flush()
            self.close_connection = True
            self.connection.close()
            return None
        return self.answer(status, data[first:], headers)

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.server.token_needed and not self.headers.get("Authorization"):
            return self.refuse(401, "Unauthorized", "no token")
        parts = self.path.split("?")[0].strip("/").split("/")
        if parts == ["api", "repos", "create"]:
            asked = json.loads(body)
            self.server.created.append(asked)
            name = f"{asked.get('organization', 'me')}/{asked['name']}"
            self.server.repositories.setdefault(name, {".gitattributes": b"*.h5 lfs\n"})
            return self.answer(200, {"url": f"{self.server.address}/{name}", "name": name})
        if parts == ["api", "validate-yaml"]:
            return self.answer(200, {"errors": [], "warnings": []})
        repository, action = "/".join(parts[2:4]), parts[4]
        if not self.check(repository, "main"):
            return None
        if action == "preupload":
            files = [
                {"path": item["path"], "uploadMode": "regular", "shouldIgnore": False}
                for item in json.loads(body)["files"]
            ]
            return self.answer(200, {"files": files})
        return self.commit(repository, body)

    def commit(self, repository, body):
        files = self.server.repositories[repository]
        for line in body.decode().splitlines():
            entry = json.loads(line)
            if entry["key"] == "file":
                files[entry["value"]["path"]] = base64.b64decode(entry["value"]["content"])
            elif entry["key"] == "deletedFile":
                files.pop(entry["value"]["path"], None)
        commit = self.server.commit(repository)
        address = f"{self.server.address}/{repository}/commit/{commit}"
        self.answer(
            200, {"success": True, "commitOid": commit, "commitUrl": address, "hookOutput": "", "pullRequestUrl": None}
        )
